"""A build whose files are damaged: refused at opening where a header is, taken out of use where it is found later."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import msgspec
import pytest

from atlas import Atlas
from atlas.errors import DamagedError, FormatError
from atlas.storage import layout
from atlas.storage.manifest import read_manifest, write_manifest
from atlas.storage.publish import current_build, hash_file
from atlas.storage.validate import open_current
from dashboard.app import create_app
from dashboard.service.damage import LOOK_EVERY_S, Damage, Scrub, look_again, look_through
from dashboard.settings import Settings, load

VICTIM = "spaces/v1/knn/rows.npy"


@pytest.fixture
def root(demo_path: Path, tmp_path: Path) -> Path:
    """The demo, with hashes of both ends of each file, whatever its age."""
    root, build_id = tmp_path / "atlas", str(current_build(demo_path))
    build = layout.build_path(root, build_id)
    shutil.copytree(layout.build_path(demo_path, build_id), build)
    shutil.copy(demo_path / layout.CURRENT, root)
    manifest = read_manifest(build)
    files = {name: hash_file(build / name) for name in manifest.files}
    write_manifest(build, msgspec.structs.replace(manifest, files=files))
    return root


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def settings(root: Path, **more: object) -> Settings:
    folder = root.parent
    return load({}, atlas=root, cache_dir=folder / "own", scratch_dir=folder / "scratch", **more)


def test_a_byte_changed_at_either_end_of_any_file_is_refused_by_name(root: Path) -> None:
    build, manifest = open_current(root)
    assert len(manifest.files) > 60
    for number, (name, file) in enumerate(manifest.files.items()):
        at = file.size - 1 if number % 4 == 0 else min(9, file.size - 1)
        flip(build / name, at)
        with pytest.raises(FormatError, match=f"{name} was changed: its first or last bytes"):
            Atlas.open(root)
        flip(build / name, at)
    Atlas.open(root)


def test_a_build_without_hashes_of_ends_opens_as_before(root: Path) -> None:
    build, manifest = open_current(root)
    files = {name: msgspec.structs.replace(file, ends="") for name, file in manifest.files.items()}
    write_manifest(build, msgspec.structs.replace(manifest, files=files))
    assert Atlas.open(root).n_rows == manifest.n_rows


def test_damage_found_while_serving_takes_the_build_out_of_use_until_it_is_mended(root: Path) -> None:
    build, manifest = open_current(root)
    client = create_app(settings=settings(root)).server.test_client()
    damage = Damage(settings(root).scratch_dir)
    picture = f"/cutout/{manifest.build_id}/3.webp"
    assert client.get(picture).status_code == 200

    assert client.get("/").status_code == 200
    path = build / VICTIM
    flip(path, path.stat().st_size // 2)
    Atlas.open(root)  # opening cannot tell
    read: list[int] = []
    assert look_through(build, manifest, damage, read.append) == [VICTIM]
    assert sum(read) == sum(file.size for file in manifest.files.values())

    other = create_app(settings=settings(root)).server.test_client()  # another process, or a new start
    time.sleep(LOOK_EVERY_S)
    assert VICTIM in client.get("/", headers={"Accept": "text/html"}).text, "one that served a page before"
    for address in ("/", picture, f"/export/{manifest.build_id}.csv", "/readyz"):
        answer = other.get(address)
        assert answer.status_code == 503 and VICTIM in answer.text and str(root) not in answer.text, address
    assert "this atlas is out of use" in other.get("/readyz").get_json()["error"]
    assert other.get("/healthz").status_code == 200, "the process lives"

    look_again(build, manifest, damage)
    with pytest.raises(DamagedError):
        damage.require_whole(manifest.build_id)
    flip(path, path.stat().st_size // 2)
    look_again(build, manifest, damage)
    damage.require_whole(manifest.build_id)
    assert create_app(settings=settings(root)).server.test_client().get(picture).status_code == 200


def test_a_missing_file_is_damage_too_and_one_process_of_a_machine_looks(root: Path, tmp_path: Path) -> None:
    build, manifest = open_current(root)
    (build / VICTIM).unlink()
    damage = Damage(tmp_path / "scratch")
    first, second = (Scrub(root, damage, 10_000) for _ in range(2))
    assert first._is_ours() and not second._is_ours()
    assert first._once(("", 0.0))[0] == manifest.build_id
    first.close()
    assert second._is_ours()
    second.close()
    with pytest.raises(DamagedError, match=VICTIM):
        Damage(tmp_path / "scratch").require_whole(manifest.build_id)
