"""The endpoints, one module for each noun; each has a `router` that `app.py` includes under /api/v1."""
