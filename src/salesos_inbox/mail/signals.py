"""What was seen in a message that its reader should know of: facts in our words, never a verdict.

The sentences stand outside the fence, so they hold no word of a sender: only our words, numbers, and domains the user
knows. They are short, because each word costs tokens, and ordinary mail between people has none of them.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from urllib.parse import urlsplit

from salesos_inbox.mail.assistants import speaks_to_assistant
from salesos_inbox.mail.html import HIDDEN_SAMPLE
from salesos_inbox.mail.links import Link
from salesos_inbox.mail.lookalikes import look_alike
from salesos_inbox.mail.nesting import names
from salesos_inbox.mail.reading import Reading
from salesos_inbox.mail.unicode import clean

MOST_UNSEEN = 20
"""So many unseen characters stand in a message by chance: soft hyphens, marks of a byte order, what editors leave."""
FEWEST_HIDDEN = 20
"""Fewer hidden characters are no text: a bullet, "&nbsp;", an empty cell's word."""
_HOSTS_COMPARED = 50
_NAMED = 3
_PREHEADER = 200
"""Newsletters hide less than so many letters as a second line for lists of mail."""

_BARE_ADDRESS = re.compile(r"(?:\d{1,3}(?:\.\d{1,3}){3}|0x[0-9a-f]+|\d{8,10}|.*:.*)\Z", re.IGNORECASE)
_PLAIN_DOMAIN = re.compile(r"(?=.{1,60}\Z)(?:[^\W_]{1,24}(?:-[^\W_]{1,24}){0,2}\.){1,4}[^\W_]{2,24}")
_SCRIPTED = re.compile(r"(?:javascript|vbscript|data):", re.IGNORECASE)
_ADDRESS = re.compile(r"[\w.+'-]+@((?:[\w-]+\.)+[^\W\d_]{2,})")
_PROGRAMS = names(
    "exe com scr pif bat cmd js jse vbs vbe wsf wsh hta ps1 psm1 msi msp mst jar lnk url cpl reg iso img vhd vhdx appx "
    "application gadget inf scf sct chm dll xll app dmg pkg command apk deb rpm desktop"
)
_COUNTRY, _BELOW_A_COUNTRY = 2, 3
"""How many letters a country has in a host, and at most the label before it in an ending such as `co.uk`."""


class Signal(StrEnum):
    """What kinds of facts there are."""

    ADDRESSED_TO_ASSISTANT = "addressed_to_assistant"
    HIDDEN_TEXT = "hidden_text"
    UNSEEN_CHARACTERS = "unseen_characters"
    OWN_ADDRESS = "own_address"
    LOOK_ALIKE = "look_alike"
    SENDER_NAME = "sender_name"
    MISMATCHED_LINK = "mismatched_link"
    UNUSUAL_LINK = "unusual_link"
    PROGRAM_ATTACHED = "program_attached"
    FIRST_CONTACT = "first_contact"


def signals(
    reading: Reading,
    *,
    sender: str,
    sender_name: str = "",
    subject: str = "",
    attachment_names: Sequence[str] = (),
    known_domains: Collection[str] = (),
    first_contact: bool | None = None,
    own_address: bool = False,
    is_mass: bool = False,
) -> tuple[str, ...]:
    """Return each fact as `code: sentence`, none of them twice.

    `known_domains` are the user's own and those of people they wrote to; `first_contact` says whether the sender is
    new to them, None where that is not known; `own_address` that it names the user as its sender; `is_mass` that it
    went to many or a machine sent it, so that a hidden preheader is no news.
    """
    facts: Iterator[tuple[Signal, str | None]] = iter(
        (
            (Signal.ADDRESSED_TO_ASSISTANT, _addressed(reading, sender_name, subject, attachment_names)),
            (Signal.HIDDEN_TEXT, _hidden(reading, is_mass=is_mass)),
            (Signal.UNSEEN_CHARACTERS, _unseen(reading, sender_name, subject, attachment_names)),
            (Signal.OWN_ADDRESS, "it came in with the user's own address as its sender" if own_address else None),
            (Signal.LOOK_ALIKE, _alike(sender, reading.links, known_domains)),
            (Signal.SENDER_NAME, _misnamed(sender_name, sender)),
            (Signal.MISMATCHED_LINK, _mismatched(reading.links)),
            (Signal.UNUSUAL_LINK, _unusual(reading.links)),
            (Signal.PROGRAM_ATTACHED, _programs(attachment_names)),
            (Signal.FIRST_CONTACT, "no earlier mail with this sender" if first_contact else None),
        )
    )
    return tuple(f"{code}: {sentence}" for code, sentence in facts if sentence)


def _addressed(reading: Reading, sender_name: str, subject: str, attachment_names: Sequence[str]) -> str | None:
    places = {
        "its text": "\n\n".join((reading.text, reading.signature)),
        "its hidden text": reading.hidden,
        "what it quotes": reading.quoted,
        "its subject": subject,
        "the sender's name": sender_name,
        "an attachment's name": "\n".join(attachment_names),
    }
    speaking = [place for place, text in places.items() if speaks_to_assistant(text)]
    return f"{_listed(speaking)} {_verb(speaking, 'speaks', 'speak')} to an AI assistant" if speaking else None


