"""`python -m authz_middleware.cli`, where no script is installed."""

from __future__ import annotations

from authz_middleware.cli import main

if __name__ == "__main__":
    main(prog_name="authz")
