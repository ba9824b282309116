from __future__ import annotations

import pytest

from authz_middleware.testing.attack.grammar import HANDSHAKE, Mutation
from authz_middleware.testing.attack.received import ROOT, environs, scopes


def paths(target: str, **fields: str) -> set[tuple[str, str]]:
    mutation = Mutation("", "GET", target, tuple(fields.items()))
    return {(each.facts["SCRIPT_NAME"], each.facts["PATH_INFO"]) for each in environs(mutation)}


def asgi_paths(target: str) -> set[tuple[str, str]]:
    return {
        (each.facts["root_path"], each.facts["path"])
        for each in scopes(Mutation("", "GET", target))
    }


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/%61dmin", {"/admin"}),
        ("//admin", {"//admin", "/admin"}),
        ("/admin%2f", {"/admin/", "/admin%2F"}),
        ("/x/../admin", {"/x/../admin", "/admin"}),
        ("/x/%2e%2e/admin", {"/x/../admin", "/admin"}),
        ("/admin#x", {"/admin", "/admin#x"}),
        ("/ad\tmin", {"/admin", "/ad\tmin"}),
        ("http://h/admin", {"/admin", "http://h/admin"}),
        ("http://h", {"/", "http://h"}),
        ("/adm%ffin", {"/adm\xffin", "/adm\xef\xbf\xbdin"}),
        ("/caf%c3%a9", {"/caf\xc3\xa9"}),
        ("/admin?/public", {"/admin"}),
        ("*", {"*"}),
    ],
)
def test_wsgi(target, expected):
    assert {path for script, path in paths(target) if not script} >= expected


def test_wsgi_below_a_prefix():
    found = paths("/svcadmin")
    assert (ROOT, "admin") in found  # without a look at the boundary
    assert (ROOT, "/admin") in paths("/abc/admin")  # without a look at all
    assert (ROOT, "/admin") in paths("/admin")  # as a client of that server writes it


def test_wsgi_a_field_names_the_prefix():
    assert ("/public", "/admin") in paths("/public/admin", SCRIPT_NAME="/public")
    assert ("/", "admin") in paths("/admin", SCRIPT_NAME="/")
    (environ, *_) = environs(Mutation("", "GET", "/", (("X-A", "1"), ("x_a", "2"))))
    assert environ.facts["HTTP_X_A"] == "1,2"
    assert environ.facts["RAW_URI"] == environ.facts["REQUEST_URI"] == "/"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/%61dmin", {("", "/admin"), (ROOT, "/svc/admin"), (ROOT, "/admin")}),
        ("/admin#x", {("", "/admin"), ("", "/admin#x")}),
        ("http://h/admin", {("", "/admin"), ("", "http://h/admin")}),
        ("/adm%ffin", {("", "/adm\ufffdin")}),
        ("/public/svc/admin", {(ROOT, "/public/svc/admin")}),
    ],
)
def test_asgi(target, expected):
    assert asgi_paths(target) >= expected


def test_asgi_handshakes():
    (first, *_) = scopes(Mutation("", "GET", "/feed", HANDSHAKE))
    assert (first.facts["type"], first.facts["scheme"]) == ("websocket", "ws")
    assert "method" not in first.facts
    (posted, *_) = scopes(Mutation("", "POST", "/feed", HANDSHAKE))
    assert (posted.facts["type"], posted.facts["method"]) == ("http", "POST")


def test_nothing_is_sent_twice():
    for form in (environs, scopes):
        found = [repr(each.facts) for each in form(Mutation("", "GET", "/x/../admin"))]
        assert len(found) == len(set(found))
