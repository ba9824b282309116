"""A decision point on loopback that says what a test tells it to, and keeps what it was asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.runtime.provider import Behaviour, Provider, answer

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"


class Decider:
    """`says` is what is answered to one question, by the `path` of its resource; else `otherwise`.

    A behaviour at an endpoint of `provider` takes the place of all that.
    """

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.url = provider.origin
        self.says: dict[str, Any] = {}
        self.otherwise: Any = True
        provider.at[EVALUATION] = self._one
        provider.at[EVALUATIONS] = self._several

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The body of every request so far."""
        return [json.loads(body) for body in self.provider.bodies]

    @property
    def paths(self) -> list[str]:
        """The path of every question so far, in order."""
        return [
            one["resource"]["properties"]["path"]
            for body in self.asked
            for one in body.get("evaluations", [body])
        ]

    def becomes(self, behaviour: Behaviour) -> None:
        """Answer like this to whatever is asked from now on."""
        self.provider.at[EVALUATION] = self.provider.at[EVALUATIONS] = behaviour

    def _said(self, question: dict[str, Any]) -> dict[str, Any]:
        path = question["resource"]["properties"]["path"]
        return {"decision": self.says.get(path, self.otherwise)}

    def _one(self, handler: Any) -> None:
        self._send(handler, self._said(json.loads(handler.posted)))

    def _several(self, handler: Any) -> None:
        questions = json.loads(handler.posted)["evaluations"]
        self._send(handler, {"evaluations": [self._said(each) for each in questions]})

    @staticmethod
    def _send(handler: Any, body: Any) -> None:
        answer(body, content_type="application/json")(handler)


@contextmanager
def deciding() -> Iterator[Decider]:
    """Run one while the block runs."""
    with Provider().running() as provider:
        yield Decider(provider)
