"""Stands in for audiocraft: the documented calls of MusicGen, with their signatures."""
