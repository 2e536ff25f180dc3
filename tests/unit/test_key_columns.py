"""Which columns say most of a galaxy."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from atlas import Atlas
from atlas.columns import is_redshift
from atlas.errors import FormatError
from atlas.key_columns import key_columns
from atlas.manifest import Column, read_manifest, write_manifest
from precompute.errors import SourceError
from precompute.sources.source import open_source


@pytest.mark.parametrize(
    ("name", "ucd", "unit", "expected"),
    [
        ("z_phot_median", "", "", True),
        ("anything", "src.redshift.phot", "", True),
        ("Z", "", "", True),
        ("z", "", "mag", False),
        ("z_phot_std", "", "", False),
        ("z_phot_err", "stat.error;src.redshift", "", False),
        ("flux_z", "", "nanomaggy", False),
    ],
)
def test_redshifts_are_known_by_ucd_or_name(name: str, ucd: str, unit: str, expected: bool) -> None:
    column = Column(name=name, file="a.npy", dtype="float32", kind="number", ucd=ucd, unit=unit)
    assert is_redshift(column) == expected


def test_what_the_source_names_comes_before_any_guess(small: Atlas, tmp_path: Path) -> None:
    told = msgspec.structs.replace(small.manifest, key_columns=("source_type", "z_phot"))
    write_manifest(tmp_path, told)
    assert [c.name for c in key_columns(read_manifest(tmp_path))] == ["source_type", "z_phot"]
    write_manifest(tmp_path, small.manifest)
    assert "key_columns" not in (tmp_path / "manifest.json").read_text(), "older programs read what names none"
    with pytest.raises(FormatError, match="no_such"):
        write_manifest(tmp_path, msgspec.structs.replace(told, key_columns=("no_such",)))


def test_a_key_column_that_is_not_there_is_told_before_the_build(small_path: Path, tmp_path: Path) -> None:
    source = small_path.with_name(f"{small_path.name}-source")
    for file in source.iterdir():
        if file.name != "source.json":
            (tmp_path / file.name).symlink_to(file)
    description = json.loads((source / "source.json").read_text())
    (tmp_path / "source.json").write_text(json.dumps({**description, "key_columns": ["mag_r", "mag_q"]}))
    with pytest.raises(SourceError, match="key column 'mag_q'"):
        open_source(tmp_path)
