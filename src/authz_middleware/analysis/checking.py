"""What a policy may say, and seldom should, with its place in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import time
from typing import Any, cast

from authz_middleware.analysis.rights import rights_of
from authz_middleware.document import Document, KeyPath, Report, Section
from authz_middleware.errors import Notice
from authz_middleware.policy import review as rules
from authz_middleware.runtime import settings
from authz_middleware.tokens import review as issuers
from authz_middleware.tokens import tenants

__all__ = ["KINDS", "check"]

KINDS = tuple(sorted((*rules.KINDS, *issuers.KINDS, "insecure-option", "unused-pdp")))
"""The kinds of notices there are."""


def check(document: Document, now: float | None = None) -> list[Notice]:
    """Compile `document` and return what looks like a mistake in it, in the order of the text.

    At `now`, in seconds since the epoch; by default that is the time it is.

    Raises `PolicyError` with every mistake that keeps it from being served.
    """
    checked = settings.load(document)
    found = [
        *_insecure(document),
        *_issuers(document, checked, time() if now is None else now),
        *_unused(document, checked),
        *rules.review(checked.policy, rights_of(checked), document.where),
    ]
    return sorted(found, key=lambda notice: _place(notice.where))


def _place(where: str) -> tuple[str, tuple[int, ...]]:
    """Sort by line and column, not by their digits."""
    source, *numbers = where.split(":")
    return source, tuple(int(number) for number in numbers if number.isdigit())


def _issuers(document: Document, checked: settings.Settings, now: float) -> Iterator[Notice]:
    for section in Section.top(Report(document)).tables("issuers"):
        # The tenants of one table differ in nothing that is looked at.
        for name in tenants.names(section)[:1]:
            yield from issuers.review(section, checked.issuers[name], now)


def _unused(document: Document, checked: settings.Settings) -> Iterator[Notice]:
    """Yield the decision points that no rule asks, on trial or not."""
    policies = (checked.policy, checked.shadow or checked.policy)
    for name in checked.pdps.keys() - frozenset[str]().union(*(each.pdps for each in policies)):
        what, fix = f"no rule asks decision point `{name}`", "remove it, or name it in a `pdp`"
        yield Notice("unused-pdp", name, document.where(("pdp", name)), what, fix)


def _insecure(document: Document) -> Iterator[Notice]:
    for path in _named(document.root, ()):
        yield Notice(
            "insecure-option",
            str(path[-1]),
            document.where(path),
            f"`{path[-1]}` takes a protection away",
            "remove it as soon as you can",
        )


def _named(value: object, path: KeyPath) -> Iterator[KeyPath]:
    """Yield where keys stand whose names say that they are insecure."""
    if isinstance(value, Mapping):
        for name, inner in cast("Mapping[str, Any]", value).items():
            if name.startswith("insecure_") and inner is not False:
                yield (*path, name)
            yield from _named(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[Any]", value)):
            yield from _named(inner, (*path, index))
