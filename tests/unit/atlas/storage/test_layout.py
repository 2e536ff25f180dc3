"""The format: identity, images, manifests and the way that a build is put in place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from atlas.catalog.columns import Columns, describe_numbers
from atlas.catalog.identity import Identity, hash_columns, write_identity
from atlas.errors import FormatError, ResourceError, UnknownColumnError, UnknownGalaxyError
from atlas.mask import Mask
from atlas.storage import layout
from atlas.storage import publish as writer
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Column, Manifest, Provenance, Segment, Space, read_manifest, write_manifest
from atlas.storage.thumbnails import SHARD_BYTES, ThumbnailStore, ThumbnailWriter, encode_thumbnail, shard_path


def save(build: Path, name: str, array: np.ndarray[Any, Any], kind: Any = "number", **more: Any) -> Column:
    path = build / layout.COLUMNS / f"{name}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    dtype = array.dtype.str.lstrip("|") if array.dtype.kind == "S" else array.dtype.name
    return Column(name=name, file=f"columns/{name}.npy", dtype=dtype, kind=kind, **more)


def manifest(build_id: str = "0123456789ab", **more: Any) -> Manifest:
    columns = tuple(Column(name=n, file=f"columns/{n}.npy", dtype="float64", kind="number") for n in ("ra", "dec"))
    fields: dict[str, Any] = {
        "format_version": 1,
        "build_id": build_id,
        "created": "2026-01-01T00:00:00+00:00",
        "name": "test",
        "title": "Test",
        "n_rows": 10,
        "segments": (Segment(start=0, stop=10),),
        "id_columns": ("ra",),
        "columns": columns,
        "spaces": (Space(name="v1", dimension=4, dtype="float16", columns=()),),
        "provenance": Provenance(),
    }
    return Manifest(**{**fields, **more})


def identity(build: Path, columns: list[Column], n: int) -> Identity:
    names = tuple(c.name for c in columns)
    opened = Columns(build, tuple(columns), n)
    write_identity(build / layout.IDENTITY, [opened.array(name) for name in names])
    return Identity(build, names, opened, (Segment(start=0, stop=n),))


def test_ids_that_are_unique_only_together_find_their_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 5_000
    columns = [
        save(tmp_path, "release", rng.integers(9010, 9013, n).astype(np.int16)),
        save(tmp_path, "brickid", np.arange(n, dtype=np.int32) // 3),
        save(tmp_path, "objid", (np.arange(n) % 3).astype(np.int32)),
    ]
    found = identity(tmp_path, columns, n)
    rows = rng.choice(n, 200, replace=False)
    assert [found.row(found.name(int(row))) for row in rows] == rows.tolist()
    for wrong in ("9010-1", "9010-1-2-3", "a-b-c", "", "9010-99999999-0", "9010-1-9999999999999999999999"):
        with pytest.raises(UnknownGalaxyError, match="release-brickid-objid"):
            found.row(wrong)


def test_ids_may_be_text_with_the_separator_inside(tmp_path: Path) -> None:
    names = np.array([b"HUDF-001", b"HUDF-002-a", b"J0332-27"])
    found = identity(tmp_path, [save(tmp_path, "name", names, "text")], 3)
    assert [found.row(n.decode()) for n in names] == [0, 1, 2]


def test_ids_whose_parts_hold_the_separator_are_found_by_their_own_name(tmp_path: Path) -> None:
    fields = save(tmp_path, "field", np.array([b"J03-27", b"J03", b"J12+01"]), "text")
    found = identity(tmp_path, [fields, save(tmp_path, "number", np.array([-5, 27, 3]))], 3)
    assert [found.row(found.name(row)) for row in range(3)] == [0, 1, 2]


def test_ids_beyond_two_to_the_53_keep_every_digit(tmp_path: Path) -> None:
    ids = np.array([2**62 + 1, 2**62 + 2, 2**62 + 3], dtype=np.int64)
    found = identity(tmp_path, [save(tmp_path, "source_id", ids)], 3)
    assert found.row(str(2**62 + 2)) == 1
    assert found.name(2) == str(2**62 + 3)


def test_a_hash_does_not_depend_on_the_width_of_a_column() -> None:
    assert np.array_equal(hash_columns([np.arange(9, dtype=np.int16)]), hash_columns([np.arange(9, dtype=np.int64)]))


def test_repeated_ids_are_told(tmp_path: Path) -> None:
    repeated = write_identity(tmp_path, [np.array([5, 1, 5, 2, 1, 9])])
    assert sorted(repeated.tolist()) == [0, 1, 2, 4]


def test_packed_images_come_back_row_by_row(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    with ThumbnailWriter(tmp_path, 5) as images:
        for row in (0, 2, 4):
            grain = rng.integers(0, 3, (48, 48, 3)).astype(np.uint8)
            images.add(row, encode_thumbnail(np.full((48, 48, 3), 60 * row, dtype=np.uint8) + grain, 32))
        assert images.present == 3
    thumbnails = ThumbnailStore(tmp_path, 5)
    assert [thumbnails.has(row) for row in range(5)] == [True, False, True, False, True]
    assert thumbnails.which(np.array([4, 1, 0], dtype=np.uint32)).tolist() == [True, False, True]
    assert thumbnails.read(1) is None
    for row in (0, 2, 4):
        data = thumbnails.read(row)
        assert data is not None
        (tmp_path / "image.webp").write_bytes(data)
        picture = np.asarray(Image.open(tmp_path / "image.webp").convert("RGB"))
        assert picture.shape == (32, 32, 3)
        assert abs(float(picture.mean()) - 60 * row) < 4


def test_no_image_crosses_a_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atlas.storage.thumbnails.SHARD_BYTES", 4_000)
    noise = np.random.default_rng(2).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    with ThumbnailWriter(tmp_path, 12) as images:
        for row in range(12):
            images.add(row, encode_thumbnail(noise, 32))
    assert shard_path(tmp_path, 1).exists()
    thumbnails = ThumbnailStore(tmp_path, 12)
    assert len({thumbnails.read(row) for row in range(12)}) == 1
    assert SHARD_BYTES == 1 << 30


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    with ThumbnailWriter(tmp_path, 1) as images:
        images.add(0, encode_thumbnail(np.zeros((32, 32, 3), dtype=np.uint8), 32))
    os.truncate(shard_path(tmp_path, 0), 10)
    with pytest.raises(FormatError, match="truncated"):
        ThumbnailStore(tmp_path, 1).read(0)


def test_arrays_are_checked_before_they_are_trusted(tmp_path: Path) -> None:
    good = tmp_path / "good.npy"
    np.save(good, np.arange(1000.0))
    with pytest.raises(FormatError, match="shape"):
        open_array(good, shape=(999,))
    with pytest.raises(FormatError, match="dtype"):
        open_array(good, dtype="float32")
    with pytest.raises(FormatError, match="missing"):
        open_array(tmp_path / "none.npy")
    os.truncate(good, 500)
    with pytest.raises(FormatError, match="truncated"):
        open_array(good)
    good.write_bytes(b"PK\x03\x04 not an array")
    with pytest.raises(FormatError):
        open_array(good)


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError):
        open_array(tmp_path / "p.npy")


def test_an_unknown_column_suggests_the_nearest_name(tmp_path: Path) -> None:
    columns = Columns(tmp_path, (save(tmp_path, "mag_r", np.arange(3.0)),), 3)
    with pytest.raises(UnknownColumnError, match="did you mean 'mag_r'"):
        columns.array("mag_rr")


def test_quantiles_leave_missing_values_out() -> None:
    values = np.concatenate([np.linspace(0, 1, 1001), np.full(7, np.nan)])
    missing, quantiles = describe_numbers(values)
    assert missing == 7
    assert np.allclose(quantiles, (0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1))
    assert describe_numbers(np.full(4, np.nan)) == (4, ())


def test_a_mask_counts_and_lists_what_numpy_does() -> None:
    rng = np.random.default_rng(3)
    for n in (1, 7, 8, 9, 1000, 1003):
        dense = rng.random(n) < 0.3
        mask = Mask(Mask.from_dense(dense).packed, n)
        assert mask.count == dense.sum()
        assert np.array_equal(mask.rows, np.flatnonzero(dense))
        assert all((row in mask) == dense[row] for row in range(n))


def test_a_manifest_survives_a_round_trip(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest())
    assert read_manifest(tmp_path) == manifest()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: b"", "not a manifest"),
        (lambda m: b'{"format_version": 99}', "format version 99"),
        (lambda m: m[:-40], "not a manifest"),
        (lambda m: m.replace(b'"n_rows": 10', b'"n_rows": -1'), "n_rows"),
        (lambda m: m.replace(b'"stop": 10', b'"stop": 9'), "segments end at row 9"),
        (lambda m: m.replace(b'"name": "ra"', b'"name": "rb"', 1), "column 'ra' is missing"),
        (lambda m: m.replace(b'"title"', b'"tilte"'), "tilte|title"),
    ],
)
def test_a_damaged_manifest_says_what_is_wrong(tmp_path: Path, change: Any, message: str) -> None:
    write_manifest(tmp_path, manifest())
    path = tmp_path / layout.MANIFEST
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(FormatError, match=message):
        read_manifest(tmp_path)


def publish(root: Path, build_id: str) -> None:
    partial = writer.begin(root, build_id)
    (partial / "data.bin").write_bytes(build_id.encode())
    writer.publish(root, manifest(build_id))


def test_a_build_is_current_only_once_it_is_whole(tmp_path: Path) -> None:
    publish(tmp_path, "a" * 12)
    assert writer.current_build(tmp_path) == "a" * 12
    partial = writer.begin(tmp_path, "b" * 12)
    (partial / "data.bin").write_bytes(b"half")
    assert writer.current_build(tmp_path) == "a" * 12
    publish(tmp_path, "b" * 12)
    assert writer.current_build(tmp_path) == "b" * 12


def test_the_build_before_stays_and_older_ones_go(tmp_path: Path) -> None:
    for letter in "abc":
        publish(tmp_path, letter * 12)
    kept = sorted(p.name for p in (tmp_path / layout.BUILDS).iterdir())
    assert kept == ["b" * 12, "c" * 12]


@pytest.mark.parametrize("crash_at", ["write_manifest", "replace", "write_atomically"])
def test_a_crash_while_publishing_leaves_the_old_build_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_at: str
) -> None:
    publish(tmp_path, "a" * 12)
    partial = writer.begin(tmp_path, "b" * 12)
    (partial / "data.bin").write_bytes(b"b")

    class Crash(Exception):
        pass

    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        target = {
            "write_manifest": "atlas.storage.publish.write_manifest",
            "replace": "pathlib.Path.replace",
            "write_atomically": "atlas.storage.layout.write_atomically",
        }[crash_at]
        patch.setattr(target, crash)
        with pytest.raises(Crash):
            writer.publish(tmp_path, manifest("b" * 12))
    assert writer.current_build(tmp_path) == "a" * 12
    assert (layout.build_path(tmp_path, "a" * 12) / "data.bin").read_bytes() == b"a" * 12
    publish(tmp_path, "b" * 12)
    assert writer.current_build(tmp_path) == "b" * 12


def test_two_builds_of_one_atlas_do_not_run_at_once(tmp_path: Path) -> None:
    with writer.locked(tmp_path), pytest.raises(ResourceError, match="under way"), writer.locked(tmp_path):
        pass


def test_current_must_name_a_build(tmp_path: Path) -> None:
    (tmp_path / layout.CURRENT).write_text("../../etc/passwd\n")
    with pytest.raises(FormatError, match="does not hold the id"):
        writer.current_build(tmp_path)


def test_a_full_disk_is_found_before_work_starts(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="are free"):
        writer.require_disk(tmp_path / "not" / "there", 10**18, "the atlas")


def test_manifest_files_stay_inside_the_build(tmp_path: Path) -> None:
    from atlas.storage.manifest import File

    bad = msgspec.structs.replace(manifest(), files={"../outside": File(size=1, sha256="0")})
    with pytest.raises(FormatError, match="outside"):
        write_manifest(tmp_path, bad)
