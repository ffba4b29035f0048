"""Serin's operator: a new model version takes over only as fast as the evidence allows."""