def _hidden(reading: Reading, *, is_mass: bool) -> str | None:
    shown = len("".join(clean(reading.hidden).text.split()))
    if shown < (_PREHEADER if is_mass and not speaks_to_assistant(reading.hidden) else FEWEST_HIDDEN):
        return None
    count = shown if len(reading.hidden) < HIDDEN_SAMPLE else reading.hidden_chars
    return f"{count} characters that a reader would not see, left out"


def _unseen(reading: Reading, sender_name: str, subject: str, attachment_names: Sequence[str]) -> str | None:
    if reading.removed_chars > MOST_UNSEEN:
        return f"{reading.removed_chars} taken out"
    if any(clean(text).removed for text in (sender_name, subject, *attachment_names)):
        return "taken out of the subject or a name"
    return None


def _alike(sender: str, links: Iterable[Link], known: Collection[str]) -> str | None:
    domain = sender.rpartition("@")[2]
    if (resembled := look_alike(domain, known)) is not None:
        return f"the sender's domain resembles {_named(resembled)}"
    if _is_disguised(domain):
        return "the sender's domain has letters of another script that look Latin"
    hosts: dict[str, int] = {}
    for link in links:
        if link.host and len(hosts) < _HOSTS_COMPARED:
            hosts.setdefault(link.host, link.number)
    for host, number in hosts.items():
        if (resembled := _resembled(host, known)) is not None:
            return f"the host of link {number} resembles {_named(resembled)}"
        if _is_disguised(host):
            return f"the host of link {number} has letters of another script that look Latin"
    return None


def _named(known: str) -> str:
    """Return a known domain, or that it is one: it may be that of a bystander, and long enough to say much."""
    return known if _PLAIN_DOMAIN.fullmatch(known) else "that of somebody the user wrote to"


def _resembled(host: str, known: Collection[str]) -> str | None:
    """Return the known domain that a link's host could be mistaken for.

    What stands before the registered name is a customer's name at many a service (acme.slack.com), so of that only a
    whole known domain counts (acme.com.evil.test).
    """
    inside = next(
        (other for other in known if f".{other}." in f".{host}" and not f".{host}".endswith(f".{other}")), None
    )
    return inside or look_alike(_registered(host), known)


def _registered(host: str) -> str:
    labels = host.split(".")
    country = len(labels) > 2 and len(labels[-1]) == _COUNTRY and len(labels[-2]) <= _BELOW_A_COUNTRY
    return ".".join(labels[-3 if country else -2 :])


def _is_disguised(host: str) -> bool:
    """Whether a label of the host mixes Latin letters with Cyrillic, Greek or others that look like them."""
    return not (host.isascii() and "xn--" not in host) and any(map(_mixes_scripts, map(_decoded, host.split("."))))


def _decoded(label: str) -> str:
    if label.startswith("xn--"):
        with suppress(ValueError):
            return label[4:].encode("ascii").decode("punycode")
    return label


def _mixes_scripts(label: str) -> bool:
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in label if letter.isalpha()}
    return "LATIN" in scripts and bool(scripts & {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"})


def _misnamed(sender_name: str, sender: str) -> str | None:
    own = sender.rpartition("@")[2].casefold()
    named = {domain.casefold() for domain in _ADDRESS.findall(sender_name[:1000])}
    return "holds an address at another domain than the sender's" if named - {own} else None


def _mismatched(links: Iterable[Link]) -> str | None:
    numbers = [link.number for link in links if link.named]
    if not numbers:
        return None
    if len(numbers) == 1:
        return f"link {numbers[0]} names another host than it leads to"
    return f"{_numbered('link', numbers)} name other hosts than they lead to"


def _unusual(links: Sequence[Link]) -> str | None:
    ways = {
        "to a bare IP address": [link.number for link in links if link.host and _BARE_ADDRESS.match(link.host)],
        "to a script or to data": [link.number for link in links if _SCRIPTED.match(link.url)],
        "past a name that looks like a host": [link.number for link in links if _has_user(link)],
    }
    facts = [
        f"{_numbered('link', numbers)} {_verb(numbers, 'leads', 'lead')} {where}"
        for where, numbers in ways.items()
        if numbers
    ]
    return "; ".join(facts) or None


def _has_user(link: Link) -> bool:
    """Whether a link has a host's name before an "@", where a browser takes it for a user (https://acme.com@evil.test)."""
    if not link.host or "@" not in link.url:
        return False
    with suppress(ValueError):
        return "." in (urlsplit(link.url).username or "")
    return False


def _programs(attachment_names: Sequence[str]) -> str | None:
    numbers = [number for number, name in enumerate(attachment_names, 1) if _ending(name) in _PROGRAMS]
    if not numbers:
        return None
    are = _verb(numbers, "is a program by its name", "are programs by their names")
    return f"{_numbered('attachment', numbers)} {are}"


def _ending(name: str) -> str:
    _, dot, ending = clean(name).text.rstrip(". ").rpartition(".")
    return ending.casefold() if dot else ""


def _numbered(what: str, numbers: Sequence[int]) -> str:
    """Return "link 2", "links 2 and 4", or "links 2, 4, 5 and 7 more"."""
    shown = [str(number) for number in numbers[:_NAMED]]
    more = [f"{len(numbers) - _NAMED} more"] if len(numbers) > _NAMED else []
    return f"{what}{'s' if len(numbers) > 1 else ''} {_listed(shown + more)}"


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1])))


def _verb(subjects: Sequence[object], one: str, several: str) -> str:
    return one if len(subjects) == 1 else several
