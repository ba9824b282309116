"""OpenID AuthZEN's Authorization API 1.0 as values: questions, answers, and their JSON. Pure."""

from __future__ import annotations
