"""A cache in files and one in Redis, each its own."""

from __future__ import annotations

import pytest
from flask import Flask

from dashboard.cache.results import Cached
from dashboard.settings import Settings


@pytest.fixture
def cached(settings: Settings) -> Cached:
    cached = Cached(Flask("test"), settings)
    cached.clear()
    return cached
