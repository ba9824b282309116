"""The app in the ASGI frameworks."""

from __future__ import annotations

from typing import Any

from tests.adversarial.routes import ran, ran_tail
from tests.frameworks.installed import installed


def starlette() -> Any:
    routing = installed("starlette.routing")
    return installed("starlette.applications").Starlette(routes=_starlette_routes(routing))


def _starlette_routes(routing: Any) -> list[Any]:
    text = installed("starlette.responses").PlainTextResponse

    def view(handler: Any) -> Any:
        async def endpoint(request: Any) -> Any:
            return text(handler(**request.path_params))

        return endpoint

    route = routing.Route
    sub = [
        route("/open", view(lambda: ran("sub open"))),
        route("/admin", view(lambda: ran("sub admin"))),
    ]
    return [
        route("/public", view(lambda: ran("public"))),
        route("/pages/{rest:path}", view(ran_tail)),
        route("/items/{id:int}", view(lambda id: ran("item"))),
        route("/admin/users", view(lambda: ran("admin"))),
        route("/admin/users", view(lambda: ran("written")), methods=["POST"]),
        route("/files/{rest:path}", view(lambda rest: ran_tail(rest, private="private"))),
        route("/users/{name}", view(lambda name: ran("user"))),
        route("/users/me", view(lambda: ran("me"))),
        routing.Mount("/sub", routes=sub),
        routing.WebSocketRoute("/feed/open", _feed("feed open")),
        routing.WebSocketRoute("/feed/admin", _feed("feed admin")),
    ]


def _feed(handler: str) -> Any:
    async def endpoint(websocket: Any) -> None:
        ran(handler)
        await websocket.accept()
        await websocket.close()

    return endpoint


def fastapi() -> Any:
    module = installed("fastapi")
    app = module.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    sub = module.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    users = module.APIRouter(prefix="/users")

    async def public() -> str:
        return ran("public")

    async def page(rest: str) -> str:
        return ran_tail(rest)

    async def item(id: int) -> str:
        return ran("item")

    async def admin() -> str:
        return ran("admin")

    async def written() -> str:
        return ran("written")

    async def file(rest: str) -> str:
        return ran_tail(rest, private="private")

    async def user(name: str) -> str:
        return ran("user")

    async def me() -> str:
        return ran("me")

    async def sub_open() -> str:
        return ran("sub open")

    async def sub_admin() -> str:
        return ran("sub admin")

    app.get("/public")(public)
    app.get("/pages/{rest:path}")(page)
    app.get("/items/{id}")(item)
    app.get("/admin/users")(admin)
    app.post("/admin/users")(written)
    app.get("/files/{rest:path}")(file)
    users.get("/{name}")(user)
    users.get("/me")(me)
    app.include_router(users)
    sub.get("/open")(sub_open)
    sub.get("/admin")(sub_admin)
    app.mount("/sub", sub)
    for name in ("open", "admin"):
        feed = _feed(f"feed {name}")
        feed.__annotations__ = {"websocket": module.WebSocket, "return": None}
        app.add_api_websocket_route(f"/feed/{name}", feed)
    return app


def quart() -> Any:
    module = installed("quart")
    app = module.Quart("adversarial_app")

    def view(handler: Any) -> Any:
        async def endpoint(**values: Any) -> Any:
            return handler(**values)

        return endpoint

    def feed(handler: str) -> Any:
        async def endpoint() -> None:
            ran(handler)
            await module.websocket.accept()

        return endpoint

    def add(rule: str, name: str, handler: Any, **options: Any) -> None:
        app.add_url_rule(rule, name, view(handler), **options)

    add("/public", "public", lambda: ran("public"))
    add("/pages/<path:rest>", "page", ran_tail)
    add("/items/<int:id>", "item", lambda id: ran("item"))
    add("/admin/users", "admin", lambda: ran("admin"))
    add("/admin/users", "written", lambda: ran("written"), methods=["POST"])
    add("/files/<path:rest>", "file", lambda rest: ran_tail(rest, private="private"))
    add("/users/<name>", "user", lambda name: ran("user"))
    add("/users/me", "me", lambda: ran("me"))
    sub = module.Blueprint("sub", "adversarial_sub", url_prefix="/sub")
    sub.add_url_rule("/open", "open", view(lambda: ran("sub open")))
    sub.add_url_rule("/admin", "admin", view(lambda: ran("sub admin")))
    app.register_blueprint(sub)
    app.add_websocket("/feed/open", "feed_open", feed("feed open"))
    app.add_websocket("/feed/admin", "feed_admin", feed("feed admin"))
    return app


