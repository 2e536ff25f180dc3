"""What a person at a terminal meets when something is wrong: one clear sentence, and nothing lost."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from atlas.storage.publish import current_build
from atlas.storage.validate import validate
from precompute.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
# So few anchors that principal components lay them out: UMAP takes each process six seconds to compile.
QUICK = ("--subsample", "100", "--n-neighbors", "100", "--recall-queries", "5")


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fault") / "source"
    result = run("-m", "precompute", "simulate", 1200, "--out", folder, "--dimension", 16)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fault") / "atlas"
    result = run("-m", "precompute", "build", source, "--out", out, *QUICK)
    assert result.returncode == 0, result.stderr
    return out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("build", "no/such/folder", "--out", "{out}"), "no/such/folder"),
        (("build", "{source}", "--out", "{out}", "--id", "objidd"), "objid"),
        (("build", "{source}", "--out", "{out}", "--ra", "rra"), "rra"),
        (("build", "{source}", "--out", "{out}", "--engine", "annoy"), "annoy"),
        (("build", "{source}", "--out", "{out}", "--id", "objid"), "objid"),
        (("info", "{out}"), "holds no atlas"),
        (("validate", "{out}"), "holds no atlas"),
        (("simulate", "5", "--out", "{out}"), "5"),
    ],
)
def test_a_mistake_is_answered_by_one_sentence(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main([a.format(source=source, out=tmp_path / "out") for a in arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") or "\nerror: " in said
    assert message in said
    assert "Traceback" not in said


def test_everything_wrong_with_a_source_is_said_at_once(source: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    n = 50
    rng = np.random.default_rng(0)
    dec = rng.uniform(-20, 20, n)
    dec[4] = 123.0
    lines = ["objid,ra,dec"] + [f"{i % 40},{rng.uniform(0, 360):.6f},{dec[i]:.6f}" for i in range(n)]
    (bad / "catalog.csv").write_text("\n".join(lines) + "\n")
    np.save(bad / "embeddings.npy", rng.normal(size=(n, 16)).astype(np.float32))
    result = run("-m", "precompute", "build", bad, "--out", tmp_path / "out", "--id", "objid", *QUICK)
    assert result.returncode == 1
    assert "123" in result.stderr and "objid" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.soak
def test_an_interrupted_build_goes_on_and_the_old_atlas_stays(source: Path, built: Path, tmp_path: Path) -> None:
    out = tmp_path / "atlas"
    shutil.copytree(built, out)
    old = current_build(out)
    command = [sys.executable, "-m", "precompute", "build", str(source), "--out", str(out), *QUICK, "--seed", "9"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list((out / "builds").glob(".*.partial/stages/embeddings.json")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    if process.returncode == 130:
        assert "goes on from here" in said
        assert current_build(out) == old
        assert validate(out) == []
    assert run("-m", "precompute", "build", source, "--out", out, *QUICK, "--seed", "9").returncode == 0
    assert current_build(out) != old
    assert validate(out) == []


@pytest.mark.soak
def test_validate_tells_a_changed_byte(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "atlas"
    shutil.copytree(built, out)
    assert run("-m", "precompute", "validate", out).returncode == 0
    file = out / "builds" / str(current_build(out)) / "spaces" / "v1" / "knn" / "rows.npy"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    result = run("-m", "precompute", "validate", out)
    assert result.returncode == 1
    assert "knn/rows.npy was changed" in result.stdout


@pytest.mark.soak
def test_an_unreadable_image_is_named_and_the_build_goes_on(demo_path: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(demo_path.with_name(f"{demo_path.name}-source"), source)
    images = sorted((source / "images").iterdir())
    images[0].write_bytes(b"not an image")
    images[1].write_bytes(images[1].read_bytes()[:100])
    result = run("-m", "precompute", "build", source, "--out", tmp_path / "atlas", *QUICK)
    assert result.returncode == 0, result.stderr
    assert "2 of 971 images could not be read" in result.stderr
    assert images[0].name in result.stderr


def test_a_port_in_use_is_said_with_a_way_out(demo_path: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(
            "-m", "dashboard", "--atlas", demo_path, "--port", port, GALAXY_FINDER_CACHE_DIR=str(tmp_path / "cache")
        )
    assert result.returncode == 1
    assert f"port {port} is in use" in result.stderr and "PORT=" in result.stderr


def test_serving_without_an_atlas_says_how_to_build_one(tmp_path: Path) -> None:
    result = run("-m", "dashboard", "--atlas", tmp_path / "none", "--port", 0)
    assert result.returncode == 1
    assert " demo` builds one of real galaxies" in result.stderr
