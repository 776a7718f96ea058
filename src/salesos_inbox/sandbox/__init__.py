"""The same API on SQLite, for the demo and the tests. It knows the contract and nothing of the client."""
