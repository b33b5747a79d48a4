"""Maintenance: what keeps the ledger healthy."""
