"""`demo`: one morning at the demo inbox."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: `demo` takes no arguments."""
    del parser


def run(options: argparse.Namespace) -> int:
    """Play the morning."""
    import anyio

    from salesos_inbox.demo import play

    del options
    anyio.run(play, print)
    return 0
