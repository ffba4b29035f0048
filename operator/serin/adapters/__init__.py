"""The outside: the cluster's API, its watches, Prometheus, the queue of due work, and what is told to the outside."""
