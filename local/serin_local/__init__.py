"""A real one-node Kubernetes on this machine, for the quickstart and the tests."""
