from __future__ import annotations

import gc

from authz_middleware.runtime import forks


class Thing:
    def __init__(self) -> None:
        self.renewed = 0

    def renew(self) -> None:
        self.renewed += 1


def test_what_lives_is_renewed() -> None:
    one, gone = Thing(), Thing()
    forks.renew_in_child(one)
    forks.renew_in_child(gone)
    before = len(forks._renewables)
    del gone
    gc.collect()
    assert len(forks._renewables) < before  # it keeps nothing alive
    forks.renew()
    assert one.renewed == 1
