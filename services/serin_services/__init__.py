"""Serin's services: each works alone, beside the operator."""
