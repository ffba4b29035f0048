"""Rollout decisions as pure functions: no framework, no clock, no chance; what they need to know is given to them."""
