"""What headers of an answer hold: moments and numbers. Pure."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

LARGEST = 1e12
"""What a larger number is read as."""

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?")


def read_number(text: str | None) -> float | None:
    """Return a number as it stands in `X-RateLimit-Remaining` or `Retry-After`, or None where it is none."""
    digits = (text or "").strip()
    return min(float(digits), LARGEST) if _NUMBER.fullmatch(digits) else None


def read_moment(text: str | None) -> float | None:
    """Return an HTTP-date (RFC 9110, 5.6.7), in any of its three forms, in unix seconds, or None where it is none."""
    try:
        told = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, LookupError, OverflowError):  # what the parser stumbles over is no date
        return None
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
