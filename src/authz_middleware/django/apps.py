"""The app whose only duty is to register the system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

from authz_middleware.django.checks import check

__all__ = ["AuthzConfig"]


class AuthzConfig(AppConfig):
    """`"authz_middleware.django"` in INSTALLED_APPS. It has no models."""

    name = "authz_middleware.django"
    label = "authz_middleware"
    verbose_name = "authz_middleware"

    def ready(self) -> None:
        """Register the checks."""
        checks.register(check, "authz", checks.Tags.security)
