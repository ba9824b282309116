"""Other ways to write a path: slashes, dots, encodings, and what else parsers disagree on.

Each function gets a plain path and that of a public route, both percent-encoded as a client would,
and yields request targets: latin-1 text, in which a character is a byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final
from unicodedata import normalize

__all__ = ["TARGETS", "encoded"]


def encoded(path: str) -> str:
    """Percent-encode what a client would (RFC 3986 §3.3)."""
    data = path.encode("utf-8", "surrogatepass")
    return "".join(chr(byte) if chr(byte) in _AS_IT_IS else f"%{byte:02X}" for byte in data)


_AS_IT_IS: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@/"
)
_ALL = tuple(f"%{byte:02x}" for byte in (*range(33), 0x7F))


def _places(path: str) -> list[int]:
    """Where the slashes stand."""
    return [place for place, each in enumerate(path) if each == "/"]


def _swapped(path: str, other: str) -> Iterator[str]:
    """Each slash replaced by `other`, and all of them."""
    for place in _places(path):
        yield path[:place] + other + path[place + 1 :]
    yield path.replace("/", other)


def _slashes(path: str, public: str) -> Iterator[str]:
    for other in ("//", "///", "\\", "/\\", "\\/", "%2f", "%2F", "/%2f", "%2f/", "%5c", "/%5c"):
        yield from _swapped(path, other)
    for end in ("/", "//", "///", "\\", "%2f", "%2F", "%5c", "/%2f", "/%5c", "%2f%2f"):
        yield path + end
    for start in ("////", "/%2f%2f", "%2f%2f", "/\\/", "\\\\"):
        yield start + path[1:]
    yield path[1:]
    yield public + "/" + path
    yield public + "%2f" + path[1:]


def _dots(path: str, public: str) -> Iterator[str]:
    for step in ("/.", "/..", "/...", "/%2e", "/%2E%2e", "/.%2e", "/%2e.", "/..;", "/.;", "/..;x"):
        yield step + path
        yield path + step
        yield path + step + "/"
        for place in _places(path)[1:]:
            yield path[:place] + step + path[place:]
    ups = ("/..", "/%2e%2e", "/%2E%2E", "/.%2e", "/%2e.", "%2f..", "%2f%2e%2e", "\\..", "%5c..")
    depth = max(public.count("/"), 1)
    last = path[path.rfind("/") :]
    for up in (*ups, "/..;", "/..;x=1", "/..%00", "/..%20", "/..%09", "/%252e%252e", "/..%c0%af"):
        yield "/x" + up + path
        yield public + up * depth + path
        yield public + "/x" + up * (depth + 1) + path
        yield path + up + last
        yield path + "/x" + up
        yield "/x" + up + "%2f" + path[1:]
    yield public + "/." + path
    yield "/.//" + path[1:]
    yield "/../../.." + path


def _encodings(path: str, _: str) -> Iterator[str]:
    letters = [place for place, each in enumerate(path) if each.isalnum()]
    for place in dict.fromkeys((*letters[:3], *letters[-2:])):
        before, each, after = path[:place], path[place], path[place + 1 :]
        code = ord(each)
        yield f"{before}%{code:02x}{after}"
        yield f"{before}%{code:02X}{after}"
        yield f"{before}%25{code:02x}{after}"
        yield f"{before}%2525{code:02x}{after}"
        yield f"{before}%u00{code:02x}{after}"
        yield f"{before}%U00{code:02X}{after}"
        yield f"{before}\\u00{code:02x}{after}"
        yield f"{before}&#{code};{after}"
        yield f"{before}%{0xC0 | code >> 6:02x}%{0x80 | code & 63:02x}{after}"  # overlong
        yield f"{before}%e0%{0x80 | code >> 6:02x}%{0x80 | code & 63:02x}{after}"
        for bad in ("%ff", "%c0", "%80", "%ed", "%c3", "%f5%80%80%80", "%ed%a0%80", "\xff", "\x80"):
            yield before + bad + each + after
        for broken in ("%", "%a", "%zz", "%%", "%0"):
            yield before + broken + each + after
    yield "".join(f"%{ord(each):02x}" if each != "/" else each for each in path)
    yield "/" + "".join(f"%{ord(each):02x}" for each in path[1:])
    yield "".join(f"%{ord(each):02x}" for each in path)
    yield "".join(f"%25{ord(each):02x}" if each != "/" else each for each in path)
    yield from _swapped(path, "%252f")
    yield from _swapped(path, "%c0%af")
    yield from _swapped(path, "%u002f")
    for end in ("%", "%2", "%zz", "%ff", "%c0", "%80", "%c3%28", "\xff", "\xc3\xa9", "+", "%2b"):
        yield path + end


def _controls(path: str, _: str) -> Iterator[str]:
    end = path.rfind("/")
    for escape in (*_ALL, "%0d%0a", "%0a%0a", "%c2%85", "%c2%a0", "%85", "%a0"):
        yield path + escape
        yield "/" + escape + path[1:]
        yield path[: end + 1] + escape + path[end + 1 :]
        yield path[:end] + escape + path[end:]
        yield path[:-1] + escape + path[-1:]
        yield escape + path
    for raw in ("\t", "\x00", "\x0b", "\x0c", "\x1f", "\x7f", "\xa0", "\x85"):
        yield path + raw
        yield path[:2] + raw + path[2:]
        yield "/" + raw + path[1:]


_INVISIBLE = (
    *("\u200b", "\u200c", "\u200d", "\ufeff", "\u00ad", "\u2060", "\u202e", "\u2066", "\u061c"),
    *("\u180e", "\u034f", "\u115f", "\u3164", "\ufe0f", "\U000e0061", "\ufffd", "\u0301"),
)
_BLANK = ("\u00a0", "\u2000", "\u2028", "\u2029", "\u3000", "\u1680", "\u0085")
_LIKE_A_SLASH = ("\uff0f", "\u2215", "\u2044", "\u29f8", "\uff3c", "\ufe68", "\u2216")
_LIKE_A_DOT = ("\uff0e", "\u2024", "\ufe52", "\u3002", "\uff61")
_LOOK_ALIKE = {
    "s": "\u017f",
    "i": "\u0131",
    "k": "\u212a",
    "a": "\u0430",
    "e": "\u0435",
    "o": "\u03bf",
}


def _unicode(path: str, public: str) -> Iterator[str]:
    for each in (*_INVISIBLE, *_BLANK):
        text = encoded(each)
        yield path + text
        yield "/" + text + path[1:]
        yield path[:3] + text + path[3:]
        yield path + "/" + text
    for each in _LIKE_A_SLASH:
        yield from _swapped(path, encoded(each))
        yield path + encoded(each)
        yield public + encoded(each) + path[1:]
    for each in _LIKE_A_DOT:
        yield "/" + encoded(each) + path
        yield "/x/" + encoded(each) * 2 + path
        yield public + "/" + encoded(each) * 2 + path
    yield public + "/" + encoded("\u2025") + path  # one character that becomes two dots
    for letter, other in _LOOK_ALIKE.items():
        if letter in path:
            yield path.replace(letter, encoded(other), 1)
    letters = [place for place, each in enumerate(path) if each.isalnum() and each != "/"]
    for place in dict.fromkeys((*letters[:1], *letters[-1:])):
        wide = chr(ord(path[place]) + 0xFEE0)
        yield path[:place] + encoded(wide) + path[place + 1 :]
        yield path[:place] + wide.encode("utf-8").decode("latin-1") + path[place + 1 :]
        yield path[: place + 1] + encoded("\u0301") + path[place + 1 :]
    decomposed = normalize("NFD", "\u00e9")
    yield path + encoded(decomposed)


def _case(path: str, _: str) -> Iterator[str]:
    yield path.upper()
    yield path.title()
    yield path.swapcase()
    yield path[:1] + path[1:2].swapcase() + path[2:]
    yield path[:-1] + path[-1:].swapcase()


def _suffixes(path: str, public: str) -> Iterator[str]:
    ends = (
        *(";", ";x", ";x=1", ";jsessionid=1", "/;", "/;x", "/;/", "%3b", "%3bx", "%3bx=1/y"),
        *("?", "??", "?x", "?/", "%3f", "%3fx", "?;", "?a=/../..", "?x=%0a"),
        *(
            ".",
            "..",
            "~",
            ",",
            ":",
            "*",
            "$",
            "!",
            "'",
            "(",
            ")",
            "=",
            "@",
            "&",
            "+",
            "-",
            "_",
            '"',
        ),
        *("|", "^", "`", "<", ">", "[", "]", "{", "}", "%3c", "%3e", "%7c", "%22"),
        *(
            ".json",
            ".html",
            ".css",
            ".js",
            "/index.html",
            "/index",
            "/x",
            "/x/y",
            "/.css",
            "/.json",
        ),
        *(".format", "/**", "/*", "*", "/%2a", "%0a.css", "%00.css", ";.css", "%3b.css", "?.css"),
        *(
            "%20",
            "%20/",
            "/%20",
            "%20%20",
            "%09",
            "%09/",
            "%20x",
            "+",
            "/+",
            "::$DATA",
            "@@",
            "/@@x",
        ),
    )
    for end in ends:
        yield path + end
    first = path.find("/", 1)
    if first > 0:
        for inner in (";", ";x", ";x=1", "%3b", "%3bx", ".", "%20", "%0a", "%00", "?", "%3f"):
            yield path[:first] + inner + path[first:]
    yield path + "?" + public
    yield public + "?" + path
    yield public + "?/.." + path
    yield public + ";" + path
    yield public + "/;" + path
    yield public + "%3f/.." + path


_DIGITS = ("\u0661", "\u06f1", "\u0967", "\uff11", "\U0001d7cf", "\u00b9", "\u2460")


def _parameters(path: str, _: str) -> Iterator[str]:
    """Texts that some converter takes for the same number, or for another one."""
    for match in re.finditer(r"(?<=/)[0-9]+(?=/|\Z)", path):
        number = match[0]
        texts = [*map(encoded, _DIGITS), *(encoded(number + each) for each in _DIGITS)]
        texts += [f"{sign}{number}" for sign in ("+", "-", "0", "00", "%2b", "%2d", "%20", "%09")]
        texts += [f"{number}{end}" for end in ("_0", ".0", "e0", "%20", "%09", "%0a", "%c2%a0")]
        texts += ["0x" + number, number + "L", "%c2%a0" + number, "1e1", "NaN", "Infinity", "-0"]
        for text in texts:
            yield path[: match.start()] + text + path[match.end() :]


_ROOTS = ("/svc", "/SVC", "/svc%2f", "/sv%63", "/svc;x", "/svc/.", "//svc", "/svc/svc", "/svc/")


def _prefixes(path: str, public: str) -> Iterator[str]:
    junk = ("*", "x", ":", "%00", "\\", "lic", "@", ".", "..", "~", "&", "%20", "%0a", "%ff", "%2e")
    for start in (*junk, "x:", "x/", "%2f", "%3f", "%23", "+", "-", "%c2%a0", "%e2%80%8b"):
        yield start + path
        yield "/" + start + path
        yield "/" + start + path[1:]
    for start in ("/x", "/x/y", "/static", "/api", "/v1", "/index.php", "/app", "/..", "/abc"):
        yield start + path
    yield public + path
    yield public + path[1:]
    yield public + "x" + path


def _root_paths(path: str, public: str) -> Iterator[str]:
    for root in _ROOTS:
        yield root + path
        yield root + path[1:]
        yield public + root + path
        yield "/x" + root + path
        yield root + "/" + path
        yield path + root
    yield "/" + path + "/svc" + path
    yield "/svc/../.." + path
    yield "/svc" + public + "/.." + path


def _absolute(path: str, public: str) -> Iterator[str]:
    hosts = ("localhost", "evil.example", "localhost:80", "u@localhost", "LOCALHOST", "", "[::1]")
    for scheme in ("http", "https", "HTTP", "x", "file", "ws", "javascript"):
        for host in hosts if scheme == "http" else (*hosts[:2], ""):
            yield f"{scheme}://{host}{path}"
    yield "http:" + path
    yield "http:/" + path
    yield "http:///" + path
    yield "//localhost" + path
    yield "///localhost" + path
    yield "http://localhost?" + path
    yield "http://localhost#" + path
    yield "http://localhost" + public + "/.." + path
    yield "http://localhost/" + path
    yield "http%3a//localhost" + path
    yield "http://localhost%2f" + path
    yield "http:\\\\localhost" + path
    yield "http://" + path
    yield "localhost" + path
    yield "localhost:80" + path
    yield "*"
    yield "*" + path


def _fragments(path: str, public: str) -> Iterator[str]:
    for end in ("#", "#x", "#/", "%23", "%23x", "#?x", "?#x", "/#", "#" + public, "#/../" + public):
        yield path + end
    yield public + "#" + path
    yield public + "/../#" + path
    yield public + "#/.." + path
    yield public + "%23/.." + path
    yield "#" + path
    yield "/#" + path


TARGETS: Final[dict[str, Callable[[str, str], Iterator[str]]]] = {
    "slashes": _slashes,
    "dots": _dots,
    "encodings": _encodings,
    "controls": _controls,
    "unicode": _unicode,
    "case": _case,
    "suffixes": _suffixes,
    "parameters": _parameters,
    "prefixes": _prefixes,
    "root paths": _root_paths,
    "absolute form": _absolute,
    "fragments": _fragments,
}
"""The classes of mutations that are only another target."""
