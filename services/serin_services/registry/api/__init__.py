"""The registry over HTTP, under /api/v1."""
