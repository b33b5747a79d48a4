"""How people reach the ledger: the REST interface, its document, and its errors."""
