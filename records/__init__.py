"""Records: what the repositories are made of."""
