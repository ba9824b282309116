from __future__ import annotations

import pytest

from authz_middleware.tokens.media_types import normalise


@pytest.mark.parametrize(
    ("value", "normal"),
    [
        pytest.param("at+jwt", "at+jwt", id="S10 P13 short form"),
        pytest.param("application/at+jwt", "at+jwt", id="S10 full form"),
        pytest.param("APPLICATION/AT+JWT", "at+jwt", id="S10 any case"),
        pytest.param("text/at+jwt", "text/at+jwt", id="another tree stays"),
        pytest.param("application/a/b", "application/a/b", id="two slashes are not shortened"),
        pytest.param("\u212a", "\u212a", id="S12 a Kelvin sign is no k"),
        pytest.param("", "", id="empty"),
    ],
)
def test_normalise(value: str, normal: str) -> None:
    assert normalise(value) == normal
