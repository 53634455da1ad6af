"""Synthetic people, and the scene of the simulated board."""
