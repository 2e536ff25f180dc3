"""The real commands that change an atlas, killed at whatever they do to its files: the atlas in use is whole at each
moment, and the same command goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas import Atlas
from atlas.storage import layout
from atlas.storage.publish import current_build
from atlas.storage.validate import validate
from precompute.build.stage_runner import link
from tests.conftest import KEPT, source_of
from tests.fault.kill_at import run_killed
from tests.sources import last_rows

KILLS = 5
RENUMBERED = 10**6
UNEQUAL = ("quality.json", "stages/", "index/")
"""Files that tell how long something took, or that two runs do not write alike."""


def copy_of(atlas: Path, root: Path) -> Path:
    for name in (layout.BUILDS, layout.CURRENT):
        link(atlas / name, root / name)
    return root


def updated(root: Path, folder: Path) -> list[object]:
    ids = Atlas.open(root).columns().array("objid")
    pq.write_table(pa.table({"objid": ids, "redshift": np.arange(ids.size) / 100}), folder / "z.parquet")
    return ["update", root, "--catalog", folder / "z.parquet"]


def removed(root: Path, folder: Path) -> list[object]:
    return ["remove", root, "--where", "snr < 20", "--threads", "1"]


def in_another_space(root: Path, folder: Path) -> list[object]:
    embeddings = np.array(Atlas.open(root).space("v1").embeddings[:, :9], dtype=np.float32)
    if not (folder / "v3.npy").exists():  # a file that is written anew is another
        np.save(folder / "v3.npy", embeddings + np.float32(0.01))
    few = ["--subsample", "300", "--n-epochs", "20", "--recall-queries", "5", "--threads", "1"]
    return ["add-space", root, "v3", "--embeddings", folder / "v3.npy", *few]


def appended(root: Path, folder: Path) -> list[object]:
    """Galaxies come to both spaces: their embeddings in the second are joined by id."""
    if not (folder / "v2.parquet").exists():  # a source that is written anew is another
        last_rows(source_of(KEPT / "xdf"), folder / "more", 40, RENUMBERED)
        table = pq.read_table(source_of(KEPT / "two-spaces") / "v2.parquet")
        ids = pa.array(table["objid"].to_numpy() + RENUMBERED)
        pq.write_table(table.set_column(0, "objid", ids), folder / "v2.parquet")
    further = ["--space-embeddings", f"v2={folder / 'v2.parquet'}", "--threads", "1"]
    return ["append", folder / "more", "--out", root, *further]


@pytest.mark.soak
@pytest.mark.parametrize("change", [updated, removed, in_another_space, appended])
def test_a_change_that_is_killed_leaves_the_atlas_whole_and_goes_on(
    change: Callable[[Path, Path], list[object]], spaces_path: Path, tmp_path: Path
) -> None:
    at_once, killed = (copy_of(spaces_path, tmp_path / name) for name in ("at-once", "killed"))
    ended = run_killed(0, at_once, *change(at_once, tmp_path))
    assert ended.returncode == 0, ended.stderr
    changes, before = int(ended.stdout.split()[-1]), current_build(killed)
    command = change(killed, tmp_path)
    # At any change of a file, and at the last ones, by which the build is published.
    random = np.random.default_rng(16)
    for at in [*sorted(random.integers(2, changes - 4, KILLS).tolist()), 10**9]:
        found = run_killed(at, killed, *command)
        assert validate(killed) == []
        if found.returncode == 0:
            break  # what was done before leaves fewer changes
        assert found.returncode == -signal.SIGKILL, found.stderr
        assert current_build(killed) == before
    assert_alike(killed, at_once)

    # The very last changes publish it: the atlas is the one before or the next, never none.
    for back in (0, 2, 4):
        late = copy_of(spaces_path, tmp_path / f"late-{back}")
        assert run_killed(changes - back, late, *change(late, tmp_path)).returncode == -signal.SIGKILL
        assert validate(late) == [] and current_build(late) in (before, current_build(at_once))
        assert run_killed(0, late, *change(late, tmp_path)).returncode == 0
        assert_alike(late, at_once)


def assert_alike(root: Path, other: Path) -> None:
    """Both atlases hold the same, to the byte where two runs of one command write the same bytes."""
    a, b = (Atlas.open(one).manifest for one in (root, other))
    assert validate(root) == [] and a.n_rows == b.n_rows and a.columns == b.columns and a.files.keys() == b.files.keys()
    assert not list((root / layout.BUILDS).glob(".*"))
    unlike = [name for name, file in a.files.items() if file.sha256 != b.files[name].sha256]
    assert [name for name in unlike if not any(part in name for part in UNEQUAL)] == []
