"""Policy documents: reading TOML, JSON and YAML with positions, and typed readers over them."""

from __future__ import annotations

from authz_middleware.document.paths import KeyPath
from authz_middleware.document.reading import Document
from authz_middleware.document.sections import Report, Section

__all__ = ["Document", "KeyPath", "Report", "Section"]
