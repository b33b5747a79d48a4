"""The first schema, 0001_ledger: its tables, and for SQLite and PostgreSQL the triggers and the search index."""
