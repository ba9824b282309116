"""An audit as text that a repository keeps: a change of who may call what is a change of lines.

It says nothing of where rules stand, of the machine or of handlers' names: moving them changes
nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Final

from authz_middleware.analysis.auditing import Audit, AuditedRoute
from authz_middleware.policy.binding import methods_shown
from authz_middleware.policy.words import printable

__all__ = ["NotASnapshot", "changes_since", "snapshot"]

HEAD: Final = "# Who may call each route, written by `authz audit`. Format 1."


class NotASnapshot(ValueError):
    """A text that `snapshot` did not write, or that of another version did."""


def snapshot(audit: Audit) -> str:
    """Return `audit` as text, the same for the same app and policy, wherever it is made."""
    return "\n".join(_lines(audit)) + "\n"


def changes_since(text: str, audit: Audit) -> list[str]:
    """Return the lines that differ from the snapshot `text`, as a unified diff; none if none do.

    However its lines end. Raises NotASnapshot.
    """
    before = text.removeprefix("\ufeff").replace("\r\n", "\n").rstrip("\n").split("\n")
    if before[0] != HEAD:
        raise NotASnapshot(f"its first line is not `{HEAD}`")
    # Of a route the lines above the changed one are shown, so that its name is.
    return [*difflib.unified_diff(before, [*_lines(audit)], "before", "now", lineterm="", n=4)]


def _lines(audit: Audit) -> Iterator[str]:
    yield HEAD
    # An app may have several routes of one path.
    for lines in dict.fromkeys(tuple(_of_route(each)) for each in audit.routes):
        yield ""
        yield from map(printable, lines)
    found = sorted({*_found(audit)})
    if found:
        yield ""
        yield from map(printable, found)


def _of_route(each: AuditedRoute) -> Iterator[str]:
    example = f" (as {each.example})" if each.example else ""
    kind = f" ({each.kind})" if each.kind != "handler" else ""
    yield f"{methods_shown(each.methods)} {each.host}{each.route}{example}{kind}"
    yield f"  {each.state}: {each.who}"
    if each.roles:
        yield f"  with the roles: {', '.join(each.roles)}"
    for rule in each.rules:
        yield f"  by {rule.key}"
    yield f"  looks: {each.looks}"


def _found(audit: Audit) -> Iterator[str]:
    """Yield what no route shows: rules without a route, and what cannot be seen."""
    for each in audit.differences:
        also = "".join(f", and must meet {rule.key}" for rule in each.also)
        yield f"differs: {each.method} {each.path} is taken by {each.taken}{also}"
    for gap in audit.gaps:
        if gap.kind in ("dead", "unconverted"):
            yield f"{gap.kind}: {gap.what}"
    for name in audit.between:
        yield f"opaque: {name}"
    for notice in audit.notices:
        yield f"{notice.kind}: {notice.about}"
