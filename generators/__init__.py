"""Knows what generators need: the forms of their lyrics."""
