"""Domains that a reader could take for one they know. Pure.

What counts was measured on the 58,102 registered names of 125,308 hosts that web pages load from (HTTP Archive, by
way of `third-party-web` 0.30). With 200 random names ending in .com known, another has one of them at a single typing
error by chance in 2.5 % of cases if it has two letters, 0.8 % with three, 0.3 % with four, 0.2 % with five to seven,
0.08 % with eight and 0.02 % from ten on: so typing errors count from five letters, two of them from ten, and one under
another ending from eight. All ways taken together name one in 490 of those names beside 200 others, and near half of
these are the same name under two endings.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from salesos_inbox.mail.nesting import names

_SHARED_NAMES = names("gmx hotmail live outlook yahoo yandex")
_SHARED_DOMAINS = names(
    """
    126.com 163.com aol.com aol.de arcor.de att.net bellsouth.net bigpond.com bk.ru bluewin.ch bol.com.br btinternet.com
    charter.net comcast.net cox.net daum.net email.com email.cz email.de fastmail.com foxmail.com free.fr freenet.de
    gmail.com googlemail.com hanmail.net hey.com home.nl hushmail.com icloud.com inbox.lv inbox.ru interia.pl kpnmail.nl
    laposte.net libero.it list.ru mac.com mail.com mail.de mail.ru mailbox.org me.com msn.com nate.com naver.com o2.pl
    onet.pl online.de op.pl orange.fr planet.nl pm.me posteo.de proton.me protonmail.com qq.com rambler.ru
    rediffmail.com rocketmail.com sbcglobal.net seznam.cz sfr.fr shaw.ca sina.com sky.com skynet.be t-online.de
    telenet.be terra.com.br tiscali.it tuta.com tuta.io tutanota.com ukr.net uol.com.br verizon.net virgilio.it
    wanadoo.fr web.de wp.pl xs4all.nl ya.ru yeah.net ymail.com ziggo.nl zoho.com
    """
)
_PLATFORMS = names(
    """
    atlassian.net freshdesk.com github.io herokuapp.com hubspotemail.net my.salesforce.com myshopify.com netlify.app
    onmicrosoft.com pages.dev sharepoint.com vercel.app web.app wixsite.com workers.dev zendesk.com
    """
)
"""Domains below which strangers have names of their own, as under an ending."""
_SECOND_LEVELS = names(
    """
    ac asso biz co com edu firm gen go gob gouv gov gv id ind info ltd me mil ne net nom nic or org plc sch web
    """
)
"""What stands before a country's letters in an ending such as `co.uk`."""
_MISTYPED_COM = names("cam cm co con om")
_LURES = names(
    """
    account accounts admin alert api app auth bank billing biz blog business care cdn center client cloud co com contact
    corp customer customers data de dev digital direct docs drive email en eu files finance global gmbh group help
    helpdesk hr id inc info intl invoice invoices invoicing io it legal limited llc login ltd mail mailer marketing
    media my net news notification notifications office official online order orders org pay payment payments payroll
    portal pro procurement reply safe sales secure security service services share shop sign signin site solutions sso
    static store support system systems team tech test uk update us usa verify vpn web website websites www
    """
)
"""Words that go with any name, and so make no other name of it."""

_LOOK_LIKE = {
    "a": "аɑαᴀᎪ",
    "b": "ьʙɓβᏴвƅ",
    "c": "сϲᴄⲥƈᏟ",
    "d": "ԁɗɖđᴅꓒᎠð",
    "e": "еҽɛεᴇєᎬ",
    "f": "ƒꜰ",
    "g": "ɡɢցǥɠᏀ",
    "h": "һհʜħɦнᎻ",
    "i": "іɩιɪıɨᎥ",
    "j": "јյϳᴊ",
    "k": "кκᴋĸƙᏦ",
    "l": "ӏլʟɭłƚוןا׀Ꮮ丨",
    "m": "мᴍɱᎷ",
    "n": "ոռпηɴɲɳŋƞ",
    "o": "оοօσᴏøɵסه٥๐໐০०",
    "p": "рρᴘƥþᏢ",
    "q": "ԛզʠ",
    "r": "гʀɾɼᎡ",
    "s": "ѕꜱʂᏚ",
    "t": "тτᴛŧƭʈᎢ",
    "u": "սυᴜʉцμ",
    "v": "ѵνᴠʋⱱᏙ",
    "w": "ԝѡωшщᴡաɯᎳ",
    "x": "хχҳ",
    "y": "уүγʏƴყ",
    "z": "ᴢƶʐᏃ",
    "ae": "æ",
    "oe": "œ",
    "3": "зӡ",
    "-": "‐‑‒–—−ー一",
}
"""Letters of other scripts and extended Latin ones, in the spirit of UTS #39; what compatibility and accents make of
a letter (fullwidth, mathematical, é) needs no entry."""
_TO_LATIN = str.maketrans({alike: letter for letter, those in _LOOK_LIKE.items() for alike in those + those.lower()})
_ALIKE_IN_LATIN = str.maketrans("015i", "olsl")
_ALIKE_TOGETHER = (("rn", "m"), ("vv", "w"), ("cl", "d"))

