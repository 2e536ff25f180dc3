"""The real `embed`, killed at whatever it does to its files: the same command goes on."""

from __future__ import annotations

import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from precompute.embedding.embed import DONE
from precompute.source_description import PARTIAL
from tests.fault.kill_at import run_killed
from tests.unit.precompute.embedding.test_embed import galaxy

pytestmark = pytest.mark.soak

N, EDGE = 600, 24  # more than a block


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(N):
        Image.fromarray(galaxy(i, EDGE)).save(folder / f"g{i:03d}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def killed_at(at: int, root: Path, *command: object) -> bool:
    """Whether a run was killed; it ends well if it was not."""
    found = run_killed(at, root, *command)
    assert found.returncode in (0, -signal.SIGKILL), found.stderr
    return found.returncode != 0


def changes_of(root: Path, *command: object) -> int:
    """Changes that one run makes of its files."""
    ended = run_killed(0, root, *command)
    assert ended.returncode == 0, ended.stderr
    return int(ended.stdout.split()[-1])


def test_a_killed_embed_goes_on_where_it_was(pictures: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    changes = changes_of(whole, "embed", pictures, "--out", whole, "--threads", "1")

    def assert_whole(out: Path) -> None:
        assert (out / "embeddings.npy").read_bytes() == (whole / "embeddings.npy").read_bytes()
        assert pq.read_table(out / "catalog.parquet").equals(pq.read_table(whole / "catalog.parquet"))
        assert (out / "source.json").read_bytes() == (whole / "source.json").read_bytes()
        assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in whole.iterdir())

    out = tmp_path / "killed"
    command = ("embed", pictures, "--out", out, "--threads", "1")
    measured = []
    for at in [3, 1, 13, 4, 10**9]:
        if not killed_at(at, out, *command):
            break
        done = out / PARTIAL / DONE
        measured.append(int(done.read_text()) if done.exists() else 0)
    assert measured == sorted(measured) and 0 in measured and measured[-1] > 0
    assert_whole(out)
    for back in (0, 1, 3, 5):
        late = tmp_path / f"late-{back}"
        command = ("embed", pictures, "--out", late, "--threads", "1")
        assert killed_at(changes - back, late, *command) and not killed_at(0, late, *command)
        assert_whole(late)
