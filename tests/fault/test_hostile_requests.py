"""Requests that no page sends: whatever comes, the answer is short of 500, quick, and tells nothing of the inside."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path
from typing import Any, get_args

import pytest
from dash import Dash
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from dashboard.app import create_app
from dashboard.interaction.browser_events import SENT
from dashboard.settings import load
from dashboard.state import url as links
from dashboard.state.page_state import State

UPDATE = "/_dash-update-component"
QUICK_S = 5.0
INSIDE = re.compile(r"Traceback|File \"|\.py\b|site-packages|/work/|/root/|/tmp/|/home/|0x[0-9a-f]{8,}")
TEXTS = [
    "", " ", "0", "-1", "1e999", "nan", "NaN", "1" * 400, "M31", "53.16 -27.79", "53.16 -27.79 30″", "J0332-2747",
    "\0", "\ud800", "../../etc/passwd", "%2e%2e%2f", "'; DROP TABLE kept; --", "<script>alert(1)</script>", "{{7*7}}",
    "${jndi:ldap://x}", "=cmd|' /C calc'!A0", "(" * 200, "snr > 100", "snr ** snr ** snr > 1", "missing(snr) & ~(snr",
    "🦊" * 50, "é" * 199, "-----BEGIN", "v1", "map_x", "tan", "ait", "csv", "vot", "parquet", "most", "random", "snr",
    "all", "true", "null", "~" + "a" * 24,
]  # fmt: skip
ARGUMENTS = [
    "s", "x0", "x1", "y0", "y1", "w", "h", "light", "kind", "ra", "dec", "in", "x", "y", "column", "text", "cursor",
    "what", "RA", "DEC", "SR", "VERB", "MAXREC", "name", "who", "id", "file", "radius", "framed", "color", "flip",
]  # fmt: skip
FIELDS = [
    "column",
    "low",
    "high",
    "space",
    "vertices",
    "of",
    "text",
    "ra_deg",
    "dec_deg",
    "radius_arcsec",
    "rows",
    "box",
]
SELECTIONS = ["range", "mappolygon", "skypolygon", "and", "not", "cone", "rows", "expression"]
USUAL = {"x0": -1, "x1": 1, "y0": -1, "y1": 1, "w": 64, "h": 64, "light": 0, "kind": "tan", "ra": 53.1, "dec": -27.8}
NUMBERS = [0, 1, -1, 3, 970, 971, 2**31, 2**32, 2**53, 2**63, 2**200, 0.5, -0.0, 1e-320, 1e308, -1e308, 53.16, -27.79]


class Attacker:
    """Makes requests from a seed."""

    def __init__(self, app: Dash, build: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.app = app
        self.build = build
        self.rules = [rule for rule in app.server.url_map.iter_rules() if not rule.rule.startswith("/_dash-component")]

    def send(self, client: FlaskClient) -> tuple[str, Any]:
        """One request; what it was, in words, and its answer."""
        kind = self.random.choice((self.event, self.event, self.callback, self.address, self.address, self.noise))
        method, path, arguments = kind()
        try:
            answer = client.open(path, method=method, buffered=True, **arguments)
            return f"{method} {path} {str(arguments)[:600]}", answer
        except UnicodeError:  # what no client can send
            return "", client.get("/healthz")

    def event(self) -> tuple[str, str, dict[str, Any]]:
        """Events of the page with any values in their fields."""
        [key] = [key for key in self.app.callback_map if "state.data" in key and "ack.data" in key]
        events = [self.filled(self.random.choice(get_args(SENT))) for _ in range(self.random.randint(1, 3))]
        body = {"seq": self.value(), "build": self.random.choice([self.build, self.value()]), "events": events}
        held = self.random.choice([None, links.to_json(State()), self.value()])
        return self.posted(key, [self.random.choice([body, body, self.value()])], [held])

    def callback(self) -> tuple[str, str, dict[str, Any]]:
        """Any callback with any values in its inputs."""
        key = self.random.choice(list(self.app.callback_map))
        spec = self.app.callback_map[key]
        return self.posted(key, [self.value() for _ in spec["inputs"]], [self.value() for _ in spec["state"]])

    def posted(self, key: str, inputs: list[Any], held: list[Any]) -> tuple[str, str, dict[str, Any]]:
        spec = self.app.callback_map[key]

        def given(declared: list[dict[str, Any]], values: list[Any]) -> list[Any]:
            made = []
            for one, value in zip(declared, values, strict=True):
                wild = one["id"].startswith("{")
                made.append([] if wild else {"id": one["id"], "property": one["property"], "value": value})
            return made

        names = [part for part in key.strip(".").split("...") if "." in part]
        outputs: Any = [dict(zip(("id", "property"), name.rsplit(".", 1), strict=True)) for name in names]
        body = {
            "output": key, "outputs": outputs if key.startswith("..") else (outputs or [{}])[0],
            "inputs": given(spec["inputs"], inputs), "state": given(spec["state"], held),
            "changedPropIds": [f"{one['id']}.{one['property']}" for one in spec["inputs"][:1]],
        }  # fmt: skip
        if self.random.random() < 0.2:
            body[self.random.choice(list(body))] = self.value()
        data = json.dumps(body, default=str)
        return "POST", UPDATE, {"data": data, "content_type": "application/json"}

    def address(self) -> tuple[str, str, dict[str, Any]]:
        """An address of ours with anything in its places and its query string."""
        rule: Rule = self.random.choice(self.rules)
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda place: self.filling(place[1]), rule.rule)
        query = USUAL | {self.random.choice(ARGUMENTS): self.scalar() for _ in range(self.random.randint(0, 4))}
        methods = (rule.methods or {"GET"}) - {"HEAD"}  # werkzeug leaves a file that it need not send to the collector
        method = self.random.choice([*sorted(methods), "GET", "GET", "PUT"])
        arguments: dict[str, Any] = {"query_string": query}
        if method == "POST":
            arguments["data"] = self.random.choice([json.dumps(self.value(), default=str), self.random.randbytes(300)])
            arguments["content_type"] = self.random.choice(["application/json", "text/csv", ""])
        return method, path, arguments

    def noise(self) -> tuple[str, str, dict[str, Any]]:
        """Bytes, and JSON cut short."""
        data = self.random.choice(
            [self.random.randbytes(200), b"{" * 500, b'{"output": 1', b"[" * 5_000 + b"]" * 5_000, b"NaN"]
        )
        return "POST", UPDATE, {"data": data, "content_type": "application/json"}

    def filled(self, kind: Any) -> dict[str, Any]:
        fields = {name: self.value() for name in kind.__struct_fields__ if self.random.random() < 0.8}
        return {"is": kind.__struct_config__.tag, **fields}

    def filling(self, place: str) -> str:
        known = {"build": self.build, "row": "3", "kind": "csv"}.get(place)
        return known if known and self.random.random() < 0.7 else re.sub(r"[?#\0\ud800]", "", str(self.scalar())) or "x"

    def scalar(self) -> Any:
        return self.random.choice(self.random.choice((TEXTS, NUMBERS)))

    def value(self, depth: int = 0) -> Any:
        """Anything that JSON can hold."""
        at = self.random.random()
        if depth > 4 or at < 0.6:
            return self.random.choice([self.scalar(), self.scalar(), None, True, [], {}])
        if at < 0.8:
            return [self.value(depth + 1) for _ in range(self.random.randint(1, 4))]
        kind = self.random.choice([{"is": self.random.choice(SELECTIONS)}, {}])
        return kind | {self.random.choice(FIELDS): self.value(depth + 1) for _ in range(3)}


@pytest.mark.parametrize(
    ("requests", "seed"), [(250, 1), pytest.param(10_000, 2, marks=[pytest.mark.soak, pytest.mark.timeout(1_800)])]
)
def test_no_request_fails_takes_long_or_is_told_the_inside(
    requests: int, seed: int, demo_path: Path, tmp_path: Path
) -> None:
    folders = {f"{name}_dir": tmp_path / name for name in ("cache", "scratch", "kept")}
    settings = load(
        {}, atlas=demo_path, labels=str(tmp_path / "labels.sqlite"), name_resolver="off", api=True, **folders
    )
    app = create_app(settings=settings)
    client = app.server.test_client()
    attacker = Attacker(app, str((demo_path / "CURRENT").read_text().strip()), seed)
    seen: dict[int, int] = {}
    for number in range(requests):
        begun = time.thread_time()
        what, answer = attacker.send(client)
        text = answer.get_data(as_text=True) if "text" in answer.mimetype or "json" in answer.mimetype else ""
        taken = time.thread_time() - begun
        answer.close()
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
        assert answer.status_code < 500, (number, what, text)
        assert taken < QUICK_S, (number, what)
        if answer.status_code >= 400:
            assert not INSIDE.search(text), (number, what, text)
    assert seen[200] > requests / 20 and seen[400] > requests / 20, "they must come past the first check"