_DOTS = re.compile("[.。．｡]")
_DIGITS = re.compile(r"\d+")
_LONGEST_HOST, _LONGEST_LABEL = 253, 63
_MOST_PARTS = 4
"""Between hyphens, of a name that is looked for in another."""


class _Host(NamedTuple):
    """A host as it is compared."""

    registered: str
    """Its registered name with the ending."""
    name: str
    ending: str
    plain: str
    """The name in the Latin letters it would be read as."""
    looks: str
    """The name with all that looks alike made one."""
    letters: int
    """Which characters `plain` has, and how often: a bit for each; an error changes two of them at most."""
    shared: bool
    """Whether strangers have their mail there."""
    below: str
    """The looks of all labels before the ending, and of `registered`, each between dots."""
    address: str
    borrowed: frozenset[str]
    """The looks of the names that can be read in it besides its own."""


def look_alike(domain: str, known: Iterable[str]) -> str | None:
    """Return the one of the `known` domains or hosts that `domain` could be mistaken for, or None.

    The likeliest to deceive wins: confusable letters (in Unicode or `xn--`, `rn` for `m`, `1` for `l`), a typing
    error in a name long enough (see above), the same name under another ending, a known name as a part of this one
    (`acme.com.evil.test`, `acme-invoices.com`). What is known itself, or lies below the same registered name, resembles
    nothing, and neither does a domain whose mail strangers share (gmail.com); for those, only letters and errors count.
    """
    host = _read(domain)
    if host is None or host.shared:
        return None
    found: tuple[int, str] | None = None
    for text in known:
        other = _read(text)
        if other is None:
            continue
        if host.registered == other.registered:
            return None
        rank = _resemblance(host, other)
        if rank and (found is None or rank < found[0]):
            found = rank, text
    return found[1] if found else None


def is_shared(domain: str) -> bool:
    """Return whether strangers have their mail at `domain`, so that it says nothing of who somebody is."""
    host = _read(domain)
    return host is not None and host.shared


_LETTERS, _MISTYPED, _ENDING, _BORROWED = 1, 2, 3, 4


def _resemblance(host: _Host, other: _Host) -> int:
    """Return in which way `host` resembles `other`, the likeliest to deceive first; 0 for none."""
    same_ending = host.ending == other.ending or (other.ending == "com" and host.ending in _MISTYPED_COM)
    if host.looks == other.looks:
        return _like_letters(host, other, same_ending)
    limit = _mistakes(host, other)
    if (
        (host.letters ^ other.letters).bit_count() <= 2 * limit  # most pairs end here
        and limit
        and (same_ending or (len(other.plain) >= 8 and not other.shared))
        and _is_within(host.plain, other.plain, limit)
    ):
        return _MISTYPED
    if (other.looks in host.borrowed and not other.shared) or other.address in host.below:
        return _BORROWED
    return 0


def _like_letters(host: _Host, other: _Host, same_ending: bool) -> int:
    """Return how two names resemble each other that look the same, for their letters or for their ending."""
    distinctive = len(other.looks) >= 4 and not other.shared and other.looks not in _LURE_LOOKS
    if host.name == other.name:
        if same_ending:
            return _MISTYPED
        return _ENDING if distinctive and host.ending not in _PLATFORMS else 0
    readable = len(other.looks) >= 3 or not host.name.isascii()  # ai.com and al.com are two firms
    return _LETTERS if distinctive or (same_ending and readable) else 0


def _mistakes(host: _Host, other: _Host) -> int:
    """Return how many typing errors names so long may differ by and still be taken for each other."""
    length = len(other.plain) if other.shared else min(len(host.plain), len(other.plain))
    return 0 if length < 5 else 1 if length < 10 or other.shared else 2


