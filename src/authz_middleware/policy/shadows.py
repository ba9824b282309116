"""What is on trial in a policy: `mode = "shadow"` on a rule, or on a part of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from authz_middleware.document import Section

__all__ = ["check_mode", "has_shadows", "holds", "is_shadow", "parts"]


def is_shadow(value: object) -> bool:
    """Whether a requirement is on trial."""
    return (
        isinstance(value, Mapping) and cast("Mapping[str, object]", value).get("mode") == "shadow"
    )


def has_shadows(root: Section) -> bool:
    """Whether a rule, or a part of one, is on trial."""
    routes: object = root.raw("routes")
    return isinstance(routes, Mapping) and holds(cast("object", routes))


def holds(value: object) -> bool:
    """Whether something in a value of the document is on trial."""
    inside: Iterable[object] = ()
    if isinstance(value, Mapping):
        inside = cast("Mapping[str, object]", value).values()
    elif isinstance(value, list):
        inside = cast("list[object]", value)
    return is_shadow(cast("object", value)) or any(map(holds, inside))


def parts(table: Section) -> Iterator[object]:
    """Yield every requirement that stands in a table."""
    for name in ("any", "all"):
        if isinstance(value := table.raw(name), list):
            yield from cast("list[object]", value)
    yield table.raw("not")


def check_mode(table: Section) -> None:
    """Report a `mode` that there is not."""
    mode = table.text("mode", example="shadow")
    if mode not in (None, "shadow"):
        table.error("mode", f'`mode` cannot be "{mode}"', 'write "shadow", or leave it out')
