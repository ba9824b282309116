"""All settings of the newsroom. Three of them protect it: AUTHZ_CONFIG and the two lists."""

from __future__ import annotations

import os
from pathlib import Path

BASE_DIR = Path(__file__).parent

AUTHZ_CONFIG = os.environ.get("AUTHZ_CONFIG", BASE_DIR / "authz.toml")

INSTALLED_APPS = ["authz_middleware.django"]  # its system checks
MIDDLEWARE = [
    "authz_middleware.django.AuthzMiddleware",
    "django.middleware.common.CommonMiddleware",
]

ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "examples.django_app.urls"
SECRET_KEY = os.environ.get("SECRET_KEY", "nothing in this example is signed")
USE_TZ = True
