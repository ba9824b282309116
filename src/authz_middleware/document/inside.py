"""Where the characters of a string stand in the text that writes it: past quotes and escapes.

As with the other scanners, no value comes from here. Where the text is not that of the value (a
folded block of YAML, a reference to the environment), the place of the key has to do.
"""

from __future__ import annotations

import re

__all__ = ["characters"]

# JSON and YAML may write one character as a pair of surrogates.
_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPED = re.compile(
    rf"""(?P<nothing>\\[ \t]*\r?\n[ \t\r\n]*)    # the end of a line, escaped: TOML, YAML
    |{_PAIR}|\\x[0-9a-fA-F]{{2}}|\\u[0-9a-fA-F]{{4}}|\\U[0-9a-fA-F]{{8}}|\\.|\r\n|.""",
    re.VERBOSE | re.DOTALL,
)
_LITERAL = re.compile(r"\r\n|.", re.DOTALL)
_DOUBLED = re.compile(r"''|\r\n|.", re.DOTALL)


def characters(text: str, start: int, suffix: str, value: str) -> list[int] | None:
    """The offsets of each character of the string at `start`, and that of its end.

    None if another string than `value` is written there.
    """
    pattern, quote = _style(text, start, suffix)
    at = start + len(quote)
    if len(quote) == 3:  # the first line end after three quotes is no part of the value
        at += 2 if text.startswith("\r\n", at) else text.startswith("\n", at)
    offsets: list[int] = []
    while True:
        found = pattern.match(text, at)
        skipped = found is not None and bool(found.groupdict().get("nothing"))
        if not skipped and len(offsets) == len(value):
            return [*offsets, at] if text.startswith(quote, at) else None
        if found is None or (quote and found[0] == quote):
            return None
        if not skipped:
            if found[0][0] not in (value[len(offsets)], "\\", "\r"):
                return None
            offsets.append(at)
        at = found.end()


def _style(text: str, start: int, suffix: str) -> tuple[re.Pattern[str], str]:
    """How the string at `start` writes its characters, and with which quotes around them."""
    yaml = suffix in (".yaml", ".yml")
    for quote in ("'''", '"""', "'", '"'):
        if text.startswith(quote, start) and not (yaml and len(quote) == 3):
            literal = _DOUBLED if yaml else _LITERAL
            return (_ESCAPED if quote[0] == '"' else literal), quote
    return _LITERAL, ""
