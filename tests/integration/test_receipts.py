"""Receipts: the same rows again, in the build they came from and in the next one; and what a changed file meets."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas import (
    And,
    Atlas,
    ByColumn,
    Cluster,
    Expression,
    InputError,
    MapPolygon,
    Not,
    Query,
    Rows,
    Shuffled,
    Similar,
    SimilarToGroup,
    Typical,
)
from atlas.__main__ import main
from atlas.receipts import find_receipt, make_receipt, open_for, read_receipt, replay, table
from atlas.storage.layout import build_path
from tests.conftest import ROOT, precompute

# So few anchors that principal components lay them out: UMAP takes each process six seconds to compile.
QUICK = (
    *("--subsample", 200, "--n-neighbors", 200, "--min-cluster-size", 10),
    *("--recall-queries", 5),
)
GONE, RENAMED, MOVED = 11, 12, 13  # rows of the first build


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Atlas, Atlas]:
    """An atlas with two builds: in the second the order of the rows is turned round and some galaxies changed."""
    folder = tmp_path_factory.mktemp("receipts")
    source, out = folder / "source", folder / "atlas"
    precompute("--quiet", "simulate", 1_200, "--out", source, "--dimension", 16)
    precompute("--quiet", "build", source, "--out", out, *QUICK)
    first = Atlas.open(out)
    catalog, embeddings = pq.read_table(source / "catalog.parquet"), np.load(source / "embeddings.npy")
    objid = catalog["objid"].to_numpy().copy()
    objid[RENAMED] = int(objid.max()) + 1_000
    dec = catalog["dec"].to_numpy().copy()
    dec[MOVED] += 5 / 3600
    for name, values in (("objid", objid), ("dec", dec)):
        at = catalog.schema.get_field_index(name)
        catalog = catalog.set_column(at, catalog.schema.field(at), pa.array(values, type=catalog.schema.field(at).type))
    kept = np.delete(np.arange(catalog.num_rows), GONE)[::-1]
    pq.write_table(catalog.take(kept), source / "catalog.parquet")
    np.save(source / "embeddings.npy", embeddings[kept])
    precompute("--quiet", "build", source, "--out", out, *QUICK)
    return out, first, Atlas.open(out)


def asked(atlas: Atlas, ranking: Any, **more: Any) -> tuple[Query, bytes]:
    query = Query(space="v1", ranking=ranking, limit=20, **more)
    return query, make_receipt(atlas, query, atlas.run(query))


@pytest.mark.parametrize(
    ("ranking", "selection"),
    [
        (Similar((3, 7), unwanted=(12,)), None),
        (SimilarToGroup((3,), (12,), group=Expression("mag_r < 19")), None),
        (Similar((3,), least=True), Expression("mag_r < 20 & mag_g - mag_r > 0.1")),
        (Typical(0), Cluster("v1", 0)),
        (ByColumn("mag_r"), Not(Rows((4, 5, 6)))),
        (Shuffled(3), None),
    ],
)
def test_a_receipt_gives_the_same_rows_in_its_own_build(
    builds: tuple[Path, Atlas, Atlas], ranking: Any, selection: Any
) -> None:
    """Also where that build is no longer the current one."""
    root, first, _ = builds
    query, data = asked(first, ranking, **({} if selection is None else {"selection": selection}))
    receipt = read_receipt(data)
    answer = replay(open_for(root, receipt), receipt)
    result = first.run(query)
    assert answer.notes == ()
    assert answer.result.receipt == receipt.receipt == result.receipt
    assert np.array_equal(answer.result.rows, result.rows) and result.rows.size > 0
    assert np.array_equal(answer.result.scores, result.scores, equal_nan=True)


def test_in_another_build_galaxies_are_found_by_id_and_what_is_lost_is_told(
    builds: tuple[Path, Atlas, Atlas],
) -> None:
    _, first, second = builds
    names = {row: first.identity.name(row) for row in (3, 4, GONE, RENAMED, MOVED)}
    _, data = asked(
        first,
        Similar((3, GONE, RENAMED), unwanted=(MOVED,)),
        selection=And((Not(Rows((4, GONE))), Not(MapPolygon("v1", ((900, 900), (901, 900), (900, 901)))))),
    )
    answer = replay(second, read_receipt(data))
    notes = "\n".join(answer.notes)
    assert f"build {first.build_id}" in notes and f"build {second.build_id}" in notes
    assert f"not in this atlas: {names[GONE]} at" in notes
    assert f"under another id: {names[RENAMED]} at" in notes
    assert f"at another position: {names[MOVED]} at" in notes and "5.0″ away" in notes
    assert "map is drawn anew" in notes

    def new(row: int) -> int:  # rows are turned round, one is gone
        return first.n_rows - 1 - row - (row < GONE)

    assert second.identity.name(new(3)) == names[3] and second.identity.name(new(MOVED)) == names[MOVED]
    assert isinstance(answer.query.ranking, Similar)
    assert set(answer.query.ranking.wanted) == {new(3), new(RENAMED)}
    assert answer.query.ranking.unwanted == (new(MOVED),)
    assert new(4) not in answer.result.rows
    expected = second.run(Query(space="v1", ranking=answer.query.ranking, selection=Not(Rows((new(4),))), limit=20))
    assert np.array_equal(answer.result.rows, expected.rows)


def test_most_rows_of_another_build_are_the_same_galaxies(builds: tuple[Path, Atlas, Atlas]) -> None:
    _, first, second = builds
    query, data = asked(first, Similar((3,)))
    before = first.identity.names(first.run(query).rows)
    after = second.identity.names(replay(second, read_receipt(data)).result.rows)
    assert len(set(before) & set(after)) >= 18


def test_clusters_of_another_build_are_warned_of_and_lost_examples_refused(
    builds: tuple[Path, Atlas, Atlas],
) -> None:
    _, first, second = builds
    _, data = asked(first, Typical(0), selection=Cluster("v1", 0))
    assert any("clusters are numbered anew" in note for note in replay(second, read_receipt(data)).notes)
    _, data = asked(first, Similar((GONE,)))
    with pytest.raises(InputError, match=first.identity.name(GONE)):
        replay(second, read_receipt(data))


def test_a_receipt_says_what_was_asked_in_json(builds: tuple[Path, Atlas, Atlas]) -> None:
    _, first, _ = builds
    query, data = asked(first, Similar((9, 3)), selection=Expression("mag_r<20"))
    plain = json.loads(data)
    assert plain["format"] == 1
    assert plain["build"] == first.build_id and plain["atlas"] == first.manifest.title
    assert plain["receipt"] == first.run(query).receipt
    assert plain["query"]["selection"] == {"is": "expression", "text": "mag_r < 20"}
    assert plain["settings"] == {"recall": 0.99, "unwanted_loss": 0.3}
    assert [example["row"] for example in plain["examples"]] == [3, 9]
    assert [example["id"] for example in plain["examples"]] == first.identity.names([3, 9])
    assert plain["examples"][0]["ra_deg"] == first.position(3)[0]


def test_what_is_no_receipt_is_refused_in_words(builds: tuple[Path, Atlas, Atlas]) -> None:
    _, first, _ = builds
    _, data = asked(first, Similar((3, 9)))
    plain = json.loads(data)

    def changed(**more: Any) -> bytes:
        return json.dumps({**plain, **more}).encode()

    for spoiled, message in (
        (b"", "not a receipt"),
        (b"\xff\xfe", "not a receipt"),
        (b"[" * 100_000, "not a receipt"),
        (b"{}", "format"),
        (data[:-20], "not a receipt"),
        (changed(format=2), "format 2, this program reads format 1"),
        (changed(extra=1), "extra"),
        (changed(build="../../etc"), "build"),
        (changed(query={**plain["query"], "limit": 21}), "was changed"),
        (changed(build="0123456789ab"), "was changed"),
        (changed(settings={}), "was changed"),
        (changed(examples=plain["examples"][:1]), "which galaxy row 9 is"),
        (changed(query={**plain["query"], "limit": 10**9}), "limit"),
        (b" " * (9 << 20), "at most"),
    ):
        with pytest.raises(InputError, match=message):
            read_receipt(spoiled)


def test_a_receipt_belongs_to_its_own_answer(builds: tuple[Path, Atlas, Atlas]) -> None:
    _, first, _ = builds
    one, other = (Query(space="v1", ranking=Similar((row,))) for row in (1, 2))
    with pytest.raises(InputError, match="another query"):
        make_receipt(first, one, first.run(other))
    many = Query(space="v1", ranking=Shuffled(), selection=Rows(tuple(range(1_200))))
    assert len(read_receipt(make_receipt(first, many, first.run(many))).examples) == 1_200


def test_the_command_prints_the_same_rows(builds: tuple[Path, Atlas, Atlas], tmp_path: Path) -> None:
    root, first, _ = builds
    query, data = asked(first, Similar((3,)))
    result = first.run(query)
    (tmp_path / f"{result.receipt}.json").write_bytes(data)
    command = [sys.executable, "-m", "atlas", "replay", "--atlas", str(root)]
    printed = []
    for arguments in ([tmp_path / f"{result.receipt}.json"], ["-"], [result.receipt, "--receipts", tmp_path]):
        done = subprocess.run([*command, *map(str, arguments)], cwd=ROOT, input=data, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")
        printed.append(done.stdout.decode())
    assert len(set(printed)) == 1
    lines = list(csv.DictReader(io.StringIO(printed[0])))
    assert [int(line["row"]) for line in lines] == result.rows.tolist()
    assert [line["id"] for line in lines] == first.identity.names(result.rows)
    assert [(float(line["ra"]), float(line["dec"])) for line in lines] == [first.position(r) for r in result.rows]
    assert [np.float32(line["score"]) for line in lines] == result.scores.tolist()


def test_the_command_tells_of_another_build_and_of_what_it_cannot_read(
    builds: tuple[Path, Atlas, Atlas], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, first, _ = builds
    _, data = asked(first, Similar((3, GONE)))
    copy = shutil.copytree(root, tmp_path / "atlas")
    shutil.rmtree(build_path(copy, first.build_id))
    (tmp_path / "receipt.json").write_bytes(data)
    assert main(["replay", str(tmp_path / "receipt.json"), "--atlas", str(copy)]) == 0
    told = capsys.readouterr()
    assert told.out.count("\n") == 21
    assert f"note: not in this atlas: {first.identity.name(GONE)}" in told.err
    for arguments, message in (
        ([str(tmp_path / "none.json")], "cannot be read"),
        (["0123abcd"], "--receipts"),
        (["0123abcd", "--receipts", str(tmp_path)], "cannot be read"),
        ([str(tmp_path)], "cannot be read"),
        ([str(ROOT / "README.md")], "not a receipt"),
    ):
        assert main(["replay", *arguments, "--atlas", str(copy)]) == 1
        told = capsys.readouterr()
        assert told.out == "" and message in told.err and told.err.startswith("error: ")
    assert main(["replay", str(tmp_path / "receipt.json"), "--atlas", str(tmp_path)]) == 1
    assert "holds no atlas" in capsys.readouterr().err


def test_a_random_order_has_no_score(builds: tuple[Path, Atlas, Atlas]) -> None:
    _, first, _ = builds
    _, data = asked(first, Shuffled(1))
    assert {line[4] for line in table(first, replay(first, read_receipt(data)).result)} == {None}
    assert find_receipt(str(ROOT / "LICENSE")).startswith(b"BSD")
