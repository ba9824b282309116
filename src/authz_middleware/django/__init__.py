"""For Django's settings: the middleware, and as an app the system checks.

MIDDLEWARE = ["authz_middleware.django.AuthzMiddleware", ...]
INSTALLED_APPS = ["authz_middleware.django", ...]
AUTHZ_CONFIG = BASE_DIR / "authz.toml"
"""

from __future__ import annotations

from authz_middleware.django.middleware import AuthzMiddleware
from authz_middleware.django.requests import AuthorizedRequest

__all__ = ["AuthorizedRequest", "AuthzMiddleware"]
