"""E-mail addresses as people write them, checked by RFC 5321, 5322 and 6531 without asking the network."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from salesos_inbox.errors import InvalidArguments
from salesos_inbox.mail.unicode import one_line

_LONGEST = 1_000
_SHOWN = 100

_NAMED = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^"<>]*))\s*<(?P<email>[^<>]*)>\s*')
_PLAIN_NAME = re.compile(r"[^\x00-\x1f\x7f()<>\[\]:;@\\,.\"]*")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
_JOINERS = "\u200c\u200d"
_TLDS_FOR_TESTS = ("localhost", "invalid", "test")
_TEST_TOP = re.compile(r"(?<=[@.])(localhost|invalid)\Z", re.IGNORECASE)
"""Names of RFC 2606 that the library knows no way to allow; they are checked as `.test`, which it does."""
_TEST_END = re.compile(r"test\Z")
_FORM = "write name@domain.example or Name <name@domain.example>"


@dataclass(frozen=True)
class Address:
    """An address and the name beside it; the domain is kept as people read it, in Unicode."""

    email: str
    name: str = ""

    @property
    def ascii(self) -> str:
        """The address as it is sent, with the domain in its ASCII form (RFC 5891). Raises InvalidArguments."""
        local, _, domain = _checked(self.email, self.email)
        return f"{local}@{domain}"

    def __str__(self) -> str:
        if not self.name:
            return self.email
        if _PLAIN_NAME.fullmatch(self.name):
            return f"{self.name} <{self.email}>"
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{self.email}>'


def parse_address(text: str) -> Address:
    """One address: `a@b.example`, `Name <a@b.example>` or `"Last, First" <a@b.example>`.

    Whether the mailbox exists is not asked. Raises InvalidArguments with one sentence that says what to change.
    """
    if complaint := _complaint(text):
        raise _unusable(text, complaint)
    named = _NAMED.fullmatch(text)
    email = (named["email"] if named else text).strip()
    local, domain, _ = _checked(email, text)
    if "." not in domain and domain not in _TLDS_FOR_TESTS:
        raise _unusable(text, "the domain after the @ is not complete")
    return Address(f"{local}@{domain}", _name(named))


def parse_addresses(texts: Iterable[str]) -> list[Address]:
    """Each address once, in the order given, with the first name it came with. Raises as `parse_address` does."""
    found: dict[str, Address] = {}
    for text in texts:
        address = parse_address(text)
        key = _key(address)
        known = found.get(key)
        if known is None or not known.name:
            found[key] = Address(known.email if known else address.email, address.name)
    return list(found.values())


def same_address(a: str, b: str) -> bool:
    """Whether two texts name one mailbox: without regard to names, case, or how the domain is written. Never raises."""
    return mailbox(a) == mailbox(b)


def _complaint(text: str) -> str:
    unquoted = _QUOTED.sub("", text[: _LONGEST + 1])
    checks = {
        "it is empty": not text.strip(),
        "it is too long": len(text) > _LONGEST,
        "it holds a line break or a character that cannot be seen": any(map(_is_unseen, text[:_LONGEST])),
        "it holds several addresses, give each as its own entry": unquoted.count("@") > 1
        or ";" in unquoted
        or "," in unquoted.partition("<")[2],
        "a name with a comma must stand in double quotes": "," in unquoted and "<" in unquoted,
        "there is no @ in it": "@" not in text,
        "there is no domain after the @": bool(re.search(r"@\s*>?\s*\Z", text[:_LONGEST])),
    }
    return next((complaint for complaint, applies in checks.items() if applies), "")


def _is_unseen(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character) in _UNSEEN


def _as_clause(sentences: str) -> str:
    sentence = one_line(sentences, 300).rstrip(".").replace(". ", "; ")
    return sentence[:1].lower() + sentence[1:]


def _unusable(text: str, complaint: str) -> InvalidArguments:
    shown = one_line(text[:_LONGEST], _SHOWN)
    return InvalidArguments(f"{shown!r} is not an address to write to ({complaint}): {_FORM}.")


def _name(named: re.Match[str] | None) -> str:
    if named is None:
        return ""
    quoted = named["quoted"]
    return one_line(named["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted), 200)


def _checked(email: str, text: str) -> tuple[str, str, str]:
    """Local part, domain and ASCII domain of an address; raises InvalidArguments about `text`."""
    from email_validator import EmailNotValidError, validate_email

    top = _TEST_TOP.search(email)
    try:
        valid = validate_email(
            _TEST_TOP.sub("test", email),
            check_deliverability=False,
            test_environment=True,
            globally_deliverable=False,
            allow_quoted_local=True,
        )
    except EmailNotValidError as error:
        raise _unusable(text, _as_clause(str(error))) from None
    local = valid.normalized.rpartition("@")[0]
    domains = valid.domain, valid.ascii_domain or valid.domain
    unicode, ascii_only = (_TEST_END.sub(top[0].lower(), domain) if top else domain for domain in domains)
    return local, unicode, ascii_only


def _key(address: Address) -> str:
    return address.ascii.casefold()


def mailbox(text: str) -> str:
    """Return what two spellings of one address share; of what is no address, the text itself. Never raises."""
    try:
        return _key(parse_address(text))
    except InvalidArguments:
        return text.strip().casefold()