def _is_within(a: str, b: str, limit: int) -> bool:
    """Whether `a` becomes `b` by at most `limit` letters put in, left out, exchanged or swapped with the next."""
    if abs(len(a) - len(b)) > limit:
        return False
    if _DIGITS.sub("", a) == _DIGITS.sub("", b) and _DIGITS.search(a) and _DIGITS.search(b):
        return False  # studio12 and studio14: numbers tell things apart
    before, above = [], list(range(len(b) + 1))
    for row, letter in enumerate(a, 1):
        here = [row]
        for column, other in enumerate(b, 1):
            cost = min(above[column] + 1, here[-1] + 1, above[column - 1] + (letter != other))
            if row > 1 and column > 1 and letter == b[column - 2] and a[row - 2] == other:
                cost = min(cost, before[column - 2] + 1)
            here.append(cost)
        if min(here) > limit:
            return False
        before, above = above, here
    return above[-1] <= limit


@lru_cache(1024)
def _read(domain: str) -> _Host | None:
    """Return a host as it is compared, or None for what is none."""
    if len(domain) > _LONGEST_HOST:
        return None
    labels = [_decoded(label) for label in _DOTS.split(domain.strip().rstrip(".").lower())]
    if len(labels) < 2 or not all(0 < len(label) <= _LONGEST_LABEL for label in labels):
        return None
    ending = _ending(labels)
    looks = [_looks(label) for label in labels]
    below = len(labels) - ending.count(".") - 1
    name = labels[below - 1]
    registered = f"{name}.{ending}"
    plain = _plain(name)
    return _Host(
        registered=registered,
        name=name,
        ending=ending,
        plain=plain,
        looks=looks[below - 1],
        letters=_bits(plain),
        shared=registered in _SHARED_DOMAINS or (name in _SHARED_NAMES and ending not in _MISTYPED_COM),
        below=f".{'.'.join(looks[:below])}.",
        address=f".{'.'.join(looks[below - 1 :])}.",
        borrowed=frozenset(_borrowed(looks[:below])),
    )


def _decoded(label: str) -> str:
    """Return a label as people read it (RFC 3492), in one form for one look."""
    if label.startswith("xn--"):
        with suppress(ValueError):
            label = label[4:].encode("ascii").decode("punycode").lower()
    return unicodedata.normalize("NFC", label)


def _ending(labels: list[str]) -> str:
    for count in (3, 2):
        ending = ".".join(labels[-count:])
        if len(labels) > count and (ending in _PLATFORMS or (count == 2 and _is_second_level(*labels[-2:]))):
            return ending
    return labels[-1]


def _is_second_level(second: str, top: str) -> bool:
    return len(top) == 2 and second in _SECOND_LEVELS


def _plain(label: str) -> str:
    letters = unicodedata.normalize("NFKD", label.translate(_TO_LATIN)).translate(_TO_LATIN)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _looks(label: str) -> str:
    looks = _plain(label).translate(_ALIKE_IN_LATIN)
    for pair, letter in _ALIKE_TOGETHER:
        looks = looks.replace(pair, letter)
    return looks


def _bits(text: str) -> int:
    bits = 0
    for letter in text:
        bit = 1 << ord(letter) % 64
        while bits & bit:
            bit <<= 64
        bits |= bit
    return bits


_LURE_LOOKS = frozenset(map(_looks, _LURES))


def _borrowed(labels: list[str]) -> Iterator[str]:
    """Yield the names, by their looks, that somebody might read in a host although it is not theirs.

    A label before the registered name, a part between hyphens, and what a lure is glued to (`acmelogin`). The
    more may stand beside it, the longer a name has to be to count.
    """
    yield from (label for label in labels[:-1] if len(label) >= 4 and label not in _LURE_LOOKS)
    for label in labels:
        yield from _hyphenated(label.split("-"))
        for place in range(1, len(label)):
            if len(label) - place >= 5 and label[:place] in _LURE_LOOKS:
                yield label[place:]
            if place >= 5 and label[place:] in _LURE_LOOKS:
                yield label[:place]


def _hyphenated(parts: list[str]) -> Iterator[str]:
    for start in range(len(parts)):
        for end in range(start + 1, min(start + _MOST_PARTS, len(parts) - (start == 0)) + 1):
            name = "-".join(parts[start:end])
            lured = _LURE_LOOKS.issuperset(parts[:start] + parts[end:])
            if len(name) >= (2 if lured else 5) and name not in _LURE_LOOKS:
                yield name
