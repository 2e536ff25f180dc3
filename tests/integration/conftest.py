"""What holds for all tests that run the dashboard in their own process."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_load_outlives_its_test() -> Iterator[None]:
    """Indexes are loaded by threads: those must be done before the files go and the next test begins."""
    yield
    for thread in threading.enumerate():
        if thread.name == "load-index":
            thread.join(timeout=60)
