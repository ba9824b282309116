"""Policies of rules alone, and tables of routes that are named by their keys."""

from __future__ import annotations

from typing import Any

from authz_middleware.document import Document
from authz_middleware.policy.model import Policy
from authz_middleware.policy.routekey import split_key
from authz_middleware.policy.routes import Route, RouteTable
from authz_middleware.policy.template import parse
from authz_middleware.runtime import settings

ISSUER = "https://login.example.com"


def ruled(rules: dict[str, Any], **more: Any) -> Policy:
    issuer = {"issuer": ISSUER, "audience": ["orders"]}
    written = {"issuers": [issuer], "routes": rules, **more}
    return settings.load(Document.from_mapping(written)).policy


def table_of(*keys: str) -> RouteTable:
    split = [(key, *split_key(key)) for key in keys]
    return RouteTable(
        tuple(
            Route(key, path, parse(path).segments, frozenset(methods), "app:view")
            for key, methods, path in split
        )
    )
