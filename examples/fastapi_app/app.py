"""A newsroom's API in FastAPI, with a live feed; guarded by one line, at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from authz_middleware import ASGIAuthzMiddleware, Authz
from authz_middleware.frameworks.fastapi import Caller, CurrentAccess, describe_security
from examples.newsroom import Newsroom

# Built while this module is imported: a policy that cannot be served stops the process.
authz = Authz.from_file(os.environ.get("AUTHZ_CONFIG", Path(__file__).with_name("authz.toml")))

newsroom = Newsroom.with_samples()
# The description of the API stands below /admin, so the policy keeps it for admins.
app = FastAPI(title="Newsroom", openapi_url="/admin/openapi.json", docs_url=None, redoc_url=None)


class Draft(BaseModel):
    """What a client sends to write an article."""

    title: str


@app.get("/health")
def health() -> dict[str, str]:
    """Tell a load balancer that we are up."""
    return {"status": "ok"}


@app.get("/metrics")
def metrics() -> dict[str, int]:
    """Count what there is."""
    return {"articles": len(newsroom.articles)}


@app.get("/me")
def me(caller: Caller, access: CurrentAccess) -> dict[str, Any]:
    """Tell callers who they are."""
    return {
        "subject": caller.subject,
        "name": newsroom.users.get(caller.subject),
        "roles": sorted(caller.roles),
        "can_publish": access.allows("article:publish"),
    }


@app.get("/articles")
def articles() -> list[dict[str, Any]]:
    """List all articles."""
    return newsroom.listing()


@app.get("/articles.csv")
def export(caller: Caller) -> StreamingResponse:
    """Export all articles, line by line, signed by whoever asked for them."""

    def lines() -> Iterator[str]:
        yield from newsroom.csv_lines()
        yield f"# exported by {caller.subject}\r\n"

    return StreamingResponse(lines(), media_type="text/csv")


@app.post("/articles", status_code=201)
def write(draft: Draft, caller: Caller) -> dict[str, Any]:
    """Start an article."""
    return asdict(newsroom.add(draft.title, caller.subject))


@app.get("/articles/{article_id}")
def read(article_id: int) -> dict[str, Any]:
    """Return one article."""
    article = newsroom.articles.get(article_id)
    if article is None:
        raise HTTPException(404)
    return asdict(article)


@app.put("/articles/{article_id}")
def change(article_id: int, draft: Draft, access: CurrentAccess) -> dict[str, Any]:
    """Give an article another title; what readers have seen is for those who may publish."""
    article = newsroom.articles.get(article_id)
    if article is None:
        raise HTTPException(404)
    if article.published:
        access.require("article:publish", resource=asdict(article))
    article.title = draft.title
    return asdict(article)


@app.delete("/articles/{article_id}")
def delete(article_id: int) -> dict[str, Any]:
    """Remove an article, and return it for the last time."""
    article = newsroom.articles.pop(article_id, None)
    if article is None:
        raise HTTPException(404)
    return asdict(article)


@app.get("/admin/users")
def users() -> dict[str, str]:
    """List all users."""
    return newsroom.users


@app.websocket("/feed")
async def feed(websocket: WebSocket) -> None:
    """Send the articles there are, then whatever a reader asks for by its number."""
    await websocket.accept()
    await websocket.send_json(newsroom.listing())
    try:
        while True:
            article = newsroom.articles.get(int(await websocket.receive_text()))
            await websocket.send_json(asdict(article) if article else None)
    except (ValueError, WebSocketDisconnect):
        return


app.add_middleware(ASGIAuthzMiddleware, config=authz)
describe_security(app, authz)
