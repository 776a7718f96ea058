"""What the environment says: the settings, whether they can be used, and the token by its looks. Pure."""

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache

from salesos_inbox.client.session import is_jwt, read_claims
from salesos_inbox.doctor.finding import Finding, Status, failed, ok, skipped, warning
from salesos_inbox.errors import InvalidArguments
from salesos_inbox.settings import Settings, read_settings

_OURS = re.compile(r"^SALES_?OS_?", re.IGNORECASE)
_MEANT = 0.6
"""How alike two names are of which one may be meant for the other."""
SECRET = ("SALESOS_TOKEN", "SALESOS_API_KEY")
_NOT_FILLED_IN = re.compile(r"\$\{?\w|%\w+%|^<.*>$|^(your|my)[-_ ]|^\.\.\.$|^x+$", re.IGNORECASE)
SOON = 3600.0
"""Seconds before its end from which a token is said to end soon."""


class _Asked(dict[str, str]):
    """An empty environment that remembers which variables it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def get(self, key: str, default: str = "", /) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] -- of text alone
        self.names.append(key)
        return default


@cache
def known_variables() -> tuple[str, ...]:
    """Return the `SALESOS_...` variables that the settings are read from."""
    asked = _Asked()
    read_settings(asked)
    return tuple(dict.fromkeys(name for name in asked.names if name.startswith("SALESOS_")))


def usable_settings(environment: Mapping[str, str], platform: str) -> tuple[Settings, dict[str, str]]:
    """Return the settings as far as they can be used, and what is wrong with each variable that cannot."""
    problems: dict[str, str] = {}
    usable = {name: value for name, value in environment.items() if not name.startswith("SALESOS_")}
    for name in known_variables():
        if name not in environment:
            continue
        try:
            read_settings({**usable, name: environment[name]}, platform)
            usable[name] = environment[name]
        except InvalidArguments as error:
            problems[name] = str(error)
    return read_settings(usable, platform), problems


def misspelt(names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return what is to be said of each variable that looks like ours and is not, and what mends it."""
    known = {_OURS.sub("", name): name for name in known_variables()}
    strange = [name for name in names if _OURS.match(name) and name not in known.values()]
    for name in strange:
        close = difflib.get_close_matches(_OURS.sub("", name.upper()), known, 1, _MEANT)
        remedy = f"Write {known[close[0]]} instead." if close else "Remove it, or look up its name in the README."
        yield f"{name} is no setting of this server", remedy


def has_both(environment: Mapping[str, str]) -> bool:
    """Return whether there is a token and a key, of which one is too many."""
    return all(environment.get(name, "").strip() for name in SECRET)


def is_not_filled_in(value: str) -> bool:
    """Return whether a value is still the example's, or a variable's name that nobody replaced."""
    return bool(_NOT_FILLED_IN.search(value.strip()))


def check_settings(environment: Mapping[str, str], problems: Mapping[str, str]) -> list[Finding]:
    """Return what is to be said of the settings."""
    told = {finding.found.split()[0] for finding in _blemishes(environment) if not has_both(environment)}
    findings = [
        failed("settings", f"{name} cannot be used", _as_remedy(sentence))
        for name, sentence in problems.items()
        if name not in told
    ]
    findings += [warning("settings", *told) for told in misspelt(environment)]
    if not findings:
        names = [name for name in known_variables() if environment.get(name, "").strip()]
        findings.append(ok("settings", ", ".join(names) if names else "none is set, so all are as they come"))
    return findings


def _as_remedy(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?")) else f"{sentence}."


def check_token(
    environment: Mapping[str, str], settings: Settings, source: str | None, remedy: str, now: datetime
) -> Iterator[Finding]:
    """Tell what the token or key looks like, and when it ends.

    `source` says where it comes from, `remedy` what brings a new one there.
    """
    if has_both(environment):
        yield skipped("token", f"as {' and '.join(SECRET)} are both set")
        return
    blemishes = list(_blemishes(environment))
    yield from blemishes
    if any(finding.status is Status.FAILED for finding in blemishes):
        return
    if settings.api_key:
        yield _key(settings.api_key, source)
    elif settings.token:
        yield _bearer(settings.token, settings, source, remedy, now)
    elif source:
        yield failed("token", f"there is none in {source}", remedy)
    elif any(environment.get(name, "").strip() for name in SECRET):
        yield failed(
            "token", "it cannot be used as it stands", "Mend its setting, or run `salesos-inbox-mcp auth login`."
        )
    else:
        yield failed(
            "token",
            "there is none",
            "Run `salesos-inbox-mcp auth login`, or put a token into SALESOS_TOKEN or a key into SALESOS_API_KEY.",
        )


def _blemishes(environment: Mapping[str, str]) -> Iterator[Finding]:
    for name in SECRET:
        value = environment.get(name, "")
        bare = value.strip()
        if not bare:
            continue
        if is_not_filled_in(bare):
            yield failed("token", f"{name} still holds an example's words", f"Put your own into {name}.")
        elif re.match(r"bearer\b", bare, re.IGNORECASE):
            yield failed("token", f'{name} begins with "Bearer"', f'Leave the word "Bearer" out of {name}.')
        elif bare[0] in "\"'`“‘" or bare[-1] in "\"'`”’":
            yield failed("token", f"{name} stands in quotes", f"Leave the quotes out of {name}.")
        elif re.search(r"\s", bare):
            yield failed("token", f"{name} is broken by a blank or a new line", f"Copy {name} again, in one piece.")
        elif value != bare:
            yield warning("token", f"{name} has blanks or a new line around it", f"Take them out of {name}.")


def _key(key: str, source: str | None) -> Finding:
    if is_jwt(key):
        return failed("token", "SALESOS_API_KEY holds a token, not a key", "Put it into SALESOS_TOKEN.")
    return ok("token", f"an API key, from {source or 'SALESOS_API_KEY'}; whether it ends is not written in it")


def _bearer(token: str, settings: Settings, source: str | None, remedy: str, now: datetime) -> Finding:
    where = source or "SALESOS_TOKEN"
    claims = read_claims(token)
    if not is_jwt(token):
        return failed(
            "token",
            f"what comes from {where} is no JWT, or not a whole one",
            "Copy the token again in one piece, or put it into SALESOS_API_KEY if it is an API key.",
        )
    kind = "a session's token" if claims.is_session else "a token without a session"
    if claims.expires_at is None:
        return ok("token", f"{kind}, from {where}; when it ends is not written in it")
    try:
        ends = datetime.fromtimestamp(claims.expires_at, now.tzinfo).astimezone(settings.timezone)
    except (ValueError, OverflowError, OSError):
        return ok("token", f"{kind}, from {where}; when it ends cannot be read")
    left = claims.expires_at - now.timestamp()
    moment = f"{ends:%Y-%m-%d %H:%M}"
    if left <= 0:
        return failed("token", f"{kind}, from {where}, ended {moment}", remedy)
    if left < SOON:
        return warning(
            "token",
            f"{kind}, from {where}, ends {moment}, in {round(left / 60)} minutes",
            f"{remedy.removesuffix('.')}, unless the server runs already, which renews it.",
        )
    return ok("token", f"{kind}, from {where}, ends {moment}")
