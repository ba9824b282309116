"""The text of a condition to tokens, after the lexical grammar of CEL's language definition.

What the grammar has and a policy has no use for (unsigned numbers, bytes, names in backquotes) is
refused with a reason of its own instead of a riddle.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from authz_middleware.policy.conditions.faults import Unreadable

__all__ = ["INT_MAX", "INT_MIN", "RESERVED", "Token", "tokens"]

INT_MIN, INT_MAX = -(2**63), 2**63 - 1

RESERVED = frozenset(
    (
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import"),
        *("in", "let", "loop", "namespace", "null", "package", "return", "true", "var", "void"),
        "while",
    )
)
"""Words that are no names (CEL: RESERVED and the literals)."""

Kind = Literal["name", "int", "double", "text", "mark", "end"]


class Token(NamedTuple):
    """One token. `text` is the source, or for a text its value without quotes and escapes.

    `inside` is where that value begins in the source, if it stands there as it is.
    """

    kind: Kind
    text: str
    at: int
    inside: int | None = None


_TOKEN = re.compile(
    r"""
      (?P<blank>[ \t\r\n\f]+|//[^\n]*)
    | (?P<double>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+
        |\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    | (?P<unsigned>(?:0x[0-9a-fA-F]+|[0-9]+)[uU])
    | (?P<int>0x[0-9a-fA-F]+|[0-9]+)
    | (?P<bytes>[bB][rR]?(?="|'))
    | (?P<raw>[rR](?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n\r]*"|'[^'\n\r]*'))
    | (?P<text>\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}
        |"(?:\\[^\n\r]|[^\\"\n\r])*"|'(?:\\[^\n\r]|[^\\'\n\r])*')
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<mark>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"""\\(?:(?P<plain>[abfnrtv"'\\?`])|[xX](?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})
    |U(?P<U>[0-9a-fA-F]{8})|(?P<octal>[0-3][0-7]{2}))""",
    re.VERBOSE,
)
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SURROGATES = range(0xD800, 0xE000)
_UNKNOWN = {
    "=": ("`=` is no operator", "write `==`"),
    "&": ("`&` is no operator", "write `&&`"),
    "|": ("`|` is no operator", "write `||`"),
    "`": ("a name in backquotes is not supported", 'write `x["a name"]`'),
    '"': ("this text has no end", 'close it with `"`'),
    "'": ("this text has no end", "close it with `'`"),
}


WHOLE = "write the character itself"


def tokens(text: str) -> list[Token]:
    """The tokens of `text`, with one of the kind "end" behind the last. Raises Unreadable."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unknown(text[at], at)
        source, end = match[0], match.end()
        match match.lastgroup:
            case "blank":
                pass
            case "text":
                quote = 3 if source.startswith(('"""', "'''")) else 1
                value = _unescaped(source[quote:-quote], at + quote)
                inside = at + quote if "\\" not in source else None
                found.append(Token("text", _whole(value, at), at, inside))
            case "raw":
                quote = 3 if source.startswith(('"""', "'''"), 1) else 1
                quote += 1
                found.append(Token("text", _whole(source[quote : 1 - quote], at), at, at + quote))
            case "unsigned":
                raise Unreadable(at, "unsigned numbers are not supported", "leave the `u` out")
            case "bytes":
                raise Unreadable(at, "bytes are not supported", "write a text")
            case "name":
                found.append(Token("name", source, at))
            case "int":
                found.append(Token("int", source, at))
            case "double":
                found.append(Token("double", source, at))
            case _:
                found.append(Token("mark", source, at))
        at = end
    found.append(Token("end", "", len(text)))
    return found


def _unknown(character: str, at: int) -> Unreadable:
    if character in _UNKNOWN:
        return Unreadable(at, *_UNKNOWN[character])
    return Unreadable(at, f"{character!a} has no meaning here", "leave it out")


def _whole(value: str, at: int) -> str:
    if any(ord(each) in _SURROGATES for each in value):
        raise Unreadable(at, "this text holds half of a surrogate pair", WHOLE)
    return value


def _unescaped(text: str, start: int) -> str:
    if "\\" not in text:
        return text
    parts: list[str] = []
    at = 0
    while (slash := text.find("\\", at)) >= 0:
        escape = _ESCAPE.match(text, slash)
        if escape is None:
            what = f"`{text[slash : slash + 2]}` is no escape"
            raise Unreadable(start + slash, what, "write `\\\\` for a backslash")
        parts += (text[at:slash], _character(escape, start + slash))
        at = escape.end()
    return "".join((*parts, text[at:]))


def _character(escape: re.Match[str], at: int) -> str:
    if plain := escape["plain"]:
        return _PLAIN.get(plain, plain)
    if octal := escape["octal"]:
        return chr(int(octal, 8))
    code = int(escape["x"] or escape["u"] or escape["U"], 16)
    if code > 0x10FFFF or code in _SURROGATES:
        raise Unreadable(at, f"`{escape[0]}` is no character of Unicode", WHOLE)
    return chr(code)