def litestar() -> Any:
    module = installed("litestar")

    def get(path: str, handler: Any, method: Any = module.get, **values: type) -> Any:
        # Litestar reads the signature, and annotations as objects.
        source = ", ".join(values)
        scope: dict[str, Any] = {"handler": handler, "__name__": __name__}
        exec(
            f"async def endpoint({source}):\n"
            f"    return handler({', '.join(f'{name}={name}' for name in values)})",
            scope,
        )
        endpoint = scope["endpoint"]
        endpoint.__annotations__ = {**values, "return": str}
        return method(path)(endpoint)

    def feed(path: str, handler: str) -> Any:
        async def endpoint(socket: Any) -> None:
            ran(handler)
            await socket.accept()
            await socket.close()

        endpoint.__annotations__ = {"socket": module.WebSocket, "return": None}
        return module.websocket(path)(endpoint)

    async def sink(scope: Any, receive: Any, send: Any) -> None:
        ran("sink")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"sink"})

    sink.__annotations__ = {
        "scope": module.types.Scope,
        "receive": module.types.Receive,
        "send": module.types.Send,
        "return": None,
    }
    sub = module.Router(
        "/sub",
        route_handlers=[
            get("/open", lambda: ran("sub open")),
            get("/admin", lambda: ran("sub admin")),
        ],
    )
    handlers = [
        get("/public", lambda: ran("public")),
        get("/pages/{rest:path}", lambda rest: ran_tail(rest.lstrip("/")), rest=str),
        get("/items/{id:int}", lambda id: ran("item"), id=int),
        get("/admin/users", lambda: ran("admin")),
        get("/admin/users", lambda: ran("written"), module.post),
        get(
            "/files/{rest:path}",
            lambda rest: ran_tail(rest.lstrip("/"), private="private"),
            rest=str,
        ),
        get("/users/{name:str}", lambda name: ran("user"), name=str),
        get("/users/me", lambda: ran("me")),
        sub,
        feed("/feed/open", "feed open"),
        feed("/feed/admin", "feed admin"),
        module.asgi("/sink", is_mount=True)(sink),
    ]
    return module.Litestar(handlers, openapi_config=None, logging_config=None)


def falcon() -> Any:
    app = installed("falcon.asgi").App()

    class Get:
        def __init__(self, handler: Any) -> None:
            self.handler = handler

        async def on_get(self, request: Any, response: Any, **values: Any) -> None:
            response.text = self.handler(**values)

    class Users(Get):
        async def on_post(self, request: Any, response: Any) -> None:
            response.text = ran("written")

    class Feed:
        def __init__(self, handler: str) -> None:
            self.handler = handler

        async def on_websocket(self, request: Any, socket: Any) -> None:
            ran(self.handler)
            await socket.accept()

    async def sink(request: Any, response: Any, **values: Any) -> None:
        response.text = ran("sink")

    app.add_route("/public", Get(lambda: ran("public")))
    app.add_route("/pages/{rest:path}", Get(ran_tail))
    app.add_route("/items/{id:int}", Get(lambda id: ran("item")))
    app.add_route("/admin/users", Users(lambda: ran("admin")))
    app.add_route("/files/{rest:path}", Get(lambda rest: ran_tail(rest, private="private")))
    app.add_route("/users/{name}", Get(lambda name: ran("user")))
    app.add_route("/users/me", Get(lambda: ran("me")))
    app.add_route("/sub/open", Get(lambda: ran("sub open")))
    app.add_route("/sub/admin", Get(lambda: ran("sub admin")))
    app.add_route("/feed/open", Feed("feed open"))
    app.add_route("/feed/admin", Feed("feed admin"))
    app.add_sink(sink, "/sink")
    return app
