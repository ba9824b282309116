"""What users import: sorted, documented, typed, and silent about tokens."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from importlib.resources import files

import pytest

import authz_middleware
from authz_middleware import Access, Authz, Claims, PolicyError, Principal
from authz_middleware.testing import DevIssuer

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(authz_middleware.__path__, "authz_middleware.")
)
