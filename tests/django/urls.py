"""A project's URLs where none are asked for."""

from __future__ import annotations

urlpatterns: list[object] = []
