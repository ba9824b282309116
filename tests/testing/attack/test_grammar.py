from __future__ import annotations

import shlex
from collections import Counter
from itertools import pairwise

import h11
import pytest

from authz_middleware.policy.canonical import canonical
from authz_middleware.testing.attack.grammar import HANDSHAKE, KINDS, Mutation, mutations

PLAIN = [("GET", "/admin/users"), ("GET", "/items/1"), ("WS", "/feed/admin"), ("PUT", "/caf\u00e9")]


@pytest.mark.parametrize(("method", "path"), PLAIN)
def test_there_are_hundreds_each_once_and_always_the_same(method, path):
    found = mutations(method, path, "/public")
    assert len(found) > 800
    assert len({each[1:] for each in found}) == len(found)
    assert mutations(method, path, "/public") == found


def test_every_class_is_there():
    counts = Counter(each.kind for each in mutations("GET", "/items/1", "/public"))
    assert counts.keys() == set(KINDS)
    assert [kind for kind in KINDS if counts[kind] < 2] == []


def test_a_handshake_stays_a_handshake():
    found = mutations("WS", "/feed", "/public")
    assert {each.method for each in found} == {"GET"}
    assert all(each.fields[: len(HANDSHAKE)] == HANDSHAKE for each in found)


@pytest.mark.parametrize(("method", "path"), PLAIN)
def test_the_plain_request_is_no_mutation(method, path):
    targets = [each for each in mutations(method, path) if each.kind != "headers"]
    fields = HANDSHAKE if method == "WS" else ()
    verb = "GET" if method == "WS" else method
    assert Mutation("plain", verb, path, fields)[1:] not in {each[1:] for each in targets}


@pytest.mark.parametrize(
    "target",
    [
        "//admin/users",
        "admin/users",
        "/admin%2fusers",
        "\\admin/users",
        "/public/../admin/users",
        "/public/%2e%2e/admin/users",
        "/x/..;/admin/users",
        "/x%2f..%2fadmin/users",
        "/%61dmin/users",
        "/%2561dmin/users",
        "/%u0061dmin/users",
        "/a%ffdmin/users",
        "/admin/users%0a",
        "/%0dadmin/users",
        "/a\tdmin/users",
        "/admin/users%00",
        "/admin/users%E2%80%8B",
        "/admin%EF%BC%8Fusers",
        "/admin/users;x=1",
        "/admin/users?/public",
        "/admin/users.json",
        "*/admin/users",
        "%00/admin/users",
        "/svcadmin/users",
        "/public/svc/admin/users",
        "http://localhost/admin/users",
        "x:///admin/users",
        "/admin/users#x",
        "/public/../#/admin/users",
        "/ADMIN/USERS",
    ],
)
def test_what_is_known_to_have_worked_somewhere_is_there(target):
    assert target in {each.target for each in mutations("GET", "/admin/users", "/public")}


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ("/public", ("X-Original-URL", "/admin/users")),
        ("/public/admin/users", ("SCRIPT_NAME", "/public")),
        ("/admin/users", ("SCRIPT_NAME", "/")),
        ("/", ("X-Vhm-Root", "/admin/users")),
        ("/admin/users", ("X-HTTP-Method-Override", "GET")),
    ],
)
def test_fields_that_somebody_believes(target, field):
    found = {(each.target, each.fields) for each in mutations("GET", "/admin/users", "/public")}
    assert (target, (field,)) in found


def test_parameters_are_written_as_some_converter_takes_them():
    targets = {each.target for each in mutations("GET", "/items/1")}
    assert {"/items/%D9%A1", "/items/+1", "/items/1_0", "/items/1%0a", "/items/01"} <= targets
    assert not any(each.kind == "parameters" for each in mutations("GET", "/items/a"))


def test_none_breaks_out_of_its_request_line():
    for each in mutations("GET", "/admin/users", "/public"):
        raw = each.raw("Bearer x")
        assert raw.count(b"\r\n\r\n") == 1
        line = raw.split(b"\r\n", 1)[0]
        assert line == f"{each.method} {each.target} HTTP/1.1".encode("latin-1")


def test_the_raw_text_is_a_request():
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(Mutation("dots", "GET", "/x/../a", (("X-A", "b"),)).raw("Bearer t"))
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert request.target == b"/x/../a"
    assert dict(request.headers) == {
        b"host": b"localhost",
        b"x-a": b"b",
        b"authorization": b"Bearer t",
    }


def test_the_command_says_the_same():
    mutation = Mutation("headers", "POST", "/it's", (("X-A", "b c"),), "evil")
    words = shlex.split(mutation.curl("http://127.0.0.1:1", credentials=True))
    assert words[words.index("--request-target") + 1] == "/it's"
    assert words[words.index("-X") + 1] == "POST"
    fields = [after for before, after in pairwise(words) if before == "-H"]
    assert fields == ["Host: evil", "X-A: b c", "Authorization: Bearer $TOKEN"]
    assert words[-1] == "http://127.0.0.1:1"
    assert "-I" in Mutation("methods", "HEAD", "/").curl().split()


def test_bytes_that_do_not_print_can_be_seen():
    mutation = Mutation("encodings", "GET", "/a\xff\tb")
    assert mutation.line == "GET /a\\xff\\x09b HTTP/1.1"
    assert "--request-target $'/a\\xff\\x09b'" in mutation.curl()
    assert Mutation("headers", "GET", "/", (), "evil").line == "GET / HTTP/1.1 | Host: evil"


def test_most_targets_are_not_plain():
    """A grammar whose requests were all good would show nothing."""
    targets = [
        each.target
        for each in mutations("GET", "/admin/users")
        if each.kind in {"dots", "controls"}
    ]
    assert sum(canonical(each) is None for each in targets) > 0.8 * len(targets)
