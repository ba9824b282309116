"""A condition out of a policy: its mistakes go to the report, each with its own place."""

from __future__ import annotations

from collections.abc import Mapping

from authz_middleware.document import Section
from authz_middleware.policy.conditions.condition import Condition, Rejected, compile_condition
from authz_middleware.policy.conditions.evaluator import Uninstalled

__all__ = ["read_condition"]


def read_condition(
    section: Section, name: str = "when", *, params: Mapping[str, str] | None = None
) -> Condition | None:
    """Read the condition under the key `name`; None if there is none, or it was reported."""
    text = section.text(name, example="resource.owner == subject.id")
    if text is None:
        return None
    try:
        return compile_condition(text, params=params)
    except Uninstalled:
        fix = 'run `pip install "authz-middleware[conditions]"`'
        section.error(name, "conditions need an evaluator that is not installed", fix)
        return None
    except Rejected as rejected:
        for mistake in rejected.mistakes:
            section.error_inside(name, text, mistake.at, mistake.what, mistake.fix)
        return None
