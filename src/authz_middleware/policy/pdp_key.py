"""`pdp`: the decision point that a requirement asks, by its name in `[pdp.NAME]`."""

from __future__ import annotations

from typing import Final

from authz_middleware.document import Section
from authz_middleware.document.paths import quoted
from authz_middleware.policy.names import Names, suggestion
from authz_middleware.policy.needs import Pdp
from authz_middleware.policy.questions import Elsewhere
from authz_middleware.policy.segments import DoubleStar
from authz_middleware.policy.template import Template

__all__ = ["read"]

NAME: Final = "pdp"


def read(table: Section, names: Names, template: Template) -> Pdp | None:
    """Read `pdp`; None if there is none. Mistakes go to the section's report."""
    pdp = table.text(NAME, example="orders-pdp")
    if pdp is None:
        return None
    if pdp not in names.pdps:
        fix = suggestion(pdp, names.pdps, f'write [pdp.{quoted(pdp)}] with `url = "https://…"`')
        table.error(NAME, f"no [pdp.{quoted(pdp)}] says where to ask", fix)
    if any(isinstance(segment, DoubleStar) for segment in template.segments):
        table.error(
            NAME,
            "`**` has no name, so the decision point would not be told which path is asked for",
            "write `<path:rest>` in its place",
        )
    return Pdp(pdp, template.route, *names.pdps.get(pdp, Elsewhere("")))
