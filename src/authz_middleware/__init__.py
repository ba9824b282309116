"""Verifies the bearer token of every request to a WSGI or ASGI app and enforces one policy file."""

from __future__ import annotations

from authz_middleware.access import Access, current_access
from authz_middleware.answers import Body, Refusal, RefusalRenderer
from authz_middleware.asgi import ASGIAuthzMiddleware
from authz_middleware.errors import AccessDenied, AuthzError, PolicyError, Problem
from authz_middleware.facts import (
    Actor,
    Answer,
    Claims,
    Decision,
    Finding,
    KeyReadiness,
    PolicyReadiness,
    Principal,
    Readiness,
    RuleFinding,
    RuleRef,
)
from authz_middleware.observe import DecisionEvent, DecisionObserver
from authz_middleware.observe.record import DecisionRecorder
from authz_middleware.runtime.authz import Authz
from authz_middleware.runtime.loaders import AttributeLoader
from authz_middleware.runtime.trials import TrialCounts
from authz_middleware.version import __version__
from authz_middleware.wsgi import WSGIAuthzMiddleware

__all__ = [
    "ASGIAuthzMiddleware",
    "Access",
    "AccessDenied",
    "Actor",
    "Answer",
    "AttributeLoader",
    "Authz",
    "AuthzError",
    "Body",
    "Claims",
    "Decision",
    "DecisionEvent",
    "DecisionObserver",
    "DecisionRecorder",
    "Finding",
    "KeyReadiness",
    "PolicyError",
    "PolicyReadiness",
    "Principal",
    "Problem",
    "Readiness",
    "Refusal",
    "RefusalRenderer",
    "RuleFinding",
    "RuleRef",
    "TrialCounts",
    "WSGIAuthzMiddleware",
    "__version__",
    "current_access",
]
