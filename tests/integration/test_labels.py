"""The addresses of the labels, and labels as part of the page's question."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from flask.testing import FlaskClient

from atlas import Atlas, Cluster, Collected, Labelled, Range
from atlas.errors import InputError
from atlas.labels.store import Labels
from benchmarks.callbacks import call, listed
from dashboard.app import create_app
from dashboard.service.galaxies import galaxy
from dashboard.settings import load
from dashboard.state.page_state import State, parts
from dashboard.state.url import to_json, to_token


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "labels.sqlite"


@pytest.fixture
def client(demo_path: Path, tmp_path: Path, place: Path) -> Iterator[FlaskClient]:
    settings = load({}, atlas=str(demo_path), cache_dir=str(tmp_path / "cache"), labels=str(place))
    yield create_app(settings=settings).server.test_client()


def act(number: int, galaxy: str, label: str, **more: Any) -> dict[str, Any]:
    return {"id": f"act-{number:05d}", "kind": "label", "who": "Ada", "galaxy": galaxy, "label": label, **more}


def keep(client: FlaskClient, *entries: dict[str, Any]) -> Any:
    return client.post("/labels", json={"entries": entries})


def test_labels_are_kept_told_and_downloaded(client: FlaskClient, demo: Atlas, place: Path) -> None:
    names = demo.identity.names([3, 7])
    link = to_token(State(order="random"))
    answer = keep(
        client,
        {"id": "class-0001", "kind": "class", "who": "Ada", "key": 1, "label": "lens"},
        act(1, names[0], "lens", link=link, rank=5, grade="A", note="arc to the north"),
        act(2, names[1], "ring"),
        act(3, names[1], "lens", who="Vera"),
    ).get_json()
    assert answer["kept"] and answer["classes"][0]["label"] == "lens"
    assert answer["rows"] == {
        "3": [["lens", "Ada", "A", "arc to the north"]], "7": [["ring", "Ada", "", ""], ["lens", "Vera", "", ""]]
    }  # fmt: skip
    assert client.get(f"/labels/{demo.build_id}/of.json?rows=3,4,7").get_json()["rows"] == answer["rows"]
    table = pd.read_csv(io.StringIO(client.get(f"/labels/{demo.build_id}.csv").text), dtype={"id": str})
    assert table[["grade", "note"]].iloc[0].tolist() == ["A", "arc to the north"]
    drawer = call(client, "drawer.children", {"part-drawer.data": to_json(parts(State(drawer="labels"))["drawer"])},
                  "part-drawer.data")  # fmt: skip
    assert "lens A" in str(drawer) and "arc to the north" in str(drawer)
    assert table[["id", "row", "label", "who"]].to_numpy().tolist() == [
        [names[0], 3, "lens", "Ada"], [names[1], 7, "ring", "Ada"], [names[1], 7, "lens", "Vera"]
    ]  # fmt: skip
    kept = Labels(place)
    origin = kept.origins([kept.labels()[0].seq])
    assert '"order":"random"' in next(iter(origin.values())) and demo.build_id in next(iter(origin.values()))


def test_a_cluster_is_called_by_its_name(client: FlaskClient, demo: Atlas, place: Path) -> None:
    name, state = "<i>E/S0</i>, =1+1", State(selection=Cluster("v1", 0), order="typical", drawer="clusters")
    named = {"id": "named-0001", "kind": "name", "who": "Ada", "label": name, "cluster": 0, "build": demo.build_id}
    assert keep(client, named).get_json()["kept"]

    def shown(part: str, output: str, of: State = state) -> str:
        return str(call(client, output, {f"part-{part}.data": to_json(parts(of)[part])}, f"part-{part}.data"))

    assert name in shown("drawer", "drawer.children") and "Named by Ada" in shown("drawer", "drawer.children")
    assert name in shown("page", "page.className")
    assert f"{name}, most typical first" in shown("gallery", "gallery-told.children")
    on_map = {"part-map.data": to_json(parts(State(color="cluster"))["map"])}
    drawn = json.dumps(call(client, "map.figure", on_map, "part-map.data"), ensure_ascii=False)
    assert "&lt;i&gt;E/S0&lt;/i&gt;, =1+1<br>" in drawn, "plotly reads markup"
    assert f'"{name}"' in drawn, "the legend does not"
    chosen = State(focus=galaxy(demo, demo.space().cluster(0).medoid))
    assert f"0 · {name}" in shown("details", "details.children", chosen)
    hovered = f"/galaxy/{demo.build_id}/{demo.space().cluster(0).medoid}.json"
    dated, undated = (client.get(hovered, query_string=query) for query in ({"labels": 1}, {}))
    for answer, kept in ((dated, "immutable"), (undated, "no-store")):
        assert dict(answer.get_json()["facts"])["cluster"] == f"0 · {name}"
        assert kept in answer.headers["Cache-Control"], "a name may be another tomorrow"
    table = pd.read_csv(io.StringIO(client.get(f"/export/{demo.build_id}.csv?s={to_token(state)}").text), comment="#")
    assert set(table["cluster"]) == {0} and set(table["cluster_name"]) == {name}
    notebook = Atlas(demo.build, demo.manifest, labels=Labels(place))
    assert notebook.clusters.loc[0, ["name", "named_by", "size"]].tolist() == [
        name,
        "Ada",
        demo.space().cluster(0).size,
    ]
    notebook.name_cluster(1, "arcs", who="Vera")
    keep(client, {"id": "undo-0001", "kind": "undo", "who": "Ada"})
    drawer = shown("drawer", "drawer.children")
    assert name not in drawer and "arcs" in drawer
    for wrong, words in (
        ({"cluster": None}, "which cluster"),
        ({"cluster": 999}, "no cluster 999"),
        ({"build": "0" * 12}, "gone"),
    ):
        refused = keep(client, {**named, "id": "named-0002", **wrong})
        assert refused.status_code == 400 and words in refused.get_json()["error"]
    with pytest.raises(InputError, match="at most 40"):
        notebook.name_cluster(1, "x" * 41, who="Vera")


def test_what_is_no_label_is_refused_in_a_sentence(client: FlaskClient, demo: Atlas) -> None:
    name = demo.identity.name(3)
    for wrong, words in (
        ({"entries": []}, "does not understand"),
        ({"entries": [act(1, "nobody", "lens")]}, "no galaxy"),
        ({"entries": [act(1, name, "a/b")]}, "cannot be a name"),
        ({"entries": [act(1, name, "lens", who=" ")]}, "who you are"),
        ({"entries": [act(1, name, "lens", link="@@")]}, "link is damaged"),
        ({"entries": [{**act(1, name, "lens"), "kind": "undo"}]}, "nothing of yours"),
        ("nonsense", "does not understand"),
    ):
        response = client.post("/labels", json=wrong)
        assert response.status_code == 400 and words in response.get_json()["error"], wrong
    for rows in ("", "x", "-1", "1," * 600):
        assert client.get(f"/labels/{demo.build_id}/of.json?rows={rows}").status_code == 400
    assert client.get(f"/labels/{demo.build_id}/of.json?rows=4000000000").get_json()["rows"] == {}


def test_a_place_that_cannot_be_written_is_told_and_the_page_works(
    client: FlaskClient, demo: Atlas, place: Path
) -> None:
    place.mkdir()
    answer = keep(client, act(1, demo.identity.name(3), "lens"))
    assert answer.status_code == 200 and not answer.get_json()["kept"]
    assert "cannot be opened; nothing was kept" in answer.get_json()["said"]
    assert client.get("/").status_code == 200
    place.rmdir()
    assert keep(client, act(1, demo.identity.name(3), "lens")).get_json()["kept"]


def rows_of(client: FlaskClient, state: State) -> list[int]:
    part = {"part-gallery.data": to_json(parts(state)["gallery"])}
    rows: list[int] = listed(call(client, "gallery-told.children", part, "part-gallery.data"))["rows"]
    return rows


def test_a_thousand_images_are_told_in_a_few_bytes_each(client: FlaskClient, demo: Atlas) -> None:
    part = {"part-gallery.data": to_json(parts(State(order="anomaly", shown=1000))["gallery"])}
    answer = call(client, "gallery-told.children", part, "part-gallery.data")
    shown = listed(answer)
    assert len(shown["rows"]) == min(1000, demo.n_rows) == len(set(shown["rows"])) == len(shown["scores"])
    assert shown["ids"] == demo.identity.names(shown["rows"])
    # A figure, a word and why: of an anomaly most is told.
    assert len(json.dumps(answer)) < 200 * len(shown["rows"])


def test_a_gallery_of_a_label_follows_it(client: FlaskClient, demo: Atlas) -> None:
    state, typed = (
        State(order="random", **which)
        for which in ({"selection": Labelled(("lens",))}, {"expression": 'label == "lens"'})
    )
    assert rows_of(client, state) == []
    keep(client, act(1, demo.identity.name(3), "lens"), act(2, demo.identity.name(8), "lens"))
    assert sorted(rows_of(client, state)) == [3, 8] == sorted(rows_of(client, typed))
    # What is downloaded is called by the receipt that the page gives, labels as of now.
    for one in (state, typed):
        said = client.get(f"/export/{demo.build_id}.csv?s={to_token(one)}").headers["Content-Disposition"]
        asked = said.rpartition("-")[2].partition(".")[0]
        assert client.get(f"/receipt/{demo.build_id}/{asked}.json?s={to_token(one)}").status_code == 200
    like = State(group=Labelled(("lens",)), shown=1000)  # all but the examples
    before = rows_of(client, like)
    assert 3 not in before and 8 not in before
    # The answer to an undo tells whose label it took back, as that to any act tells all that changed.
    told = keep(client, {"id": "undo-0001", "kind": "undo", "who": "Ada"}).get_json()
    assert told["rows"] == {"8": []} and told["since"] == told["revision"] - 1
    assert rows_of(client, state) == [3] == rows_of(client, typed)
    after = rows_of(client, like)
    assert after[:24] != before[:24] and 8 in after and 3 not in after


def test_labels_lie_beside_the_atlas(demo_path: Path, tmp_path: Path) -> None:
    """Whoever opens the atlas in a notebook has the labels of its page."""
    root = tmp_path / "atlas"
    (root / "builds").mkdir(parents=True)
    shutil.copy(demo_path / "CURRENT", root)
    build = (demo_path / "CURRENT").read_text().strip()
    (root / "builds" / build).symlink_to((demo_path / "builds" / build).resolve())
    settings = load({}, atlas=str(root), cache_dir=str(tmp_path / "cache"))
    client = create_app(settings=settings).server.test_client()
    atlas = Atlas.open(root)
    assert not (root / "labels.sqlite").exists()
    keep(client, act(1, atlas.identity.name(3), "lens"))
    assert atlas.mask(Labelled(("lens",))).rows.tolist() == [3]


def test_what_is_listed_or_selected_becomes_a_collection(client: FlaskClient, demo: Atlas, place: Path) -> None:
    listed = State(order="random", selection=Range("snr", low=100.0), shown=16)

    def collect(number: int, name: str, of: str, state: State) -> Any:
        entry = {"id": f"collect-{number:03d}", "kind": "collection", "who": "Ada", "label": name, "of": of}
        return keep(client, {**entry, "link": to_token(state)})

    assert collect(1, "odd", "gallery", listed).get_json()["kept"]
    assert collect(2, "odd", "selection", listed).get_json()["kept"]
    atlas = Atlas.open(demo.build.parent.parent, labels=Labels(place))
    shown = rows_of(client, listed)
    assert atlas.labelled.members("odd", 1).tolist() == shown and len(shown) == 16
    assert atlas.labelled.members("odd").tolist() == demo.mask("snr >= 100").rows.tolist()
    # A link names the revision, and goes on to show it.
    assert sorted(rows_of(client, State(selection=Collected("odd", 1), order="random"))) == sorted(shown)
    drawer = call(client, "drawer.children", {"part-drawer.data": to_json(parts(State(drawer="labels"))["drawer"])},
                  "part-drawer.data")  # fmt: skip
    assert "odd" in str(drawer) and "@2" in str(drawer)
    for wrong, words in ((collect(3, "all", "selection", State()), "at most 10,000"),
                         (collect(4, "none", "gallery", State()), "no list yet")):  # fmt: skip
        assert wrong.status_code == 400 and words in wrong.get_json()["error"]
