"""The SalesOS email-inbox API as far as it is known: routes, bodies, and how sure we are of each.

The client writes requests and reads answers by it, the sandbox serves it, and nothing else in the
project spells a path or a field of the wire. `openapi` and `document` write it down for others to read.
"""
