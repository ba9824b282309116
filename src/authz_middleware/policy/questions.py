"""Questions that rules put to a decision point elsewhere, and what was said to them.

A question is the same if all of it is: so what is said to one is never taken for an answer to
another, such as that of the route to which an app has led the request meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from authz_middleware.policy.parameters import Params

__all__ = [
    "NOT_PUT",
    "NO_ANSWERS",
    "Answers",
    "Elsewhere",
    "Question",
    "Questions",
    "Said",
    "Unanswered",
    "question_of",
]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why there is no yes and no no: the detail for the log, which holds nothing of the answer."""

    why: str


NOT_PUT: Final = Unanswered("not_asked")

Said: TypeAlias = bool | Unanswered
"""True is yes, False is no; all else is an error."""


class Elsewhere(NamedTuple):
    """What a rule knows of the decision point that it asks.

    `denies` is whether one that says nothing is answered as if it had said no.
    """

    url: str
    denies: bool = False


class Question(NamedTuple):
    """Whether the caller may do this, put to one decision point.

    `method` is upper case, "GET" for HEAD, "WS" for a WebSocket handshake. `route` is the template
    as OpenAPI writes it, `params` are what stands in its places, as text, sorted by name.
    """

    pdp: str
    method: str
    route: str
    params: tuple[tuple[str, str], ...]


class Questions(NamedTuple):
    """Questions on which an outcome hangs, all to one decision point, each once."""

    each: tuple[Question, ...]


Answers: TypeAlias = Mapping[Question, Said]
"""What was said to the questions of one request so far."""

NO_ANSWERS: Final[Answers] = {}


def question_of(pdp: str, method: str, route: str, params: Params) -> Question:
    """Return the question about a request that was found by this method and these parameters."""
    method = "GET" if method == "HEAD" else method  # as conditions read it (RFC 9110 §9.3.2)
    # As text: many a parser reads a number of JSON as a double, and takes one object for another.
    texts = sorted((name, str(value)) for name, value in params.items())
    return Question(pdp, method, route, tuple(texts))
