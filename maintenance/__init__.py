"""Keeps the ledger healthy: expired leases, old rows, and unfinished files."""
