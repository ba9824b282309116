"""`include`: several files are one policy, and every mistake is told in its own file."""

from __future__ import annotations

from pathlib import Path

import pytest

from authz_middleware.document import Document, Report, Section, including
from authz_middleware.document.files import Files
from authz_middleware.errors import PolicyError


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Writes files by name; their directory is the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(texts: dict[str, str]) -> None:
        for name, text in texts.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return write


def problems(path: str) -> list[str]:
    with pytest.raises(PolicyError) as raised:
        Document.read(path)
    return [str(problem) for problem in raised.value.problems]


def test_tables_are_united(files):
    files(
        {
            "authz.toml": 'include = ["b.yaml", "d/*.json"]\nrealm = "x"\n[roles]\na = []\n',
            "b.yaml": "roles: {b: [x]}\ntests: [{as: anonymous}]\n",
            "d/c.json": '{"routes": {"/c": "deny"}, "issuers": [{"issuer": "c"}]}',
            "d/d.json": '{"routes": {"/d": ["b"]}, "issuers": [{"issuer": "d"}]}',
            "d/.hidden.json": "no JSON",
            "d/e.toml": "no TOML",
        }
    )
    document = Document.read("authz.toml")
    assert document.root == {
        "realm": "x",
        "roles": {"a": [], "b": ["x"]},
        "tests": [{"as": "anonymous"}],
        "routes": {"/c": "deny", "/d": ["b"]},
        "issuers": [{"issuer": "c"}, {"issuer": "d"}],
    }
    assert [*map(document.where, [("realm",), ("roles", "a"), ("roles", "b")])] == [
        "authz.toml:2:1",
        "authz.toml:4:1",
        "b.yaml:1:9",
    ]
    assert document.where(("roles", "b", 0)) == "b.yaml:1:13"
    assert document.where(("tests", 0, "as")) == "b.yaml:2:10"
    assert document.where(("issuers", 0, "issuer")) == "d/c.json:1:41"
    assert document.where(("issuers", 1, "issuer")) == "d/d.json:1:40"
    # What is nowhere is told at the nearest table: that of the policy file, if it has one.
    assert document.where(("roles", "z")) == "authz.toml:3:2"
    assert document.where(("routes", "z")) == "d/c.json:1:2"
    assert document.where(("forbid",)) == "authz.toml"


def test_the_document_knows_its_files(files, tmp_path):
    files(
        {
            "p/authz.toml": 'include = ["b.toml", "d/*.toml"]',
            "p/b.toml": 'include = ["../q/c.toml"]',
            "q/c.toml": "[roles]",
            "p/d/d.toml": "[routes]",
        }
    )
    document = Document.read("p/authz.toml")
    names = ("p/authz.toml", "p/b.toml", "q/c.toml", "p/d/d.toml")
    assert [part.source for part in document.parts] == [*names]
    assert document.file == tmp_path / "p/authz.toml"
    assert document.where(("roles",)) == "q/c.toml:1:2"
    assert Document.from_mapping({}).file is None
    assert not document.files.changed()
    for name in names:
        assert str(tmp_path / name) in repr(document.files)
    files({"p/d/e.toml": "[roles]"})  # a pattern would find it
    assert document.files.changed()


def test_what_is_missing_is_looked_for_again(files):
    files({"authz.toml": 'include = ["a.toml"]'})
    seen = Files()
    with pytest.raises(PolicyError):
        Document.read("authz.toml", seen)
    assert not seen.changed()
    files({"a.toml": "[roles]"})
    assert seen.changed()


def test_a_mapping_includes_from_the_working_directory(files):
    files({"roles.toml": "[roles]\na = [1]\n"})
    document = Document.from_mapping({"roles": {"b": []}, "include": ["roles.toml"]})
    assert document.root == {"roles": {"b": [], "a": [1]}}
    assert document.where(("roles", "a", 0)) == "roles.toml:2:6"
    assert document.where(("roles", "b")) == "roles.b"
    with pytest.raises(PolicyError, match=r"roles.toml:2:1: `roles.a` stands at roles.a too"):
        Document.from_mapping({"roles": {"a": []}, "include": ["roles.toml"]})
    with pytest.raises(PolicyError, match=r"^include\[0\]: none.toml: there is no such file"):
        Document.from_mapping({"include": ["none.toml"]})


