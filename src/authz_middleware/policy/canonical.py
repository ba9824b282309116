"""One canonical path or none: what two parties could read in two ways is refused (RFC 3986 §6).

A guard and a router that disagree about one path are the commonest hole of this field: `//`, dot
segments, an escape that survives decoding, `;` parameters, a newline before a regular
expression's `$`, a fullwidth solidus. No reading of such a path is right for every server, proxy
and router, so there is none: the answer is 400. The path is never rewritten and handed on.
"""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import category, normalize

__all__ = [
    "MAX_LENGTH",
    "canonical",
    "fold",
    "from_wsgi",
    "holds_encoded_slash",
    "readings",
    "text_readings",
]

MAX_MARKS = 30
_MARKS_IN_DISGUISE = "\uff9e\uff9f"  # the only letters whose NFKC form is a mark

MAX_LENGTH = 8192
"""Characters of the longest path that is read. Servers cap the request line between 4 and 64 KiB
(RFC 9112 §3 recommends at least 8000 octets), so nothing plain is longer."""

# The plain path in one pass: printable ASCII without `# % / ; ? \` and space, in segments that are
# neither `.` nor `..`, with spaces only inside. Possessive, so that a refusal costs no retries.
_SEGMENT = r"/(?!\.{1,2}(?:/|\Z))[!\"$&-.0-:<->@-\[\]-~]++(?: ++[!\"$&-.0-:<->@-\[\]-~]++)*+"
_plain = re.compile(rf"(?:{_SEGMENT})++").fullmatch

# `;` starts parameters that some routers strip; `?` and `#` end the path for whoever parses again;
# `\` is a `/` to some. An escape left over means that somebody may decode once more. U+FFFD stands
# for bytes that were not UTF-8. The rest are Unicode's default-ignorable code points (UAX #44)
# that `str.isprintable` lets pass: they do not show, and comparisons may skip them.
_refused = re.compile(
    r"[;?#\\]|%(?:[0-9A-Fa-f]{2}|[uU][0-9A-Fa-f]{4})|"
    "[\ufffd\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
).search


def canonical(path: str) -> str | None:
    """Return the one reading of a percent-decoded `path`, or None if it has more than one.

    `/items` and `/items/` are one path: a single trailing slash is dropped, `/` stays.
    """
    if len(path) > MAX_LENGTH:
        return None
    trimmed = path[:-1] if path[-1:] == "/" else path
    if _plain(trimmed) or path == "/":
        return trimmed or "/"
    if path.isascii() and "%" not in path:
        return None  # the pattern above says all there is to say about plain ASCII
    if not _has_one_reading(trimmed) or not _is_stream_safe(trimmed):
        return None
    # A compatibility form may hold a separator, a dot segment or an escape: U+FF0F, U+2025,
    # U+FF05 before hex digits.
    # Somebody may normalise before routing, so that form must be a path of the same shape.
    folded = normalize("NFKC", trimmed)
    if folded != trimmed and (
        len(folded) > MAX_LENGTH
        or folded.count("/") != trimmed.count("/")
        or not _has_one_reading(folded)
    ):
        return None
    return trimmed


def _has_one_reading(path: str) -> bool:
    """Say whether `path`, without its trailing slash, holds nothing that is read in two ways."""
    # Not printable are exactly the categories Cc Cf Cs Co Cn Zl Zp, and Zs but for the space.
    if path[:1] != "/" or not path.isprintable() or _refused(path):
        return False
    return all(
        segment not in {"", ".", ".."} and segment == segment.strip()
        for segment in path[1:].split("/")
    )


def _is_stream_safe(path: str) -> bool:
    """Say whether no character carries more than 30 marks (UAX #15, "Stream-Safe Text Format").

    Sorting marks takes the square of their number; nothing that is written needs more than a few.
    """
    marks = 0
    for character in path:
        is_mark = category(character)[0] == "M" or character in _MARKS_IN_DISGUISE
        marks = marks + 1 if is_mark else 0
        if marks > MAX_MARKS:
            return False
    return True


def readings(path: str | None, root_path: str) -> tuple[str, ...]:
    """Return every canonical path the app may route on, the likeliest first; () is a 400.

    `path` is None where the server could not decode it. ASGI servers differ on whether `path`
    includes `root_path` (uvicorn puts it in front; hypercorn, granian and daphne leave the target
    alone), and apps differ on where they look for it (one splits at its first occurrence). So
    each of these is a reading, and a prefix without a segment boundary (`/svcadmin` below
    `/svc`), which some strip all the same, is refused.
    """
    whole = None if path is None else canonical(path)
    if whole is None:
        return ()
    root = root_path.rstrip("/")
    if not root:
        return (whole,)
    anywhere = _folded(root)
    if anywhere is None or _hides(root, whole, anywhere):
        return ()
    if whole.startswith(root) and whole[len(root) : len(root) + 1] in {"", "/"}:
        return (whole[len(root) :] or "/", whole)
    # As loose as the loosest app: one that folds case splits where that finds the prefix first.
    found = anywhere.search(whole)
    if found is None:
        return (whole,)
    ends = [found.end()]
    if (exact := whole.find(root)) != -1:
        ends.append(exact + len(root))
    tails = [whole[end:] or "/" for end in ends]
    if any(tail[0] != "/" for tail in tails):
        return ()
    return tuple(dict.fromkeys([whole, *tails]))


@lru_cache(maxsize=64)
def _folded(root: str) -> re.Pattern[str] | None:
    """Return what finds `root` in any letter case; None if `root` is no canonical path."""
    if canonical(root) != root:
        return None
    return re.compile(re.escape(root), re.IGNORECASE)


def _hides(root: str, path: str, anywhere: re.Pattern[str]) -> bool:
    """Whether `path` holds `root` in a spelling that only a normalising app would cut off."""
    if root.isascii() and path.isascii():
        return False
    return fold(path).count(fold(root)) != len(anywhere.findall(path))


def fold(text: str) -> str:
    """Return `text` as a reader without regard to case sees it; upper case first, for U+0131."""
    return normalize("NFKC", text).upper().casefold()


def holds_encoded_slash(target: str) -> bool:
    """Whether the path of a request target holds `%2F`.

    Decoded, it is a separator like any other; apps that route on the raw path keep it as text.
    The target is looked at for nothing else: it may only speak against a request.
    """
    return "%2" in target and "%2f" in target.partition("?")[0].lower()


def from_wsgi(text: str) -> str | None:
    """Return the text that PEP 3333 ("A Note On String Types") hands over as bytes in disguise.

    None if they are not UTF-8: apps differ on what they make of those.
    """
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None


def text_readings(path: str) -> tuple[str, ...]:
    """Return the other spellings a normalising router may see for a canonical `path`.

    These are its NFC and NFKC forms (UAX #15) where they differ from it. One rule must decide
    them all: a caller that gets another rule for one of them has an ambiguous path.
    """
    if path.isascii():
        return ()
    forms = dict.fromkeys((normalize("NFC", path), normalize("NFKC", path)))
    return tuple(form for form in forms if form != path)
