"""The policy as a decision point that others ask: OpenID AuthZEN's Authorization API 1.0."""

from __future__ import annotations

from authz_middleware.pdp.app import DecisionPoint

__all__ = ["DecisionPoint"]
