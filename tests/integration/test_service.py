"""The server's own addresses: what they answer, and what they say to nonsense."""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flask.testing import FlaskClient
from PIL import Image, ImageColor

from atlas import Atlas, ByColumn, Expression, Range
from atlas.catalog.position_text import iau_name
from atlas.expressions import parser
from atlas.queries import selection as selections
from atlas.receipts import read_receipt
from benchmarks.callbacks import DEPENDENCIES, UPDATE, body_of, call
from dashboard.app import create_app
from dashboard.service.galaxies import galaxy
from dashboard.settings import load
from dashboard.state.page_state import State, Table, parts
from dashboard.state.url import to_json, to_token
from dashboard.state.viewports import home_box
from dashboard.views.palette import DARK, theme
from dashboard.views.whereabouts import whereabouts
from dashboard.web.routes import EDGE_COLOR


@pytest.fixture(scope="module")
def client(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    settings = load({}, atlas=str(demo_path), cache_dir=str(tmp_path_factory.mktemp("cache") / "own"))
    yield create_app(settings=settings).server.test_client()


@pytest.fixture(scope="module")
def small_client(small_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    settings = load({}, atlas=str(small_path), cache_dir=str(tmp_path_factory.mktemp("cache") / "own"))
    yield create_app(settings=settings).server.test_client()


MAP_BOX = {"x0": -5, "x1": 5, "y0": -5, "y1": 5, "w": 64, "h": 48, "light": 0}
SKY_BOX = {**MAP_BOX, "kind": "tan", "ra": 53.16, "dec": -27.79, "x0": -0.1, "x1": 0.1, "y0": -0.1, "y1": 0.1}


def test_images_come_from_the_atlas_and_are_kept_for_ever(client: FlaskClient, demo: Atlas) -> None:
    response = client.get(f"/cutout/{demo.build_id}/5.webp")
    assert response.status_code == 200 and response.mimetype == "image/webp"
    assert "immutable" in response.headers["Cache-Control"]
    assert demo.thumbnails is not None
    assert response.data == demo.thumbnails.read(5)
    framed = Image.open(io.BytesIO(client.get(f"/cutout/{demo.build_id}/5.webp?framed=1").data))
    assert framed.mode == "RGBA" and framed.getpixel((0, 0))[3] < 60, "its corners are cut"  # type: ignore[index]
    edge = np.asarray(framed)[0, framed.width // 3 : framed.width // 2]
    np.testing.assert_allclose(edge, np.broadcast_to([*ImageColor.getrgb(EDGE_COLOR), 255], edge.shape), atol=30)


def test_a_galaxy_without_an_image_shows_its_embedding(small_client: FlaskClient, small: Atlas) -> None:
    pictures = [
        np.asarray(Image.open(io.BytesIO(small_client.get(f"/cutout/{small.build_id}/{row}.webp").data)).convert("RGB"))
        for row in (3, 3, 900)
    ]
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_facts_name_the_galaxy(client: FlaskClient, demo: Atlas) -> None:
    card = client.get(f"/galaxy/{demo.build_id}/7.json").get_json()
    assert card["id"] == demo.identity.name(7)
    assert dict(card["facts"])["cluster"]


DOT = re.compile(r"circle at ([\d.]+)% ([\d.]+)%, (#\w+)")


def test_members_are_dots_on_map_and_sky(client: FlaskClient, demo: Atlas) -> None:
    rows = demo.space().cluster_portraits[0].members
    on_map, on_sky = (picture.style["backgroundImage"] for picture in whereabouts(demo, rows, light=True))
    box, columns = home_box(demo.space().plane), demo.columns("v1")
    across, down = np.array([[float(x), float(y)] for x, y, _ in DOT.findall(on_map)]).T / 100
    np.testing.assert_allclose(box.x0 + across * (box.x1 - box.x0), columns.array("map_x")[list(rows)], atol=0.02)
    np.testing.assert_allclose(box.y1 - down * (box.y1 - box.y0), columns.array("map_y")[list(rows)], atol=0.02)
    dots = np.array([[float(x), float(y)] for x, y, _ in DOT.findall(on_sky)])
    assert len(dots) == len(rows) and (dots > 0).all() and (dots < 100).all()
    ra, dec = (np.asarray(columns.array(name)[list(rows)]) for name in ("ra", "dec"))
    assert np.corrcoef(dots[:, 0], ra)[0, 1] < -0.999 and np.corrcoef(dots[:, 1], dec)[0, 1] < -0.999, "east is left"
    assert {color for *_, color in DOT.findall(on_map)} == {theme(True).accent}
    assert {color for *_, color in DOT.findall(on_sky)} == {DARK.accent}, "the sky is dark"
    others = whereabouts(demo, [3], light=True)
    for picture, other in zip((on_map, on_sky), others, strict=True):
        (address,) = re.findall(r'url\("(.*)"\)', picture)
        assert address in other.style["backgroundImage"]
        assert client.get(address).mimetype == "image/png"


def test_the_card_tells_what_matters_then_what_colours(
    client: FlaskClient, demo: Atlas, small_client: FlaskClient, small: Atlas
) -> None:
    def told(client: FlaskClient, atlas: Atlas, **query: str) -> list[str]:
        card = client.get(f"/galaxy/{atlas.build_id}/7.json", query_string=query).get_json()
        return [name for name, _ in card["facts"]]

    assert told(small_client, small) == ["mag_r", "z_phot", "z_spec", "source_type", "cluster"]
    assert told(small_client, small, color="anomaly_knn")[-2:] == ["cluster", "anomaly_knn"]
    assert told(small_client, small, color="density") == told(small_client, small, color="z_spec")
    magnitude, *rest = told(client, demo)
    assert demo.columns().describe(magnitude).unit == "mag"
    assert rest == ["inst_green_minus_red", "half_light_radius", "cluster"], "what its source names"


def test_a_raster_shows_where_the_galaxies_are(client: FlaskClient, demo: Atlas) -> None:
    frame = demo.space().plane.frame
    box = {"x0": frame.x0, "x1": frame.x1, "y0": frame.y0, "y1": frame.y1, "w": 100, "h": 100, "light": 0}
    response = client.get(f"/raster/{demo.build_id}/map.png", query_string=box)
    assert response.mimetype == "image/png" and len(response.data) < 500_000
    alpha = np.asarray(Image.open(io.BytesIO(response.data)).convert("RGBA"))[:, :, 3] > 0
    columns = demo.columns("v1")
    x, y = (np.asarray(columns.array(name), dtype=float) for name in ("map_x", "map_y"))
    inside = (x > frame.x0) & (x < frame.x1) & (y > frame.y0) & (y < frame.y1)
    column = ((x[inside] - frame.x0) / frame.width * 100).astype(int).clip(0, 99)
    row = 99 - ((y[inside] - frame.y0) / frame.height * 100).astype(int).clip(0, 99)
    assert alpha[row, column].mean() > 0.98
    assert alpha.mean() < 0.9


@pytest.mark.parametrize("plane", ["map", "sky"])
@pytest.mark.parametrize("name", ["x0", "w", "h", "light", "ra", "kind"])
@pytest.mark.parametrize("value", [None, "nan", "inf", "1e400", "", "abc", "-1e12", "99999999999999", "0;drop"])
def test_a_raster_refuses_nonsense_in_words(
    client: FlaskClient, demo: Atlas, plane: str, name: str, value: Any
) -> None:
    arguments = dict(MAP_BOX if plane == "map" else SKY_BOX)
    if name not in arguments or (name, value) == ("x0", "-1e12"):  # a plane of masses is as wide as that
        return
    if value is None:
        del arguments[name]
    else:
        arguments[name] = value
    response = client.get(f"/raster/{demo.build_id}/{plane}.png", query_string=arguments)
    assert response.status_code == 400, response.data
    assert 10 < len(response.get_json()["error"]) < 300


def test_a_mean_has_the_colours_that_its_address_names(client: FlaskClient, demo: Atlas) -> None:
    address = f"/raster/{demo.build_id}/map.png"
    query = {**MAP_BOX, "column": "snr"}
    plain, magma = (
        client.get(address, query_string=query),
        client.get(address, query_string={**query, "shading": '{"palette":"magma"}'}),
    )
    assert plain.status_code == magma.status_code == 200 and plain.data != magma.data
    for wrong in ('{"palette":"jet"}', '{"low":2,"high":1}', "magma", '{"low":"x"}', "9" * 400):
        assert client.get(address, query_string={**query, "shading": wrong}).status_code == 400, wrong


@pytest.mark.parametrize(
    "path",
    [
        "/cutout/{b}/99999999.webp",
        "/cutout/ffffffffffff/1.webp",
        "/cutout/..%2f..%2f/1.webp",
        "/galaxy/{b}/-1.json",
        "/galaxy/{b}/1e9.json",
        "/background/../../etc/passwd",
        "/raster/{b}/moon.png",
        "/assets/../requirements.txt",
        "/no/such/page",
        "/bootstrap/../../app.py",
    ],
)
def test_addresses_that_lead_nowhere_are_4xx_without_internals(client: FlaskClient, demo: Atlas, path: str) -> None:
    response = client.get(path.format(b=demo.build_id))
    assert 400 <= response.status_code < 500
    assert not re.search(r"Traceback|/work|site-packages|\.py\b", response.get_data(as_text=True))


def post(client: FlaskClient, events: Any, state: Any = None) -> Any:
    """What the page's one event callback answers."""
    outputs = [
        ("state", "data"),
        *((f"part-{name}", "data") for name in parts(State())),
        ("move", "data"), ("url", "data"), ("toast", "children"), ("toast", "is_open"), ("ack", "data"),
        ("export", "href"),
    ]  # fmt: skip
    layout = client.get("/_dash-dependencies").get_json()
    output = next(d["output"] for d in layout if d["output"].startswith("..state.data"))
    body = {
        "output": output,
        "outputs": [{"id": i, "property": p} for i, p in outputs],
        "inputs": [{"id": "event", "property": "data", "value": {"seq": 1, "events": events}}],
        "changedPropIds": ["event.data"],
        "state": [{"id": "state", "property": "data", "value": state}],
    }
    return client.post("/_dash-update-component", json=body)


def test_an_event_changes_the_state(client: FlaskClient, demo: Atlas) -> None:
    response = post(client, [{"is": "pick", "row": 4, "build": demo.build_id}])
    assert response.status_code == 200
    answer = response.get_json()["response"]
    assert json.loads(answer["state"]["data"])["focus"]["id"] == demo.identity.name(4)
    told = answer["ack"]["data"]
    assert (told["seq"], told["build"]) == (1, demo.build_id)
    assert told["title"] == f"{iau_name(*demo.position(4))} · Galaxy Finder"


@pytest.mark.parametrize(
    "events",
    [
        None, 5, [], [None], [{"is": "x"}], [{"is": "pick", "row": 10**9, "build": "0" * 12}],
        [{"is": "find", "text": "\u0000\uffff"}], [{"is": "find", "text": ""}],
        [{"is": "find", "text": "1 2 3 4 5 6 7 8"}],
        [{"is": "cluster", "label": 30_000}], [{"is": "mark", "id": "nobody", "sign": 1}],
        [{"is": "change", "color": "no_such_column"}], [{"is": "open", "token": "AAAA"}],
        [{"is": "lasso", "plane": "map", "vertices": [[0, 0], [0, 0], [0, 0]]}],
        [{"is": "lasso", "plane": "map", "vertices": [[0, 0], [1, 1], [2, 2]]}],
    ],
)  # fmt: skip
def test_an_event_that_cannot_be_acted_on_is_a_message_and_the_state_stays(client: FlaskClient, events: Any) -> None:
    before = '{"light":true}'
    response = post(client, events, before)
    assert response.status_code == 200, response.data
    answer = response.get_json()["response"]
    after = json.loads(answer["state"]["data"])
    assert after["light"] is True
    assert "selection" not in after
    assert answer["toast"]["is_open"] is True
    assert "Traceback" not in json.dumps(answer)


@pytest.mark.parametrize(
    "state", ["", "nonsense", "[]", '{"focus": 3}', '{"shown": 100000}', '{"selection": {"is": "rm"}}']
)
def test_a_state_that_is_none_is_refused_in_words(client: FlaskClient, state: str) -> None:
    response = post(client, [{"is": "clear"}], state)
    assert response.status_code == 200
    assert response.get_json()["response"]["toast"]["is_open"] is True


def test_without_an_atlas_nothing_starts_and_the_reason_is_said(tmp_path: Path) -> None:
    from atlas.errors import FormatError

    with pytest.raises(FormatError, match="holds no atlas"):
        create_app(settings=load({}, atlas=str(tmp_path / "none"), cache_dir=str(tmp_path / "cache")))


def test_a_new_build_is_taken_up_without_a_restart(
    tmp_path: Path, demo_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    from atlas.storage import layout
    from atlas.storage.publish import current_build

    root = tmp_path / "atlas"
    shutil.copytree(demo_path, root)
    app = create_app(settings=load({}, atlas=str(root), cache_dir=str(tmp_path / "cache")))
    monkeypatch.setattr("dashboard.service.current_build.LOOK_EVERY_S", 0.0)
    client = app.server.test_client()
    old = str(current_build(root))
    new = "0" * 12
    shutil.copytree(layout.build_path(root, old), layout.build_path(root, new))
    manifest = layout.build_path(root, new) / layout.MANIFEST
    manifest.write_text(manifest.read_text().replace(f'"build_id": "{old}"', f'"build_id": "{new}"'))
    layout.write_atomically(root / layout.CURRENT, f"{new}\n".encode())
    deadline = time.monotonic() + 60
    while post(client, [{"is": "clear"}]).get_json()["response"]["ack"]["data"]["build"] != new:
        assert time.monotonic() < deadline, "the new build was not taken up"
    assert client.get(f"/cutout/{old}/1.webp").status_code == 200


def box_of(demo: Atlas) -> dict[str, Any]:
    frame = demo.space().plane.frame
    return {"x0": frame.x0, "x1": frame.x1, "y0": frame.y0, "y1": frame.y1, "w": 64, "h": 64, "light": 0}


def test_pictures_show_means_selections_and_planes_of_columns(client: FlaskClient, demo: Atlas) -> None:
    everything = client.get(f"/raster/{demo.build_id}/map.png", query_string=box_of(demo)).data
    mean = client.get(f"/raster/{demo.build_id}/map.png", query_string={**box_of(demo), "column": "snr"})
    assert mean.status_code == 200 and mean.mimetype == "image/png" and mean.data != everything
    sky = client.get(f"/raster/{demo.build_id}/sky.png", query_string={**SKY_BOX, "column": "snr"})
    assert sky.status_code == 200
    box = {"x0": -14, "x1": -5, "y0": -1, "y1": 0.5, "w": 64, "h": 64, "light": 0}
    axes = {"x": "inst_mag_red", "y": "inst_blue_minus_green"}
    one, other = (
        np.asarray(Image.open(io.BytesIO(client.get(
            f"/raster/{demo.build_id}/map.png", query_string={**box, **axes, "flip": flip}
        ).data)).convert("RGBA"))
        for flip in (0, 3)
    )  # fmt: skip
    assert (one[:, :, 3] > 0).any()
    assert np.array_equal(one, other[::-1, ::-1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"column": "no_such"},
        {"column": "cluster"},
        {"in": "0" * 24},
        {"in": "../../etc/passwd"},
        {"x": "snr"},
        {"x": "snr", "y": "no_such"},
        {"x": "snr", "y": "x" * 1000},
        {"flip": 9},
    ],
)
def test_a_picture_of_what_is_not_there_is_refused_in_words(
    client: FlaskClient, demo: Atlas, wrong: dict[str, Any]
) -> None:
    response = client.get(f"/raster/{demo.build_id}/map.png", query_string={**box_of(demo), **wrong})
    assert response.status_code == 400, response.data
    assert 5 < len(response.get_json()["error"]) < 600


def test_a_condition_is_checked_as_it_is_typed(client: FlaskClient, demo: Atlas) -> None:
    def check(text: str, cursor: int) -> Any:
        query = {"text": text, "cursor": cursor}
        return client.get(f"/expression/{demo.build_id}.json", query_string=query).get_json()

    assert check("", 0)["error"] is None
    assert check("snr > 20", 8)["error"] is None
    wrong = check("snr > 20 & gino > 1", 15)
    assert wrong["error"]["start"] == 11 and wrong["error"]["end"] == 15 and "gini" in wrong["error"]["message"]
    assert "gini" in check("gi", 2)["words"]
    for bad in ({"text": "x" * 501, "cursor": 0}, {"text": "snr", "cursor": -1}, {"cursor": 0}, {"text": "snr"}):
        assert client.get(f"/expression/{demo.build_id}.json", query_string=bad).status_code == 400


@pytest.mark.parametrize(
    "state",
    [
        State(),
        State(focus=None, filters=(Range("snr", 100.0),)),
        State(order="anomaly_knn", expression="snr > 50"),
        State(listing="table", table=Table(("snr",), "snr", True), expression="snr > 50"),
    ],
)
def test_a_download_is_the_whole_selection_in_its_order(client: FlaskClient, demo: Atlas, state: State) -> None:
    response = client.get(f"/export/{demo.build_id}.csv", query_string={"s": to_token(state)})
    assert response.status_code == 200 and response.mimetype == "text/csv"
    table = pd.read_csv(io.StringIO(response.get_data(as_text=True)))
    snr = np.asarray(demo.columns().array("snr"))
    least = 100.0 if state.filters else 50.0 if state.expression else -np.inf
    assert len(table) == int((snr >= least).sum())
    assert set(table["id"].astype(str)) <= {demo.identity.name(row) for row in range(demo.n_rows)}
    if state.table.sort:
        assert (np.diff(table["snr"]) <= 0).all()
    elif state.order == "anomaly_knn":
        assert (np.diff(table["anomaly_knn"]) <= 0).all()


@pytest.mark.parametrize("link", ["damaged", "~" + "0" * 24, "x" * 7000])
def test_a_download_of_a_damaged_link_is_refused_in_words(client: FlaskClient, demo: Atlas, link: str) -> None:
    for address in (f"/export/{demo.build_id}.csv", f"/receipt/{demo.build_id}/00000000.json"):
        response = client.get(address, query_string={"s": link})
        assert response.status_code == 400
        assert 5 < len(response.get_json()["error"]) < 300


def test_a_receipt_belongs_to_its_question(client: FlaskClient, demo: Atlas) -> None:
    state = State(order="anomaly_knn")
    address = f"/receipt/{demo.build_id}/00000000.json"
    wrong = client.get(address, query_string={"s": to_token(state)})
    assert wrong.status_code == 400
    right = re.search(r"receipt ([0-9a-f]{8})", wrong.get_json()["error"])
    assert right is not None
    found = client.get(address.replace("00000000", right[1]), query_string={"s": to_token(state)})
    assert read_receipt(found.data).query.ranking == ByColumn("anomaly_knn")
    assert client.get(address, query_string={"s": to_token(State())}).status_code == 400, "no question, no receipt"


WIDE = [[-50, -50], [50, -50], [50, 50], [-50, 50]]


def counted(client: FlaskClient, body: dict[str, Any]) -> tuple[dict[str, Any], Counter[str]]:
    """What a post answers, and how often it made a canonical form and parsed a text."""
    calls: Counter[str] = Counter()

    def heard(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            calls["forms"] += frame.f_code is selections.canonical.__code__ and not frame.f_locals["depth"]
            calls["parsed"] += frame.f_code is parser._parse.__wrapped__.__code__

    sys.setprofile(heard)
    try:
        response = client.post(UPDATE, json=body)
    finally:
        sys.setprofile(None)
    return (response.get_json() or {}).get("response", {}), calls


def click(client: FlaskClient, event: dict[str, Any], held: str | None) -> tuple[str, dict[str, Counter[str]]]:
    """The state after an event, and the calls of each post that follows from it."""
    listed = client.get(DEPENDENCIES).get_json()
    values: dict[str, Any] = {"event.data": {"seq": 1, "events": [event]}, "state.data": held}
    told, calls = counted(client, body_of(listed, "state.data", values, "event.data"))
    found = {"event": calls}
    for one in listed:
        part = next((i["id"] for i in one["inputs"] if "data" in told.get(i["id"], {}) and "part-" in i["id"]), None)
        if part and not one.get("clientside_function"):
            values = {f"{part}.data": told[part]["data"]}
            output = one["output"].strip(".").split("...")[0]
            _, found[part] = counted(client, body_of(listed, output, values, f"{part}.data"))
    return told["state"]["data"], found


def test_a_request_makes_a_form_once_and_an_expression_is_parsed_once(client: FlaskClient) -> None:
    held, _ = click(client, {"is": "random"}, None)
    held, _ = click(client, {"is": "lasso", "plane": "map", "vertices": WIDE}, held)
    parser._parse.cache_clear()
    held, calls = click(client, {"is": "express", "text": "snr>5 "}, held)
    assert "snr" in held and {"part-map", "part-sky", "part-gallery", "part-marks"} <= set(calls)
    assert {name: one["forms"] for name, one in calls.items() if one["forms"] > 1} == {}
    # The text as it was typed, and the one way to write it, which has to be an expression too.
    assert calls["event"]["parsed"] == 2 and sum(one["parsed"] for one in calls.values()) <= 3
    _, calls = click(client, {"is": "random"}, held)
    assert sum(one["parsed"] for one in calls.values()) == 0
    assert {name: one["forms"] for name, one in calls.items() if one["forms"] > 1} == {}


def test_a_question_that_cannot_be_answered_takes_away_what_answered_another(client: FlaskClient, demo: Atlas) -> None:
    empty = State(group=Expression("dec > 80"), focus=galaxy(demo, 7))
    values = {"part-gallery.data": to_json(parts(empty)["gallery"])}
    told = call(client, "gallery-told.children", values, "part-gallery.data")
    words = json.dumps(told["gallery-told"]["children"])
    assert "The group that galaxies should be like holds none: drop it, or take another." in words
    assert "data-list" not in words and told["status-answer"]["children"] == []
