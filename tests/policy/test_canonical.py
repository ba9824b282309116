"""One canonical path or none, and every reading of a path below a `root_path`."""

from __future__ import annotations

import unicodedata
from posixpath import normpath
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authz_middleware.policy.canonical import (
    MAX_LENGTH,
    MAX_MARKS,
    canonical,
    readings,
    text_readings,
)

# What a server hands over, decoded once: the classes that were served as a protected handler
# somewhere, and the paths of published advisories.
REFUSED = {
    # Slashes and the start of the path
    "empty": "",
    "leading double slash": "//admin",
    "leading triple slash": "///admin",
    "only slashes": "//",
    "no leading slash": "admin",
    "asterisk form": "*",
    "junk before the first slash": "*/admin",
    "colon before the first slash": ":/admin",
    "NUL before the first slash": "\0/admin",
    "name before the first slash": "x/admin",
    "backslash before the first slash": "\\/admin",
    "absolute form": "http://x/admin",
    "absolute form without host": "x:///admin",
    "file scheme": "file:///admin",
    "inner double slash": "/api//v1/admin",
    "inner triple slash": "/api/v1///admin",
    "trailing double slash": "/admin//",
    "double slash after the root": "//svc/admin",
    # Dot segments
    "parent": "/public/../admin",
    "parent at the end": "/public/..",
    "parent with trailing slash": "/public/../",
    "current": "/./admin",
    "current at the end": "/admin/.",
    "tail of a catch-all": "/files/x/../private/a",
    "static file": "/static/./private/s",
    "static double slash": "/static//private/s",
    "parent with a parameter": "/x/..;/admin",
    "one dot leader": "/\u2024/admin",
    "two dot leader": "/x/\u2025/admin",
    "fullwidth dots": "/x/\uff0e\uff0e/admin",
    # Escapes left after decoding
    "escape": "/%61dmin",
    "escape, upper case": "/%41dmin",
    "escaped slash": "/x%2fadmin",
    "escaped backslash": "/x%5Cadmin",
    "escaped dots": "/public/%2e%2e/admin",
    "escaped dots and slashes": "x%2f..%2fprivate",
    "mixed dots": "/public/..%2fadmin",
    "escaped semicolon": "/admin/%3bx",
    "escaped space": "/admin/%20",
    "escaped NUL": "/admin%00",
    "escaped newline": "/admin%0a",
    "escape of an escape": "/%2561dmin",
    "UCS-2 escape": "/%u0061dmin",
    "UCS-2 escape, upper case": "/%U0061dmin",
    "fullwidth percent": "/\uff0561dmin",
    "fullwidth digits": "/%\uff16\uff11dmin",
    "escape beside other letters": "/é%41",
    # Delimiters
    "fragment": "/admin#x",
    "fragment after dots": "/public/../#",
    "query": "/admin?/public",
    "backslash": "/x\\admin",
    "matrix parameter": "/admin;x=1/y",
    "semicolon": "/admin;",
    "greek question mark": "/admin\u037e",
    "fullwidth semicolon": "/admin\uff1bx",
    "fullwidth solidus": "/x\uff0fadmin",
    "fullwidth backslash": "/x\uff3cadmin",
    "small backslash": "/x\ufe68admin",
    "fullwidth question mark": "/x\uff1fadmin",
    "fullwidth number sign": "/x\uff03admin",
    "account of": "/\u2100",
    "care of": "/x\u2105y",
    # Control, invisible, undecodable
    "newline at the end": "/admin\n",
    "newline at the start": "/\nadmin",
    "carriage return": "/\radmin",
    "tab inside": "/ad\tmin",
    "NUL": "/admin\0",
    "delete": "/admin\x7f",
    "C1 control": "/admin\x85",
    "surrogate": "/adm\udcffin",
    "replacement character": "/adm\ufffdin",
    "private use": "/adm\ue000in",
    "unassigned": "/adm\u0378in",
    "noncharacter": "/adm\uffffin",
    "byte order mark": "/\ufeffadmin",
    "zero width space": "/ad\u200bmin",
    "zero width joiner": "/ad\u200dmin",
    "soft hyphen": "/ad\u00admin",
    "right-to-left override": "/ad\u202emin",
    "line separator": "/admin\u2028",
    "grapheme joiner": "/ad\u034fmin",
    "hangul filler": "/ad\u3164min",
    "halfwidth hangul filler": "/ad\uffa0min",
    "choseong filler": "/ad\u115fmin",
    "jungseong filler": "/ad\u1160min",
    "khmer inherent vowel": "/ad\u17b4min",
    "mongolian variation selector": "/ad\u180bmin",
    "variation selector": "/ad\ufe0fmin",
    "supplementary variation selector": "/ad\U000e0100min",
    "tag": "/ad\U000e0041min",
    # Space
    "space at the end": "/admin ",
    "space at a segment's end": "/admin /x",
    "space at a segment's start": "/x/ 1",
    "space as a segment": "/admin/ ",
    "space before the slash at the end": "/admin /",
    "no-break space": "/admin/1\u00a0",
    "ideographic space": "/admin/1\u30002",
    "space beside other letters": "/é /x",
    "compatibility form with an outer space": "/x/\u00a8",
    # Length
    "too long": "/" + "a" * MAX_LENGTH,
    "too long once normalised": "/" + "\ufdfa" * (MAX_LENGTH // 2),
}

ACCEPTED = {
    "root": "/",
    "one segment": "/admin",
    "several segments": "/api/v1/admin/users/42",
    "case is kept": "/Admin",
    "dot in a name": "/report.pdf",
    "leading dot": "/.well-known/jwks",
    "trailing dot": "/admin.",
    "three dots": "/x/...",
    "dots inside": "/a..b",
    "space inside": "/my documents/new file",
    "two spaces inside": "/a  b",
    "sub-delimiters": "/!$&'()*+,=",
    "more of RFC 3986": "/~user/a@b/c:d/e-f_g",
    "brackets and quotes": '/[x]/{y}/<z>/"q"/`a|b^c',
    "lone percent": "/50%",
    "percent before no hex": "/100%sure/%",
    "one hex digit": "/5%a",
    "percent u": "/%u00",
    "negative number": "/-1",
    "unicode word": "/café",
    "unicode, decomposed": "/cafe\u0301",
    "cyrillic": "/статьи/привет",
    "chinese": "/文章",
    "arabic digits": "/٣",
    "emoji": "/😀",
    "ligature": "/\ufb01le",
    "two dots by compatibility in a name": "/a\u2025b",
    "fullwidth letters": "/\uff41dmin",
    "fraction": "/\u00bd",
    "lone fullwidth percent": "/50\uff05",
    "longest": "/" + "a" * (MAX_LENGTH - 1),
}


@pytest.mark.parametrize("path", REFUSED.values(), ids=REFUSED.keys())
def test_two_readings(path: str) -> None:
    assert canonical(path) is None


@pytest.mark.parametrize("path", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_one_reading(path: str) -> None:
    assert canonical(path) == path


@pytest.mark.parametrize("path", ["/items", "/a/b.c", "/café", "/50%"])
def test_one_trailing_slash_is_dropped(path: str) -> None:
    assert canonical(path + "/") == path
    assert canonical(path + "//") is None


ASCII_REFUSED = set(map(chr, [*range(0x20), 0x7F])) | set(";?#\\")


@pytest.mark.parametrize("code", range(128))
def test_each_ascii_character_beside_ascii_and_beside_others(code: int) -> None:
    """The pattern for plain ASCII and the rules for everything else say the same."""
    path = f"/a{chr(code)}b"
    assert (canonical(path) is None) == (chr(code) in ASCII_REFUSED)
    assert (canonical(path + "é") is None) == (chr(code) in ASCII_REFUSED)


tricky = st.lists(
    st.sampled_from(
        [*"/.;%#?\\ \n\0aé2e", "..", "%2f", "\u2025", "\uff0f", "\u0301", "svc", "/svc"]
    )
    | st.characters(),
    max_size=12,
).map("".join)
anything = st.text() | tricky | tricky.map("/".__add__)


@given(anything)
def test_any_text_has_one_reading_or_none(path: str) -> None:
    result = canonical(path)
    assert result is None or (result == path or result + "/" == path)


@given(anything)
@example("/\u0344")
def test_a_reading_is_a_canonical_path(path: str) -> None:
    result = canonical(path)
    if result is not None:
        assert canonical(result) == result
        for text in text_readings(result):
            assert canonical(text) == text
            assert text.count("/") == result.count("/")


@given(anything)
def test_a_reading_survives_another_decoding_and_parsing(path: str) -> None:
    result = canonical(path)
    if result is not None:
        assert unquote(result) == result
        assert normpath(result) == result
        if "[" not in result and "]" not in result:
            assert urlsplit(result).path == result


READINGS = {
    "no root": ("/admin", "", ("/admin",)),
    "no root, trailing slash": ("/admin/", "", ("/admin",)),
    "root is a slash": ("/admin", "/", ("/admin",)),
    "root in front": ("/svc/admin", "/svc", ("/admin", "/svc/admin")),
    "root with a slash at its end": ("/svc/admin", "/svc/", ("/admin", "/svc/admin")),
    "root alone": ("/svc", "/svc", ("/", "/svc")),
    "root alone with a slash": ("/svc/", "/svc", ("/", "/svc")),
    "root twice": ("/svc/svc/admin", "/svc", ("/svc/admin", "/svc/svc/admin")),
    "root of two segments": ("/a/b/admin", "/a/b", ("/admin", "/a/b/admin")),
    "root not in the path": ("/admin", "/svc", ("/admin",)),
    "root of the server": ("/", "/svc", ("/",)),
    "root in the middle": ("/x/svc/admin", "/svc", ("/x/svc/admin", "/admin")),
    "root in a public place": ("/public/svc/admin", "/svc", ("/public/svc/admin", "/admin")),
    "root at the end": ("/x/svc", "/svc", ("/x/svc", "/")),
    "root in other case": ("/SVC/admin", "/svc", ("/SVC/admin", "/admin")),
    "root in other case first": (
        "/SVC/x/svc/admin",
        "/svc",
        ("/SVC/x/svc/admin", "/x/svc/admin", "/admin"),
    ),
    "root is a part of the first segment": ("/xsvc/admin", "/svc", ("/xsvc/admin",)),
    "root with pattern characters": ("/a.b/x", "/a.b", ("/x", "/a.b/x")),
    "root is no pattern": ("/axb/x", "/a.b", ("/axb/x",)),
    "root beyond ASCII": ("/über/x", "/über", ("/x", "/über/x")),
    "root in fullwidth letters": ("/\uff53\uff56\uff43/admin", "/svc", ()),
    "root decomposed": ("/u\u0308ber/x", "/über", ()),
    "root in capitals that are more letters": ("/STRASSE/x", "/straße", ()),
    "root beside a ligature": ("/svc/\ufb01le", "/svc", ("/\ufb01le", "/svc/\ufb01le")),
    "no root beside a ligature": ("/\ufb01le", "/svc", ("/\ufb01le",)),
    "no boundary": ("/svcadmin", "/svc", ()),
    "no boundary, version": ("/v1/models", "/v", ()),
    "no boundary in the middle": ("/x/svcadmin", "/svc", ()),
    "no boundary in other case": ("/SVCadmin", "/svc", ()),
    "no boundary in other case, then one": ("/SVCadmin/svc/x", "/svc", ()),
    "boundary in other case, then none": ("/SVC/svcadmin", "/svc", ()),
    "double slash before the root": ("//svc/admin", "/svc", ()),
    "dot segment below the root": ("/svc/../admin", "/svc", ()),
    "undecodable": (None, "", ()),
    "undecodable below a root": (None, "/svc", ()),
    "empty path": ("", "/svc", ()),
    "root without a slash": ("/svc/admin", "svc", ()),
    "root with a dot segment": ("/svc/../x", "/svc/..", ()),
    "root with a double slash": ("/admin", "//svc", ()),
    "root with an escape": ("/admin", "/s%76c", ()),
    "root with a surrogate": ("/admin", "/s\udcff", ()),
}


@pytest.mark.parametrize(("path", "root", "expected"), READINGS.values(), ids=READINGS.keys())
def test_readings(path: str | None, root: str, expected: tuple[str, ...]) -> None:
    assert readings(path, root) == expected


@given(anything | st.none(), anything | st.sampled_from(["/svc", "/s", "/svc/a", "/é"]))
def test_every_reading_is_canonical(path: str | None, root: str) -> None:
    found = readings(path, root)
    assert len(set(found)) == len(found)
    assert all(canonical(reading) == reading for reading in found)
    if found and path is not None:
        assert canonical(path) in found


def test_text_readings() -> None:
    assert text_readings("/plain") == ()
    assert text_readings("/café") == ()
    assert text_readings("/cafe\u0301") == ("/café",)
    assert text_readings("/\ufb01le") == ("/file",)
    assert text_readings("/\ufb01le\u0301") == ("/\ufb01l\u00e9", "/fil\u00e9")


@given(anything)
def test_text_readings_are_the_normal_forms(path: str) -> None:
    forms = {unicodedata.normalize(form, path) for form in ("NFC", "NFKC")} - {path}
    assert set(text_readings(path)) == forms


# Marks that pile up (UAX #15, "Stream-Safe Text Format")


@pytest.mark.parametrize("marks", ["\u0301", "\u0316\u0301", "\u0f73", "\uff9e"])
def test_only_so_many_marks(marks: str) -> None:
    """Sorting them costs the square of their number, and this comes before authentication."""
    assert canonical("/a" + marks * (MAX_MARKS // len(marks) + 1)) is None
    assert canonical("/a" + marks * 2500) is None


@pytest.mark.parametrize("path", ["/a\u0301\u0323x", "/\u0e17\u0e35\u0e48", "/" + "e\u0301" * 40])
def test_marks_as_they_are_written(path: str) -> None:
    assert canonical(path) == path
