"""Messages into safe, compact text: pure functions, no I/O, each usable alone."""
