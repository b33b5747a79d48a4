"""Moves a whole ledger between databases: an export is a file of JSON Lines that is the same on both databases."""
