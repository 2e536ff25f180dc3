"""Files that visitors bring are read one at a time, and never hold up everybody."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from atlas.errors import ResourceError
from dashboard.service import apart
from dashboard.service.apart import AT_MOST, read_apart


def test_those_beyond_a_few_who_wait_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    go, most = threading.Event(), [0, 0]

    def slow(*_: Any) -> str:
        most[0] += 1
        most[1] = max(most)
        assert go.wait(timeout=20)
        most[0] -= 1
        return "read"

    monkeypatch.setattr(apart, "_run", slow)

    def bring() -> Any:
        return read_apart("a.module", b"", what="list", forms="tables")

    with ThreadPoolExecutor(AT_MOST + 1) as pool:
        waiting = [pool.submit(bring) for _ in range(AT_MOST)]
        try:
            while apart._places._value:
                assert not go.wait(timeout=0.01)
            with pytest.raises(ResourceError, match="other lists are being read; try again"):
                pool.submit(bring).result(timeout=5)
        finally:
            go.set()
        assert [one.result(timeout=20) for one in waiting] == ["read"] * AT_MOST
    assert most[1] == 1
    assert bring() == "read", "and then it is free again"
