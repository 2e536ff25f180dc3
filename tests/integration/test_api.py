"""The notebook's questions over HTTP, and who may ask them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from flask.testing import FlaskClient

from atlas import Atlas, Query, Range, Similar
from atlas.errors import InputError
from dashboard.app import create_app
from dashboard.settings import load

TOKEN = "a-token-of-24-characters"


def served(demo_path: Path, folder: Path, **settings: object) -> FlaskClient:
    folders = {f"{name}_dir": folder / name for name in ("cache", "scratch", "kept")}
    given = load({}, atlas=demo_path, labels=str(folder / "labels.sqlite"), **folders, **settings)
    return create_app(settings=given).server.test_client()


@pytest.fixture(scope="module")
def client(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return served(demo_path, tmp_path_factory.mktemp("api"), api=True)


def asked(selection: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    query = {"space": "v1", "ranking": {"by": "similar", "wanted": [3]}, "limit": 20}
    return {"query": query if selection is None else query | {"selection": selection}, **more}


BRIGHT = {"is": "range", "column": "snr", "low": 50}


def test_a_query_is_answered_as_in_a_notebook(client: FlaskClient, demo: Atlas) -> None:
    told = client.post("/api/v1/query", json=asked(BRIGHT, columns=["snr"])).get_json()
    expected = demo.run(Query(space="v1", ranking=Similar((3,)), selection=Range("snr", 50), limit=20))
    assert told["row"] == expected.rows.tolist() and told["receipt"] == expected.receipt
    assert told["total"] == expected.total and told["build"] == demo.build_id
    assert min(told["fields"]["snr"]) >= 50 and len(told["fields"]["similarity"]) == 20
    file = client.post("/api/v1/query?format=parquet", json=asked(BRIGHT, columns=["snr"]))
    table = pd.read_parquet(io.BytesIO(file.data))
    assert table["snr"].tolist() == pytest.approx(told["fields"]["snr"])
    assert {"ra", "dec", "similarity"} <= set(table.columns)


def test_a_selection_is_counted(client: FlaskClient, demo: Atlas) -> None:
    told = client.post("/api/v1/count", json={"selection": BRIGHT}).get_json()
    assert told["count"] == demo.mask(Range("snr", 50)).count and told["of"] == demo.n_rows
    assert client.post("/api/v1/count", json={}).get_json()["count"] == demo.n_rows


def test_clusters_are_called_by_the_names_that_people_gave(client: FlaskClient, demo: Atlas) -> None:
    label = int(demo.columns("v1").array("cluster")[3])
    named = {"id": "b" * 16, "kind": "name", "who": "Ada", "label": "arcs", "cluster": label, "build": demo.build_id}
    assert client.post("/labels", json={"entries": [named]}).status_code == 200
    in_arcs = {"is": "expression", "text": 'cluster_name == "arcs"'}
    counted = client.post("/api/v1/count", json={"selection": in_arcs}).get_json()
    assert counted["count"] == demo.space().cluster(label).size
    told = client.post("/api/v1/query", json=asked(columns=["cluster"])).get_json()["fields"]
    assert [name or "" for name in told["cluster_name"]] == ["arcs" if one == label else "" for one in told["cluster"]]
    assert label in told["cluster"]


def test_what_is_served_and_asked_is_described(client: FlaskClient, demo: Atlas) -> None:
    told = client.get("/api/v1/atlas").get_json()
    assert told["galaxies"] == demo.n_rows and "snr" in {column["name"] for column in told["columns"]}
    described = client.get("/api/v1/openapi.json").get_json()
    rules = {rule.rule for rule in client.application.url_map.iter_rules() if rule.rule.startswith("/api/")}
    assert set(described["paths"]) == rules - {"/api/v1/openapi.json"}
    assert "Query" in described["components"]["schemas"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"query": {"space": "v1"}}, "missing required field `ranking`"),
        (asked(columns=["snrr"]), "did you mean 'snr'?"),
        (asked({"is": "range", "column": "nope"}), "no column 'nope'"),
        ([1], "not as /api/v1/openapi.json describes it"),
    ],
)
def test_what_is_wrong_is_said(client: FlaskClient, body: Any, said: str) -> None:
    answer = client.post("/api/v1/query", json=body)
    assert answer.status_code == 400 and said in answer.get_json()["error"]


def test_programs_need_a_token_where_there_are_some_and_nobody_is_answered_by_default(
    demo_path: Path, tmp_path: Path
) -> None:
    closed = served(demo_path, tmp_path / "a", api=True, api_tokens=TOKEN)
    answers = [
        closed.get("/api/v1/atlas", headers={} if sent is None else {"Authorization": sent}).status_code
        for sent in (None, TOKEN, f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", f"Bearer {TOKEN}")
    ]
    assert answers == [401, 401, 401, 401, 200]
    assert closed.get("/").status_code == 200, "the page is open"
    assert served(demo_path, tmp_path / "b").get("/api/v1/atlas").status_code == 404


def test_a_proxy_says_who_may_look_and_who_may_label(demo_path: Path, demo: Atlas, tmp_path: Path) -> None:
    client = served(demo_path, tmp_path, user_header="X-Remote-User", trust_proxy=1, labellers="vera")
    act = {"id": "a" * 16, "kind": "label", "who": "somebody else", "galaxy": demo.identity.name(3), "label": "spiral"}

    def label(user: str) -> Any:
        return client.post("/labels", json={"entries": [act]}, headers={"X-Remote-User": user} if user else {})

    assert client.get("/").status_code == 401 and "Sign in" in client.get("/").get_json()["error"]
    assert client.get("/healthz").status_code == 200
    assert client.get("/", headers={"X-Remote-User": "edwin"}).status_code == 200
    assert [label("").status_code, label("edwin").status_code] == [401, 403]
    kept = label("vera")
    assert kept.status_code == 200 and kept.get_json()["kept"], kept.text
    table = client.get(f"/labels/{demo.build_id}.csv", headers={"X-Remote-User": "edwin"}).text
    assert "vera" in table and "somebody else" not in table


def test_a_header_that_no_proxy_guards_is_refused_at_the_start() -> None:
    for wrong in ({"user_header": "X-Remote-User"}, {"labellers": "vera"}, {"api_tokens": "short"}):
        with pytest.raises(InputError):
            load({}, **wrong)
