"""How audio is made: the worker, what generates, what encodes."""
