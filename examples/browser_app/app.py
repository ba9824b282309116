"""Notes for a page of another origin. The order of the two middlewares is what matters here."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from authz_middleware import ASGIAuthzMiddleware, Authz

authz = Authz.from_file(Path(__file__).with_name("authz.toml"))

app = FastAPI(title="Notes")
notes = {1: "buy milk"}


@app.get("/health")
def health() -> str:
    """Tell a load balancer that we are up."""
    return "fine"


@app.get("/notes")
def read() -> dict[int, str]:
    """Return all notes."""
    return notes


@app.put("/notes/{id}")
def write(id: int, text: str) -> dict[int, str]:
    """Keep a note."""
    notes[id] = text
    return notes


# Starlette's last one is outermost. So CORS answers preflights, which carry no token, and adds its
# fields to our refusals, without which a script could not even read the status.
app.add_middleware(ASGIAuthzMiddleware, config=authz)
app.add_middleware(
    CORSMiddleware,
    allow_origins=os.environ.get("NOTES_ORIGINS", "http://127.0.0.1:8001").split(),
    allow_methods=["GET", "PUT"],
    allow_headers=["Authorization"],
    expose_headers=["WWW-Authenticate"],  # or a script reads status and body only
)
