"""Chaos: random meetings against the whole stack while everything around it fails, and a comparison at the end."""
