"""The model server against its peers: `make bench-serving`."""
