"""A newsroom's API in Starlette, with a live feed; guarded by one line, at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from authz_middleware import Access, ASGIAuthzMiddleware, Authz
from examples.newsroom import Article, Newsroom

# Built while this module is imported: a policy that cannot be served stops the process.
authz = Authz.from_file(os.environ.get("AUTHZ_CONFIG", Path(__file__).with_name("authz.toml")))

newsroom = Newsroom.with_samples()


async def health(_request: Request) -> Response:
    """Tell a load balancer that we are up."""
    return JSONResponse({"status": "ok"})


async def metrics(_request: Request) -> Response:
    """Count what there is."""
    return JSONResponse({"articles": len(newsroom.articles)})


async def me(request: Request) -> Response:
    """Tell callers who they are."""
    access: Access = request.scope["authz"]
    return JSONResponse(
        {
            "subject": request.user.display_name,
            "name": newsroom.users.get(request.user.display_name),
            "roles": sorted(request.user.principal.roles),
            "can_publish": access.allows("article:publish"),
        }
    )


async def articles(_request: Request) -> Response:
    """List all articles."""
    return JSONResponse(newsroom.listing())


@requires("export")  # was here before the policy; it reads the token's scopes now
def export(request: Request) -> Response:
    """Export all articles, line by line, signed by whoever asked for them."""

    def lines() -> Iterator[str]:
        yield from newsroom.csv_lines()
        yield f"# exported by {request.user.display_name}\r\n"

    return StreamingResponse(lines(), media_type="text/csv")


async def write(request: Request) -> Response:
    """Start an article."""
    title = await _title(request)
    return JSONResponse(asdict(newsroom.add(title, request.user.display_name)), 201)


async def read(request: Request) -> Response:
    """Return one article."""
    return JSONResponse(asdict(_article(request)))


async def change(request: Request) -> Response:
    """Give an article another title; what readers have seen is for those who may publish."""
    article = _article(request)
    access: Access = request.scope["authz"]
    if article.published:
        access.require("article:publish", resource=asdict(article))
    article.title = await _title(request)
    return JSONResponse(asdict(article))


async def delete(request: Request) -> Response:
    """Remove an article, and return it for the last time."""
    article = _article(request)
    del newsroom.articles[article.id]
    return JSONResponse(asdict(article))


async def users(_request: Request) -> Response:
    """List all users."""
    return JSONResponse(newsroom.users)


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


def _article(request: Request) -> Article:
    article = newsroom.articles.get(request.path_params["article_id"])
    if article is None:
        raise HTTPException(404)
    return article


async def _title(request: Request) -> str:
    try:
        draft = await request.json()
    except ValueError:
        draft = None
    if not isinstance(draft, dict) or not isinstance(draft.get("title"), str):
        raise HTTPException(400, "a title is missing")
    return str(draft["title"])


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/metrics", metrics),
        Route("/me", me),
        Route("/articles", articles),
        Route("/articles.csv", export),
        Route("/articles", write, methods=["POST"]),
        Route("/articles/{article_id:int}", read),
        Route("/articles/{article_id:int}", change, methods=["PUT"]),
        Route("/articles/{article_id:int}", delete, methods=["DELETE"]),
        Route("/admin/users", users),
        WebSocketRoute("/feed", feed),
    ]
)
app.add_middleware(ASGIAuthzMiddleware, config=authz)
