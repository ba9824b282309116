"""What `module:app` on the command line stands for."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from authz_middleware.cli.policies import Mistake
from authz_middleware.errors import PolicyError

__all__ = ["find_app"]


def find_app(text: str) -> Any:
    """Import `module:app`, or call the factory `module:create_app()`.

    What it prints goes to standard error: our own output may be JSON. Raises click.ClickException
    with what is wrong.
    """
    name, colon, path = text.partition(":")
    if not colon or not name or not path or name.startswith(".") or "/" in name:
        raise Mistake(f"`{text}` names no app; write `module:app`, as in `shop.main:app`")
    sys.path.insert(0, str(Path.cwd()))  # as servers do
    try:
        with redirect_stdout(sys.stderr):
            found: Any = import_module(name)
            for part in path.removesuffix("()").split("."):
                found = getattr(found, part)
            return found() if path.endswith("()") else found
    except PolicyError as error:
        raise Mistake(str(error)) from error
    except (Exception, SystemExit) as error:
        # An app that ends the process must not end ours as if all were well.
        raise Mistake(f"`{text}` cannot be imported: {type(error).__name__}: {error}") from error
