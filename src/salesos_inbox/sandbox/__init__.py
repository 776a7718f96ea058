"""The same inbox API on SQLite, for demos and tests; it knows the contract and nothing of the client.

`app.create_app` serves a `store.Store` below `/v1`, `importing.import_mail` fills it from mbox,
Maildir and .eml files. Below the store: `filing` puts messages into threads, `listing` finds
threads, `reading` answers them, `sending` writes; all of them on one `database.Database`. `faults`
makes it fail, by rule and by seed.
"""
