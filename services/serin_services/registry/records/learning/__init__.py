"""Trainings that are asked for, and drift that was found."""