def test_names_from_the_environment_choose_the_files(files, monkeypatch):
    files({"authz.toml": 'include = ["${STAGE_}.toml"]', "live.toml": "[roles]\nlive = []"})
    monkeypatch.setenv("STAGE_", "live")
    assert Document.read("authz.toml").root == {"roles": {"live": []}}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(
            {"a.toml": "[roles]\nx = []", "b.toml": "[roles]\nx = []"},
            ["b.toml:2:1: `roles.x` stands at a.toml:2:1 too; keep one of the two"],
            id="role",
        ),
        pytest.param(
            {"a.toml": '[routes]\n"GET /x" = "deny"', "b.json": '{"routes": {"GET /x": "deny"}}'},
            ['b.json:1:13: `routes."GET /x"` stands at a.toml:2:1 too; keep one of the two'],
            id="route",
        ),
        pytest.param(
            {"a.toml": "[forbid]\nx = {}", "b.yaml": "forbid:\n  x: {}"},
            ["b.yaml:2:3: `forbid.x` stands at a.toml:2:1 too; keep one of the two"],
            id="forbid",
        ),
        pytest.param(
            {"a.toml": 'default = "deny"'},
            [
                (
                    "a.toml:1:1: `default` is a string: an included file holds nothing but tables;"
                    " write it in authz.toml, without an `include`"
                )
            ],
            id="a setting",
        ),
        pytest.param(
            {"a.toml": 'hosts = ["x"]'},
            [
                (
                    "a.toml:1:1: `hosts` is a list: an included file holds nothing but tables;"
                    " write it in authz.toml, without an `include`"
                )
            ],
            id="a list of words",
        ),
        pytest.param(
            {"a.toml": "[roles]", "b.toml": "[[roles]]"},
            [
                (
                    "b.toml:1:3: `roles` is a list here, and a table at a.toml:1:2; write both in"
                    " one way"
                )
            ],
            id="two kinds",
        ),
        pytest.param(
            {"a.toml": "roles = ", "b.json": '{"a": null, "b": NaN}', "c.yaml": "x: !t 1"},
            [
                (
                    "a.toml:1:9: this is not TOML: Invalid value at the end of the file; write TOML"
                    ' 1.0: `key = "text"`, `[table]`'
                ),
                "b.json:1:2: `a` is null; leave it out",
                "b.json:1:13: `b` is not a finite number; write a number, or leave it out",
                "c.yaml:1:4: `!t` is a tag; leave it out",
            ],
            id="mistakes of every file",
        ),
        pytest.param(
            {"a.toml": 'include = ["authz.toml"]'},
            [
                (
                    "a.toml:1:12: files include each other in a circle: authz.toml -> a.toml ->"
                    " authz.toml; a file leaves out itself, and those that include it"
                )
            ],
            id="circle",
        ),
        pytest.param(
            {"a.toml": 'include = ["./a.toml"]'},
            [
                (
                    "a.toml:1:12: files include each other in a circle: a.toml -> a.toml; a file"
                    " leaves out itself, and those that include it"
                )
            ],
            id="itself",
        ),
        pytest.param(
            {"a.toml": 'include = ["x/../c.toml"]', "c.toml": "[roles]", "x/y": ""},
            ["a.toml:1:12: c.toml is included twice: authz.toml:1:24 names it too; name it once"],
            id="twice",
        ),
    ],
)
def test_what_files_cannot_say_together(files, texts, expected):
    names = [name for name in texts if "/" not in name]
    if "c.toml" in names:
        names.reverse()  # authz.toml names it first
    entries = ", ".join(f'"{name}"' for name in names)
    files(texts | {"authz.toml": f"include = [{entries}]"})
    if "c.toml" in names:
        expected = [text.replace("1:24", "1:12") for text in expected]
    assert problems("authz.toml") == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            'include = "a.toml"',
            "authz.toml:1:1: `include` must be a list of strings, not a string; write `include ="
            ' ["a.toml"]`',
            id="one string",
        ),
        pytest.param(
            "include = 1",
            "authz.toml:1:1: `include` must be a list of strings, not a number; write `include ="
            ' ["roles.toml"]`',
            id="a number",
        ),
        pytest.param(
            "include = [1]",
            'authz.toml:1:12: `include[0]` is a number; name a file: "roles.toml", "routes/*.toml"',
            id="an entry that is a number",
        ),
        pytest.param(
            'include = [""]',
            'authz.toml:1:12: `include[0]` is empty; name a file: "roles.toml", "routes/*.toml"',
            id="an entry that is empty",
        ),
        pytest.param(
            'include = ["none.toml"]',
            "authz.toml:1:12: none.toml: there is no such file; it was looked for at"
            " HERE/none.toml",
            id="no such file",
        ),
        pytest.param(
            'include = ["none/*.toml"]',
            "authz.toml:1:12: `none/*.toml` matches no file in HERE/none; put a file there, or"
            " leave it out",
            id="no such directory",
        ),
        pytest.param(
            'include = ["d/**/*.toml"]',
            "authz.toml:1:12: `**` is not a pattern here: it would take in whatever lies below;"
            ' write one pattern for each directory: "routes/*.toml"',
            id="two stars",
        ),
        pytest.param(
            'include = ["d"]',
            "authz.toml:1:12: d: a policy file is TOML, JSON or YAML; name it .toml, .json,"
            " .yaml or .yml",
            id="suffix",
        ),
        pytest.param(
            'include = ["d.toml"]',
            "authz.toml:1:12: d.toml: this is a directory; give the policy file in it",
            id="directory",
        ),
        pytest.param(
            'include = ["a\\u0000.toml"]',
            "authz.toml:1:12: this is not a file name; write it without the NUL",
            id="NUL",
        ),
        pytest.param(
            'include = ["*.toml"]',
            "authz.toml:1:12: files include each other in a circle: authz.toml -> authz.toml; a"
            " file"
            " leaves out itself, and those that include it",
            id="a pattern that matches the policy file",
        ),
    ],
)
def test_what_cannot_be_included(files, tmp_path, line, expected):
    files({"authz.toml": line, "d/x.md": "", "d.toml/x": ""})
    assert problems("authz.toml")[0] == expected.replace("HERE", str(tmp_path))


