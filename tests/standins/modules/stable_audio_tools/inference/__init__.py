"""Stands in for the package of inference."""
