"""Predictions and what came of them: taken in, added up, and given back as figures."""
