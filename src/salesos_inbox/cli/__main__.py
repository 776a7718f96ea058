"""`python -m salesos_inbox.cli`, which is the same as `salesos-inbox-mcp`."""

from salesos_inbox.cli import main

main()
