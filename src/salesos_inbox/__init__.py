"""A salesperson's inbox for AI assistants, over the Model Context Protocol.

The layers, each importing only what stands below it (`import-linter` holds this):

cli         the commands; puts the parts together; the only place that prints
server      the catalogue as an MCP server; manifest: the catalogue as a file; doctor: what is not well, and what to do
tools       what the model can do: one function each
approval    who is asked before anything leaves or disappears, and what can be undone
views       what tools answer; mail: messages into safe, compact text
client      the SalesOS API, one method per endpoint
settings    everything the environment can say; shutdown: how a serving process ends, in time and on record
contract    the 22 routes and their bodies; errors: what can go wrong, in words

sandbox     the same API on SQLite, for the demo and the tests; imports the contract only
"""
