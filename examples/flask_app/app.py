"""A newsroom's API in Flask; wrapped by one line, at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, jsonify, request
from werkzeug.exceptions import BadRequest

from authz_middleware import Access, Authz, Principal, WSGIAuthzMiddleware, current_access
from examples.newsroom import Newsroom

# Built while this module is imported: a policy that cannot be served stops the process.
authz = Authz.from_file(os.environ.get("AUTHZ_CONFIG", Path(__file__).with_name("authz.toml")))

newsroom = Newsroom.with_samples()
app = Flask(__name__)


def caller() -> tuple[Access, Principal]:
    """Return who calls; raises where the policy lets anybody in, or nobody wrapped the app."""
    access = current_access()
    if access is None or access.principal is None:
        raise RuntimeError("no verified caller")
    return access, access.principal


@app.get("/health")
def health() -> dict[str, str]:
    """Tell a load balancer that we are up."""
    return {"status": "ok"}


@app.get("/metrics")
def metrics() -> dict[str, int]:
    """Count what there is."""
    return {"articles": len(newsroom.articles)}


@app.get("/me")
def me() -> dict[str, Any]:
    """Tell callers who they are."""
    access, principal = caller()
    return {
        "subject": principal.subject,
        "name": newsroom.users.get(principal.subject),
        "roles": sorted(principal.roles),
        "can_publish": access.allows("article:publish"),
    }


@app.get("/articles")
def articles() -> Response:
    """List all articles."""
    return jsonify(newsroom.listing())


@app.get("/articles.csv")
def export() -> Response:
    """Export all articles, line by line, signed by whoever asked for them."""

    def lines() -> Iterator[str]:
        yield from newsroom.csv_lines()
        _, principal = caller()  # still there, while the body is being sent
        yield f"# exported by {principal.subject}\r\n"

    return Response(lines(), mimetype="text/csv")


@app.post("/articles")
def write() -> tuple[dict[str, Any], int]:
    """Start an article."""
    _, author = caller()
    return asdict(newsroom.add(_title(), author.subject)), 201


@app.get("/articles/<int:article_id>")
def read(article_id: int) -> dict[str, Any]:
    """Return one article."""
    article = newsroom.articles.get(article_id)
    if article is None:
        abort(404)
    return asdict(article)


@app.put("/articles/<int:article_id>")
def change(article_id: int) -> dict[str, Any]:
    """Give an article another title; what readers have seen is for those who may publish."""
    article = newsroom.articles.get(article_id)
    if article is None:
        abort(404)
    access, _ = caller()
    if article.published:
        access.require("article:publish", resource=asdict(article))
    article.title = _title()
    return asdict(article)


@app.delete("/articles/<int:article_id>")
def delete(article_id: int) -> dict[str, Any]:
    """Remove an article, and return it for the last time."""
    article = newsroom.articles.pop(article_id, None)
    if article is None:
        abort(404)
    return asdict(article)


@app.get("/admin/users")
def users() -> dict[str, str]:
    """List all users."""
    return newsroom.users


def _title() -> str:
    draft = request.get_json()
    if not isinstance(draft, dict) or not isinstance(draft.get("title"), str):
        raise BadRequest("a title is missing")
    return str(draft["title"])


app.wsgi_app = WSGIAuthzMiddleware(app.wsgi_app, authz)  # type: ignore[method-assign]
