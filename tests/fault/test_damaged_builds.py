"""Files of a build that are damaged, missing, left over or untrue: each is named, none is served."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from atlas import Atlas
from atlas.errors import FormatError
from atlas.search.engines import scann as engine
from atlas.search.index import DESCRIPTION, ISOLATED
from atlas.storage import layout
from atlas.storage.manifest import Manifest, read_manifest, write_manifest
from atlas.storage.publish import END_BYTES, current_build, hash_file
from atlas.storage.validate import validate
from dashboard.service.damage import Damage, look_through
from precompute.build.pipeline import build
from precompute.config import BuildConfig
from precompute.simulation.catalog_survey import simulate_survey
from precompute.sources.source import Source, open_source
from precompute.stages.index import scann as scann_build

pytestmark = pytest.mark.soak

N = 1_500
CONFIG = BuildConfig(
    subsample=600, n_epochs=30, recall_queries=10, threads=1, engine="scann", knn="sample",
    knn_sample=200,
)  # fmt: skip
FILES = [
    "spaces/v1/knn/rows.npy",
    "spaces/v1/knn/sampled.npy",
    "spaces/v1/columns/stray.npy",
    "spaces/v1/columns/anomaly_knn.npy",
    f"spaces/v1/index/{engine.CODES}",
    f"spaces/v1/index/{engine.LEAF_OF_ROW}",
    f"spaces/v1/index/{DESCRIPTION}",
    f"spaces/v1/index/{ISOLATED}",
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("survey") / "source"
    simulate_survey(N, folder, seed=4, dimension=32, quiet=True)
    return open_source(folder)


@pytest.fixture(scope="module")
def built(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "atlas"
    build(source, out, CONFIG, quiet=True)
    return out


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "atlas")
    return tmp_path / "atlas"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))


def folder_of(root: Path) -> tuple[Path, Manifest]:
    folder = layout.build_path(root, str(current_build(root)))
    return folder, read_manifest(folder)


def rewrite(root: Path, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    """Write other values, and a manifest that vouches for them."""
    folder, manifest = folder_of(root)
    path = folder / name
    np.save(path, change(np.load(path)))
    write_manifest(folder, msgspec.structs.replace(manifest, files={**manifest.files, name: hash_file(path)}))


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_short_or_missing_is_named_and_nothing_opens(root: Path, name: str) -> None:
    path = folder_of(root)[0] / name
    os.truncate(path, path.stat().st_size // 2)
    for what in ("bytes, expected", "is missing"):
        faults = validate(root)
        assert len(faults) == 1 and name in faults[0] and what in faults[0]
        with pytest.raises(FormatError, match=f"{name}.*{what}"):
            Atlas.open(root)
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_named(root: Path, name: str) -> None:
    flip(folder_of(root)[0] / name)
    faults = validate(root)
    assert faults == [f"{name} was changed: its SHA-256 is not the manifest's"]


def test_every_file_is_refused_with_another_header_and_found_out_with_other_data(root: Path, tmp_path: Path) -> None:
    folder, manifest = folder_of(root)
    damage = Damage(tmp_path / "scratch")
    assert f"spaces/v1/index/{engine.CODES}" in manifest.files and len(manifest.files) > 60
    for name, file in manifest.files.items():
        path = folder / name
        whole = path.read_bytes()
        for at in (min(8, file.size - 1), file.size // 2):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
            if min(at, file.size - at) < END_BYTES:
                with pytest.raises(FormatError, match=f"{name} was changed"):
                    Atlas.open(root)
            assert look_through(folder, manifest, damage) == [name]
        path.write_bytes(whole)
    assert look_through(folder, manifest, damage) == []


def test_pieces_that_an_encoder_left_over_are_named_and_not_read(root: Path) -> None:
    piece = folder_of(root)[0] / "spaces/v1/index/piece-500"
    piece.mkdir()
    (piece / engine.LEAF_OF_ROW).write_bytes(b"half of")
    assert validate(root) == [f"spaces/v1/index/piece-500/{engine.LEAF_OF_ROW} is not in the manifest"]
    assert len(Atlas.open(root).similar(rows=[3], k=10)) == 10


def test_a_build_killed_while_it_encodes_leaves_nothing_of_its_pieces(
    source: Source, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_apart, before = scann_build.run_apart, current_build(root)
    other = msgspec.structs.replace(CONFIG, seed=9)

    def killed(work: Any, piece: Path) -> None:
        run_apart(work, piece)
        raise KeyboardInterrupt

    monkeypatch.setattr(scann_build, "run_apart", killed)
    with pytest.raises(KeyboardInterrupt):
        build(source, root, other, quiet=True)
    assert list(root.glob("builds/.*.partial/spaces/v1/index/piece-0"))
    assert current_build(root) == before and validate(root) == []
    monkeypatch.setattr(scann_build, "run_apart", run_apart)
    assert build(source, root, other, quiet=True).build_id != before
    assert validate(root) == []
    index = folder_of(root)[0] / "spaces/v1/index"
    assert {path.name for path in index.iterdir()} == {*engine.FILES, DESCRIPTION, ISOLATED}


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("spaces/v1/knn/sampled.npy", lambda rows: rows[::-1], "not in ascending order"),
        ("spaces/v1/knn/sampled.npy", lambda rows: np.full_like(rows, rows[0]), "not in ascending order"),
        ("spaces/v1/knn/sampled.npy", lambda rows: rows + np.uint32(N), "rows that do not exist"),
        ("spaces/v1/knn/sampled.npy", lambda rows: rows[:-1], "neighbours name rows that do not exist"),
        ("spaces/v1/knn/rows.npy", lambda rows: rows + np.uint32(N), "neighbours name rows that do not exist"),
        ("spaces/v1/columns/stray.npy", lambda codes: codes[:-1], "column stray"),
        ("spaces/v1/columns/stray.npy", lambda codes: codes.astype(np.float32), "column stray"),
    ],
)
def test_values_that_cannot_be_true_are_named_though_the_bytes_are_those_written(
    root: Path, name: str, change: Callable[[NDArray[Any]], NDArray[Any]], said: str
) -> None:
    rewrite(root, name, change)
    faults = validate(root)
    assert len(faults) == 1 and said in faults[0], faults


OTHER_FORM = msgspec.structs.replace(CONFIG, anomaly_components=3)


def test_a_new_build_makes_anew_what_was_damaged_and_links_the_rest(source: Source, root: Path) -> None:
    folder, before = folder_of(root)
    name = f"spaces/v1/knn/{layout.KNN_SAMPLED}"
    flip(folder / name)
    after = build(source, root, OTHER_FORM, quiet=True)
    assert after.build_id != before.build_id
    assert validate(root) == []
    assert after.files[name] == before.files[name]
    for linked in ("sky/row.npy", f"spaces/v1/index/{engine.CODES}"):
        assert (folder_of(root)[0] / linked).samefile(folder / linked)


def test_a_new_build_does_not_take_over_what_was_left(source: Source, root: Path) -> None:
    left = folder_of(root)[0] / "spaces/v1/index/piece-0"
    left.mkdir()
    (left / engine.CODES).write_bytes(b"left over")
    build(source, root, OTHER_FORM, quiet=True)
    assert validate(root) == []
    assert not list(folder_of(root)[0].rglob("piece-*"))
