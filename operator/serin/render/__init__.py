"""Kubernetes objects as plain dictionaries, built from specs and states without asking anyone."""
