"""The app in the WSGI frameworks."""

from __future__ import annotations

from typing import Any

from tests.adversarial.routes import ran, ran_tail
from tests.frameworks.installed import installed


def flask() -> Any:
    module = installed("flask")
    app = module.Flask("adversarial_app")
    sub = module.Blueprint("sub", "adversarial_sub", url_prefix="/sub")
    app.add_url_rule("/public", "public", lambda: ran("public"))
    app.add_url_rule("/pages/<path:rest>", "page", ran_tail)
    app.add_url_rule("/items/<int:id>", "item", lambda id: ran("item"))
    app.add_url_rule("/admin/users", "admin", lambda: ran("admin"))
    app.add_url_rule("/admin/users", "written", lambda: ran("written"), methods=["POST"])
    app.add_url_rule("/files/<path:rest>", "file", lambda rest: ran_tail(rest, private="private"))
    app.add_url_rule("/users/<name>", "user", lambda name: ran("user"))
    app.add_url_rule("/users/me", "me", lambda: ran("me"))
    sub.add_url_rule("/open", "open", lambda: ran("sub open"))
    sub.add_url_rule("/admin", "admin", lambda: ran("sub admin"))
    app.register_blueprint(sub)
    return app


def werkzeug() -> Any:
    routing = installed("werkzeug.routing")
    exceptions = installed("werkzeug.exceptions")
    response = installed("werkzeug.wrappers").Response
    dispatcher = installed("werkzeug.middleware.dispatcher").DispatcherMiddleware

    def app_of(*rules: tuple[str, Any]) -> Any:
        table = routing.Map([routing.Rule(rule, endpoint=endpoint) for rule, endpoint in rules])

        def app(environ: Any, start_response: Any) -> Any:
            try:
                endpoint, values = table.bind_to_environ(environ).match()
            except exceptions.HTTPException as error:
                return error(environ, start_response)
            return response(endpoint(**values))(environ, start_response)

        return app

    main = app_of(
        ("/public", lambda: ran("public")),
        ("/pages/<path:rest>", ran_tail),
        ("/items/<int:id>", lambda id: ran("item")),
        ("/admin/users", lambda: ran("admin")),
        ("/files/<path:rest>", lambda rest: ran_tail(rest, private="private")),
        ("/users/<name>", lambda name: ran("user")),
        ("/users/me", lambda: ran("me")),
    )
    sub = app_of(("/open", lambda: ran("sub open")), ("/admin", lambda: ran("sub admin")))
    return dispatcher(main, {"/sub": sub})


def falcon() -> Any:
    app = installed("falcon").App()

    class Get:
        def __init__(self, handler: Any) -> None:
            self.handler = handler

        def on_get(self, request: Any, response: Any, **values: Any) -> None:
            response.text = self.handler(**values)

    class Users(Get):
        def on_post(self, request: Any, response: Any) -> None:
            response.text = ran("written")

    def sink(request: Any, response: Any, **values: Any) -> None:
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
    app.add_sink(sink, "/sink")
    return app


def bottle() -> Any:
    module = installed("bottle")
    app = module.Bottle()
    sub = module.Bottle()
    app.route("/public", callback=lambda: ran("public"))
    app.route("/pages/<rest:path>", callback=ran_tail)
    app.route("/items/<id:int>", callback=lambda id: ran("item"))
    app.route("/admin/users", callback=lambda: ran("admin"))
    app.route("/admin/users", "POST", callback=lambda: ran("written"))
    app.route("/files/<rest:path>", callback=lambda rest: ran_tail(rest, private="private"))
    app.route("/users/<name>", callback=lambda name: ran("user"))
    app.route("/users/me", callback=lambda: ran("me"))
    sub.route("/open", callback=lambda: ran("sub open"))
    sub.route("/admin", callback=lambda: ran("sub admin"))
    app.mount("/sub/", sub)
    return app


def pyramid() -> Any:
    config = installed("pyramid.config").Configurator()
    response = installed("pyramid.response").Response

    def route(name: str, pattern: str, handler: Any, **predicates: Any) -> None:
        config.add_route(name, pattern, **predicates)
        config.add_view(lambda request: response(handler(request.matchdict)), route_name=name)

    route("public", "/public", lambda values: ran("public"))
    route("page", "/pages/*rest", lambda values: ran_tail("/".join(values["rest"])))
    route("item", r"/items/{id:\d+}", lambda values: ran("item"))
    route("written", "/admin/users", lambda values: ran("written"), request_method="POST")
    route("admin", "/admin/users", lambda values: ran("admin"))
    route(
        "file",
        "/files/*rest",
        lambda values: ran_tail("/".join(values["rest"]), private="private"),
    )
    route("user", "/users/{name}", lambda values: ran("user"))
    route("me", "/users/me", lambda values: ran("me"))
    route("sub open", "/sub/open", lambda values: ran("sub open"))
    route("sub admin", "/sub/admin", lambda values: ran("sub admin"))
    # Found by traversal: `/deep`, `/@@deep`, `/deep/and/more`.
    config.add_view(lambda request: response(ran("deep")), name="deep")
    return config.make_wsgi_app()
