"""Recipes: how each generator is started, what it is given and how its output is read."""
