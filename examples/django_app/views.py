"""A newsroom's API; what the policy cannot know is asked in one of the views."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict

from django.core.exceptions import BadRequest
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, JsonResponse, StreamingHttpResponse
from django.views import View

from authz_middleware import Principal, current_access
from authz_middleware.django import AuthorizedRequest
from examples.newsroom import Article, Newsroom

newsroom = Newsroom.with_samples()


def caller() -> Principal:
    """Return who calls; raises where the policy lets anybody in, or nothing guards the project."""
    access = current_access()
    if access is None or access.principal is None:
        raise RuntimeError("no verified caller")
    return access.principal


async def health(request: HttpRequest) -> JsonResponse:
    """Tell a load balancer that we are up."""
    del request
    return JsonResponse({"status": "ok"})


async def metrics(request: HttpRequest) -> JsonResponse:
    """Count what there is."""
    del request
    return JsonResponse({"articles": len(newsroom.articles)})


def me(request: AuthorizedRequest) -> JsonResponse:
    """Tell callers who they are."""
    principal = caller()
    answer = {
        "subject": principal.subject,
        "name": newsroom.users.get(principal.subject),
        "roles": sorted(principal.roles),
        "can_publish": request.authz.allows("article:publish"),
    }
    return JsonResponse(answer)


class Articles(View):
    """All articles."""

    def get(self, request: HttpRequest) -> JsonResponse:
        """List them."""
        del request
        return JsonResponse(newsroom.listing(), safe=False)

    def post(self, request: HttpRequest) -> JsonResponse:
        """Start one."""
        return JsonResponse(asdict(newsroom.add(_title(request), caller().subject)), status=201)


class OneArticle(View):
    """One article, by its number."""

    def get(self, request: HttpRequest, article_id: int) -> JsonResponse:
        """Return it."""
        del request
        return JsonResponse(asdict(_found(newsroom.articles.get(article_id))))

    def put(self, request: AuthorizedRequest, article_id: int) -> JsonResponse:
        """Give it another title; what readers have seen is for those who may publish."""
        article = _found(newsroom.articles.get(article_id))
        if article.published:
            request.authz.require("article:publish", resource=asdict(article))
        article.title = _title(request)
        return JsonResponse(asdict(article))

    def delete(self, request: HttpRequest, article_id: int) -> JsonResponse:
        """Remove it, and return it for the last time."""
        del request
        return JsonResponse(asdict(_found(newsroom.articles.pop(article_id, None))))


def export(request: HttpRequest) -> StreamingHttpResponse:
    """Export all articles, line by line, signed by whoever asked for them."""

    def lines() -> Iterator[str]:
        yield from newsroom.csv_lines()
        # The caller is still there, while the body is being sent.
        yield f"# exported by {caller().subject}\r\n"

    async def lines_under_asgi() -> AsyncIterator[str]:
        for line in lines():
            yield line

    body = lines_under_asgi() if isinstance(request, ASGIRequest) else lines()
    return StreamingHttpResponse(body, content_type="text/csv")


def users(request: HttpRequest) -> JsonResponse:
    """List all users."""
    del request
    return JsonResponse(newsroom.users)


def _found(article: Article | None) -> Article:
    if article is None:
        raise Http404
    return article


def _title(request: HttpRequest) -> str:
    try:
        draft = json.loads(request.body)
    except ValueError:
        raise BadRequest("no JSON") from None
    if not isinstance(draft, dict) or not isinstance(draft.get("title"), str):
        raise BadRequest("a title is missing")
    return str(draft["title"])