def test_a_setting_that_the_policy_file_has_in_another_way(files):
    files({"authz.toml": 'include = ["a.toml"]\nroles = "x"', "a.toml": "[roles]"})
    assert problems("authz.toml") == [
        (
            "a.toml:1:2: `roles` is a table here, and a string at authz.toml:2:1; write it as"
            " it stands in authz.toml"
        )
    ]


@pytest.mark.parametrize(
    "mapping", [pytest.param(True, id="mapping"), pytest.param(False, id="file")]
)
def test_settings_go_to_what_the_user_gave(files, mapping):
    files({"authz.toml": 'include = ["a.toml"]', "a.toml": "strict = true"})
    including = {"include": ["a.toml"]}
    with pytest.raises(PolicyError) as raised:
        Document.from_mapping(including) if mapping else Document.read("authz.toml")
    (problem,) = raised.value.problems
    assert problem.fix.startswith("write it in " + ("the mapping" if mapping else "authz.toml"))


# Links


def test_a_link_within_the_directory_is_followed(files):
    """As Kubernetes mounts a ConfigMap: each file is a link into a directory beside it."""
    files({"authz.toml": 'include = ["r/*.toml"]', "r/..data_1/a.toml": "[roles]\na = []"})
    Path("r/..data").symlink_to("..data_1")
    Path("r/a.toml").symlink_to("..data/a.toml")
    document = Document.read("authz.toml")
    assert document.root == {"roles": {"a": []}}
    assert document.where(("roles", "a")) == "r/a.toml:2:1"


def test_a_policy_file_that_is_a_link_includes_from_where_it_is_named(files):
    files({"data/authz.toml": 'include = ["a.toml"]', "data/a.toml": "[roles]"})
    Path("current").symlink_to("data")
    assert Document.read("current/authz.toml").root == {"roles": {}}


