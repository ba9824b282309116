"""Conditions that say what a test wants them to, as long as the policy has none of its own."""

from __future__ import annotations

from typing import Any

from authz_middleware.policy.needs import Asked, ConditionFailed, Verdict, When


class Says:
    """Returns `result`, or raises it; counts how often it was asked."""

    from_client = False

    def __init__(
        self,
        result: Any,
        text: str = "said",
        *,
        reads_caller: bool = True,
        reads_request: bool = False,
    ) -> None:
        self.result = result
        self.text = text
        self.reads_caller = reads_caller
        self.reads_request = reads_request
        self.asked = 0

    def holds(self, asked: Asked) -> bool:
        self.asked += 1
        if isinstance(self.result, BaseException):
            raise self.result
        said: bool = self.result(asked) if callable(self.result) else self.result
        return said

    @classmethod
    def need(cls, value: Verdict) -> When:
        return When(cls(ConditionFailed("unknown") if value is None else value))
