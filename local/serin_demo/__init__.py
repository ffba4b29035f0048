"""The demo: a good version goes to production and a bad one comes back, on a real cluster."""
