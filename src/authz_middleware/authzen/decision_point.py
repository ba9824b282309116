"""`[pdp.NAME]`: a decision point elsewhere, how it is asked, and what holds if it does not answer.

AuthZEN Authorization API 1.0, "PDP Metadata" and "HTTPS JSON Binding". Its metadata are not asked
for: the policy says where the endpoints are, if they are not in their usual places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from authz_middleware.authzen.endpoints import EVALUATION, EVALUATIONS
from authz_middleware.document import Section
from authz_middleware.tokens import key_sources
from authz_middleware.tokens.credentials import B64TOKEN, secret_text
from authz_middleware.tokens.key_sources import ReadFile

__all__ = [
    "BREAKER_KEYS",
    "DEFAULT_FAILURES",
    "DEFAULT_PAUSE",
    "DEFAULT_TIMEOUT",
    "MAX_FAILURES",
    "MAX_PAUSE",
    "MAX_TIMEOUT",
    "PDP_KEYS",
    "DecisionPoint",
    "read",
]

_ENDPOINTS: Final = ("access_evaluation_endpoint", "access_evaluations_endpoint")
_TOKENS: Final = ("token_env", "token_file")
PDP_KEYS: Final = ("url", *_ENDPOINTS, *_TOKENS, "timeout", "on_failure", "breaker")
BREAKER_KEYS: Final = ("failures", "pause")

DEFAULT_TIMEOUT: Final = 2.0
MAX_TIMEOUT: Final = 60.0
"""Seconds that a decision point may take for all that it is asked at once."""

DEFAULT_FAILURES: Final = 5
MAX_FAILURES: Final = 1000
"""Failures in a row after which it is left alone."""

DEFAULT_PAUSE: Final = 10.0
MAX_PAUSE: Final = 3600.0
"""Seconds for which it is left alone then."""


@dataclass(frozen=True, slots=True)
class DecisionPoint:
    """Where one decision point is asked, how we say who asks, and for how long it is waited for."""

    name: str
    evaluation: str  # the URL for one question
    evaluations: str | None  # ... and for several; None: they are put one by one
    authorization: str | None = field(default=None, repr=False)  # the field's value
    timeout: float = DEFAULT_TIMEOUT  # seconds
    denies: bool = False  # whether no answer is answered as a no
    failures: int = DEFAULT_FAILURES
    pause: float = DEFAULT_PAUSE  # seconds


def read(
    root: Section, *, read_file: ReadFile, environ: Mapping[str, str]
) -> Mapping[str, DecisionPoint]:
    """Read `[pdp.…]`, by name; mistakes go to the section's report.

    What has a mistake is there too, so that a rule that names it is not a second one.
    """
    section = root.table("pdp")
    if section is None:
        return {}
    tables = ((name, section.table(name)) for name in section)
    return {
        name: _point(name, table, read_file, environ) for name, table in tables if table is not None
    }


def _point(
    name: str, table: Section, read_file: ReadFile, environ: Mapping[str, str]
) -> DecisionPoint:
    table.only(PDP_KEYS)
    url = _url(table).removesuffix("/")
    one, several = _ENDPOINTS
    failures, pause = _breaker(table)
    return DecisionPoint(
        name,
        _endpoint(table, one) or url + EVALUATION,
        None if table.raw(several) is False else _endpoint(table, several) or url + EVALUATIONS,
        _authorization(table, read_file, environ),
        _timeout(table),
        _denies(table),
        failures,
        pause,
    )


def _url(table: Section) -> str:
    url = table.text("url", "", example="https://pdp.example.com")
    if "url" not in table:
        table.error(None, "`url` is missing", "write the identifier of the decision point, a URL")
    elif url and (problem := key_sources.url_problem(url)):
        table.error("url", f"`url` {problem[0]}", problem[1])
    elif (url and urlsplit(url).query) or url.endswith("?"):
        what = "`url` has a query, and the identifier of a decision point has none"
        table.error("url", what, "write it without")
    return url


def _endpoint(table: Section, name: str) -> str | None:
    endpoint = table.text(name, example="https://pdp.example.com/access/v1/evaluation")
    if endpoint and (problem := key_sources.url_problem(endpoint)):
        table.error(name, f"`{name}` {problem[0]}", problem[1])
    return endpoint


def _authorization(table: Section, read_file: ReadFile, environ: Mapping[str, str]) -> str | None:
    if not any(name in table for name in _TOKENS):
        return None
    return f"Bearer {secret_text(table, 'token', B64TOKEN, read_file, environ)}"


def _timeout(table: Section) -> float:
    seconds = table.number("timeout", DEFAULT_TIMEOUT, unit="seconds")
    if not 0 < seconds <= MAX_TIMEOUT:
        what = f"`timeout` is more than 0 and at most {MAX_TIMEOUT:g} seconds"
        table.error("timeout", what, f"write `{table.example('timeout', DEFAULT_TIMEOUT)}`")
        return DEFAULT_TIMEOUT
    return float(seconds)


def _denies(table: Section) -> bool:
    chosen = table.text("on_failure", "unavailable")
    if chosen not in ("unavailable", "deny"):
        table.error(
            "on_failure",
            f'`on_failure` cannot be "{chosen}"',
            'write "unavailable" (503) or "deny" (403): nobody is let in without a yes',
        )
    return chosen == "deny"


def _breaker(table: Section) -> tuple[int, float]:
    breaker = table.table("breaker")
    if breaker is None:
        return DEFAULT_FAILURES, DEFAULT_PAUSE
    breaker.only(BREAKER_KEYS)
    failures = breaker.number("failures", DEFAULT_FAILURES)
    if not isinstance(failures, int) or not 1 <= failures <= MAX_FAILURES:
        what = f"`failures` is a whole number from 1 to {MAX_FAILURES}"
        breaker.error("failures", what, f"write `{breaker.example('failures', DEFAULT_FAILURES)}`")
        failures = DEFAULT_FAILURES
    pause = breaker.number("pause", DEFAULT_PAUSE, unit="seconds")
    if not 0 < pause <= MAX_PAUSE:
        what = f"`pause` is more than 0 and at most {MAX_PAUSE:g} seconds"
        breaker.error("pause", what, f"write `{breaker.example('pause', DEFAULT_PAUSE)}`")
        pause = DEFAULT_PAUSE
    return failures, float(pause)
