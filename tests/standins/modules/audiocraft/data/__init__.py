"""Stands in for the package that writes audio."""