@pytest.mark.parametrize(
    ("link", "target", "pattern"),
    [
        pytest.param("p/a.toml", "../away/a.toml", "a.toml", id="file"),
        pytest.param("p/r", "../away", "r/a.toml", id="directory"),
        pytest.param("p/r", "../away", "r/*.toml", id="directory before a pattern"),
        pytest.param("p/r", "../away", "*/a.toml", id="directory that a pattern matches"),
        pytest.param("p/r", "../away/below", "r/../a.toml", id="the directory above a link"),
    ],
)
def test_a_link_that_leads_away_is_refused(files, tmp_path, link, target, pattern):
    files({"p/authz.toml": f'include = ["{pattern}"]', "away/a.toml": "", "away/below/x": ""})
    Path(link).symlink_to(target)
    (found,) = problems("p/authz.toml")
    if pattern == "r/../a.toml":  # the path as written names no file, whatever a link makes of it
        assert found.startswith("p/authz.toml:1:12: p/a.toml: there is no such file")
    else:
        assert found == (
            f"p/authz.toml:1:12: p/{pattern.replace('*/', 'r/').replace('*.', 'a.')} is a symbolic"
            f" link that leads out of its directory, to {tmp_path}/away/a.toml; write the path that"
            " it leads to, if that is what you mean"
        )


def test_a_link_to_itself_is_refused(files):
    files({"authz.toml": 'include = ["a.toml"]'})
    Path("a.toml").symlink_to("a.toml")
    (found,) = problems("authz.toml")
    assert found.startswith("authz.toml:1:12: a.toml: the file cannot be read: Too many levels")


def test_one_file_by_two_names_is_one_file(files):
    files({"authz.toml": 'include = ["*.json"]', "a.json": "{}"})
    Path("b.json").symlink_to("a.json")
    (found,) = problems("authz.toml")
    assert (
        found
        == "authz.toml:1:12: b.json is included twice: authz.toml:1:12 names it too; name it once"
    )


def test_an_absolute_path_may_name_any_directory(files, tmp_path_factory):
    away = tmp_path_factory.mktemp("away")
    (away / "a.toml").write_text("[roles]")
    files({"authz.toml": f'include = ["{away}/*.toml"]'})
    assert Document.read("authz.toml").where(("roles",)) == f"{away}/a.toml:1:2"


def test_the_number_of_files_is_bounded(files, monkeypatch):
    monkeypatch.setattr(including, "MAX_FILES", 3)
    files({"authz.toml": 'include = ["*.json"]', "a.json": "{}", "b.json": "{}"})
    assert len(Document.read("authz.toml").parts) == 3
    files({"c.json": "{}", "d.json": "{}"})
    assert problems("authz.toml") == [
        "authz.toml:1:12: these would be more than 3 files; name only policy files"
    ]


# Sections


def test_messages_are_in_the_syntax_of_their_file(files):
    files(
        {
            "authz.toml": 'include = ["a.json", "b.yaml", "c.toml"]\n[roles]\nx = 1',
            "a.json": '{"roles": {"y": 1}}',
            "b.yaml": "roles: {z: 1}",
            "c.toml": "[roles]\nw = 1",
        }
    )
    report = Report(Document.read("authz.toml"))
    roles = Section.top(report).table("roles")
    assert roles is not None
    for name in reversed([*roles]):
        roles.texts(name, example=("p",))
    assert [str(problem) for problem in report.problems] == [
        'authz.toml:3:1: `x` must be a list of strings, not a number; write `x = ["p"]`',
        'a.json:1:12: `y` must be a list of strings, not a number; write `"y": ["p"]`',
        'b.yaml:1:9: `z` must be a list of strings, not a number; write `z: ["p"]`',
        'c.toml:2:1: `w` must be a list of strings, not a number; write `w = ["p"]`',
    ]


def test_a_place_inside_a_string_is_in_its_file(files):
    files({"authz.toml": 'include = ["a.toml"]', "a.toml": '\n[roles]\nx = "abc"'})
    document = Document.read("authz.toml")
    assert document.inside(("roles", "x"), "abc", 2) == (1, 3, 8)


def test_files_that_a_table_names_are_beside_its_file(files, tmp_path):
    files({"authz.toml": 'include = ["d/a.toml"]\n[x]\n', "d/a.toml": "[y]\n"})
    top = Section.top(Report(Document.read("authz.toml")))
    x, y = top.table("x"), top.table("y")
    assert x is not None
    assert y is not None
    assert (x.beside("k.json"), y.beside("k.json"), y.beside("/k.json")) == (
        "k.json",
        str(tmp_path / "d/k.json"),
        "/k.json",
    )
    assert Path(top.beside("k")) == Path("k")
