"""Ports of this machine: which there can be, and listening on one."""

import argparse
import socket

from salesos_inbox.errors import InvalidArguments

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def port_number(text: str) -> int:
    """Return the port that an argument names."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a loopback address.

    Raises `InvalidArguments` for another address, and where the port cannot be had.
    """
    if host not in LOOPBACK:
        raise InvalidArguments(
            f"--host must be a loopback address ({', '.join(LOOPBACK)}), as callers are not authenticated."
        )
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InvalidArguments(
            f"Port {port} of {host} is in use or cannot be used: choose another with --port."
        ) from error
    listener.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # else an answer waits for the client's acknowledgement
    return listener


def address(listener: socket.socket) -> str:
    """Return the host and port of a socket, as a URL has them."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
