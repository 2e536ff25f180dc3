"""Several detectors mixed: on the page, over HTTP, in downloads, receipts and a notebook, the same galaxies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from msgspec.structs import replace

from atlas import Atlas, ByColumn, ByDetectors, InputError, Query, Range
from atlas.receipts import make_receipt, read_receipt, replay
from dashboard.app import create_app
from dashboard.events.page import Change, Open
from dashboard.events.registry import reduce
from dashboard.service.gallery_query import question_of
from dashboard.settings import load
from dashboard.state.page_state import DetectorMixture, State
from dashboard.state.url import from_token, to_token
from dashboard.views import gallery
from dashboard.views.choices import orders
from dashboard.views.detectors import detectors
from tests.integration.test_advance import service, step  # noqa: F401 - a fixture

BOTH = ("anomaly_form", "anomaly_neighbors")
CLEAN = Range("artefact", None, 0.5)


def expected(demo: Atlas, *, clean: bool) -> list[int]:
    columns = demo.columns("v1")
    mean = sum(np.asarray(columns.array(name)) for name in BOTH) / np.float32(2)
    rows = np.lexsort((np.arange(mean.size), -mean))
    return [row for row in rows.tolist() if not clean or columns.array("artefact")[row] <= 0.5][:24]


@pytest.fixture(scope="module")
def client(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = tmp_path_factory.mktemp("mixtures")
    folders = {f"{name}_dir": folder / name for name in ("cache", "scratch", "kept")}
    given = load({}, atlas=demo_path, labels=str(folder / "labels.sqlite"), api=True, **folders)
    return create_app(settings=given).server.test_client()


def test_ticks_become_an_order_with_a_short_link_of_one_form(service: Any, demo: Atlas) -> None:  # noqa: F811
    hidden = {"is": "filter", "column": "artefact", "high": 0.5}
    mixed = {"is": "mix", "detectors": [BOTH[1], BOTH[0], BOTH[1]], "by": "mean"}
    state = step(service, hidden, mixed).after
    assert state.order == "mixed" and state.mixture == DetectorMixture(BOTH, "mean")
    assert from_token(to_token(state)) == state and len(to_token(replace(state, filters=()))) < 150
    assert to_token(state) == to_token(step(service, mixed | {"detectors": BOTH}, hidden).after)
    query = question_of(demo, state).query
    assert query is not None and demo.run(query).rows.tolist() == expected(demo, clean=True)
    alone = step(service, {"is": "mix", "detectors": [BOTH[0]]}, state=state).after
    assert alone.order == BOTH[0] and alone.mixture is None
    assert reduce(state, Change(order="random")).mixture is None, "one form for each question"


@pytest.mark.parametrize(
    ("ticked", "said"),
    [
        ([], "no detector is ticked: tick one or more of odd for its brightness, odd form"),
        (["anomaly_form", "artefact"], "'artefact' is no detector that can be mixed: tick some of odd for"),
        (["no_such"], "'no_such' is no detector"),
        (["anomaly"] * 9, "9 detectors are named, and there are 5: odd for"),
    ],
)
def test_what_cannot_be_mixed_is_refused_with_what_can(service: Any, ticked: list[str], said: str) -> None:  # noqa: F811
    done = step(service, {"is": "mix", "detectors": ticked})
    assert done.after.order == "most" and said in done.message.lower()


def test_a_link_of_hands_or_of_another_atlas_is_answered_all_the_same(demo: Atlas) -> None:
    assert reduce(State(), Open(State(order="mixed"))).order == "most", "a link that was made by hand"
    with pytest.raises(InputError):
        from_token(to_token(State(mixture=DetectorMixture(("nope", "anomaly")))))  # type: ignore[arg-type]
    columns = demo.columns("v1")
    shown = detectors(columns, State(order="mixed", mixture=DetectorMixture(BOTH)))
    text = json.dumps([one.to_plotly_json() for one in shown], default=lambda part: part.to_plotly_json())
    assert text.count('"aria-checked": "true"') == 2 and "Mixed by" in text
    assert {"value": "mixed", "label": "Odd form or lonely"} in orders(
        State(order="mixed", mixture=DetectorMixture(BOTH)), columns
    )


def test_each_image_says_by_which_detectors_it_is_here(demo: Atlas) -> None:
    query = Query(space="v1", ranking=ByDetectors(BOTH, "highest"), limit=24)
    result = demo.run(query)
    told = gallery.gallery_list(demo, query, result, State())
    columns = demo.columns("v1")
    for row, score, why in zip(told.rows, told.scores, told.whys, strict=True):
        form, lonely = (float(columns.array(name)[row]) for name in BOTH)
        first, second = score.split(" · ")
        assert first.startswith("odd form" if form > lonely else "lonely") and second != first
        shown = float(first.rsplit(" ", 1)[1])
        assert shown <= max(form, lonely) + 1e-3 and max(form, lonely) - shown < 1
        assert "the highest of these" in why
    assert gallery.title(query, demo, None) == "Most anomalous: odd form or lonely"  # type: ignore[arg-type]


def test_programs_notebooks_and_receipts_get_the_same_rows(client: FlaskClient, demo: Atlas) -> None:
    found = demo.anomalies(*BOTH, by="mean", within="artefact <= 0.5", k=24)
    assert found.index.tolist() == expected(demo, clean=True)
    assert "mean of the percentiles" in found.to_astropy()["oddness"].description
    ranking = {"by": "bydetectors", "detectors": [*BOTH], "mixed_by": "mean"}
    body = {"query": {"space": "v1", "ranking": ranking, "limit": 24}}
    told = client.post("/api/v1/query", json=body).get_json()
    assert told["row"] == expected(demo, clean=False) and len(told["fields"]["oddness"]) == 24
    for wrong in (["mag_r", "anomaly"], ["mag_r"], [], ["anomaly"] * 9):
        body["query"]["ranking"] = ranking | {"detectors": wrong}
        answer = client.post("/api/v1/query", json=body)
        assert answer.status_code == 400 and len(answer.get_json()["error"]) > 20
    query = Query(space="v1", ranking=ByDetectors(BOTH, "mean"), limit=24)
    receipt = read_receipt(make_receipt(demo, query, demo.run(query)))
    assert replay(demo, receipt).result.rows.tolist() == expected(demo, clean=False)
    link = found.link("http://127.0.0.1:8050").partition("?s=")[2]
    assert from_token(link).mixture == DetectorMixture(BOTH, "mean")
    assert from_token(demo.anomalies(k=20).link("http://a").partition("?s=")[2]).order == "anomaly"


@pytest.mark.parametrize("how", [{"by": "median"}, {"k": 0}])
@pytest.mark.parametrize("named", [("anomaly_form",), BOTH])
def test_a_notebook_is_told_what_it_may_ask(demo: Atlas, named: tuple[str, ...], how: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"highest|whole number"):
        demo.anomalies(*named, **how)
    with pytest.raises(InputError, match="no detector"):
        demo.anomalies("snr")
    assert demo.anomalies("artefact", k=3)._query == Query(space="v1", ranking=ByColumn("artefact"), limit=3)


def test_downloads_are_in_the_order_of_the_mixture_and_say_it(client: FlaskClient, demo: Atlas) -> None:
    state = State(order="mixed", mixture=DetectorMixture(BOTH, "mean"), listing="table")
    file = client.get(f"/export/{demo.build_id}.ecsv", query_string={"s": to_token(state), "what": "table"})
    assert file.status_code == 200
    assert "The mean of the percentiles of odd form (anomaly_form) and lonely (anomaly_neighbors)" in " ".join(
        file.text.replace("#", " ").split()
    )
    ids = [line.split(",")[0] for line in file.text.splitlines() if not line.startswith("#")][1:25]
    assert ids == demo.identity.names(np.array(expected(demo, clean=False)))
