"""Serve a WSGI app with cheroot, on a free port that is printed: its own command prints none."""

from __future__ import annotations

import sys
from importlib import import_module


def main() -> None:
    module, _, name = sys.argv[1].partition(":")
    # Not imported by name: type checkers run where no server is installed.
    cheroot = import_module("cheroot.wsgi")
    server = cheroot.Server(("127.0.0.1", 0), getattr(import_module(module), name), numthreads=2)
    server.prepare()
    print(f"http://127.0.0.1:{server.bind_addr[1]}", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
