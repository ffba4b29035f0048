"""How the registry and the cluster reach each other: ModelDeployments, and nothing else."""
