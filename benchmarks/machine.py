"""Where a run was made: the head of its report."""

from __future__ import annotations

import os
import platform
import re
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend

__all__ = ["head"]

PACKAGES = (
    "authz-middleware",
    "cryptography",
    "pyjwt",
    "starlette",
    "fastapi",
    "litestar",
    "flask",
    "flask-jwt-extended",
    "django",
    "djangorestframework",
    "djangorestframework-simplejwt",
    "casbin",
    "uvicorn",
    "uvloop",
    "httptools",
    "granian",
    "gunicorn",
)


def head() -> dict[str, str]:
    """Return the machine, the interpreter and the versions of what was compared."""
    free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    return {
        "machine": f"{_processor()}, {os.cpu_count()} processors, load {load}",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}"
        f" {'free-threaded' if free else 'with the GIL'}, {platform.python_compiler()}",
        "OpenSSL": backend.openssl_version_text(),
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or "unknown processor"
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else "unknown processor"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
