"""One app behind the wall for all that knock at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dash import Dash
from flask.testing import FlaskClient

from dashboard.settings import load

from .walled_app import make_app


@pytest.fixture(scope="module")
def app() -> Dash:
    return make_app(load({}))


@pytest.fixture(scope="module")
def client(app: Dash) -> FlaskClient:
    return app.server.test_client()


@pytest.fixture(autouse=True)
def restore_ready(app: Dash) -> Iterator[None]:
    ready = app.server.config["READY"]
    yield
    app.server.config["READY"] = ready
