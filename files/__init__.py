"""Stores files on disk, and reads and writes sound."""
