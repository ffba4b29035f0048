"""What runs where: deployments, what was seen of them in the cluster, and what people ask of them."""
