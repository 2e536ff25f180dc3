"""Magnitudes of catalogues that bring fluxes: of which columns, in which units, corrected for dust by what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from atlas.catalog.identity import Identity
from atlas.storage.manifest import Column, Manifest
from precompute.build.append_columns import read_new_rows
from precompute.errors import SourceError
from precompute.sources.color_columns import colors_of
from precompute.sources.flux_columns import computed_of
from precompute.sources.further_columns import open_further
from precompute.sources.source import Source, open_source
from precompute.stages.read import describe_column
from tests.unit.precompute.sources.written_sources import (
    N,
    embeddings,
    normalized,
    positions,
    write_arrow,
)


def without_units(table: Table) -> Table:
    plain = Table(table)
    for name in plain.colnames:
        plain[name].unit = None
    return plain


def write_sweep(path: Path, table: Table) -> None:
    """FITS with units that the standard does not know, as the Legacy Surveys write them."""
    hdu = fits.table_to_hdu(without_units(table))
    for i, name in enumerate(table.colnames, start=1):
        if table[name].unit is not None:
            hdu.header[f"TUNIT{i}"] = str(table[name].unit).replace("nmgy", "nanomaggy")
    hdu.writeto(path)


WRITERS: dict[str, Callable[[Path, Table], None]] = {
    "catalog.parquet": write_arrow,
    "catalog.fits": write_sweep,
    "catalog.csv": lambda path, table: table.write(path, format="ascii.csv"),
    "catalog.ecsv": lambda path, table: table.write(path, format="ascii.ecsv"),
    "catalog.vot": lambda path, table: without_units(table).write(path, format="votable"),
}
FLUX = np.geomspace(0.1, 1e4, N).astype("f4")
FLUX[[2, 5]] = -0.3, 0
PASSED = np.linspace(0.5, 1, N).astype("f4")
PASSED[7] = 0


def a_sweep(unit: str = "nanomaggy") -> Table:
    """Columns of a sweep catalogue: a flux that is not positive, one without a value, a transmission of nothing."""
    table = Table({"RA": positions()["ra"], "DEC": positions()["dec"], "OBJID": np.arange(N)})
    for i, band in enumerate("GRZ"):
        table[f"FLUX_{band}"] = MaskedColumn(FLUX * 2**i, unit=unit or None, mask=np.arange(N) == 9)
        table[f"MW_TRANSMISSION_{band}"] = PASSED
    table["FLUX_IVAR_G"] = PASSED
    return table


def source_of(folder: Path, table: Table, name: str = "catalog.fits") -> Source:
    WRITERS[name](folder / name, table)
    np.save(folder / "embeddings.npy", embeddings())
    return open_source(folder / name)


def colors(source: Source) -> list[str]:
    return [
        color.name for color in colors_of({n: about.description for n, about in source.description.columns.items()})
    ]


def values(source: Source, name: str) -> np.ndarray:
    array: np.ndarray = normalized(source, name).array
    return array


@pytest.mark.parametrize("name", WRITERS)
def test_fluxes_in_nanomaggies_become_magnitudes_without_dust(name: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, a_sweep(), name)
    for i, band in enumerate("grz"):
        with np.errstate(all="ignore"):
            expected = (FLUX * 2.0**i / PASSED * 3.631 * u.uJy).to_value(u.ABmag)
        expected[[2, 5, 7, 9]] = np.nan
        np.testing.assert_allclose(values(source, f"mag_{band}"), expected, atol=2e-4)
        about = source.description.columns[f"mag_{band}"]
        assert about.unit == "mag" and about.ucd.startswith("phot.mag;em.opt")
        assert f"22.5 - 2.5 log10(FLUX_{band.upper()} / MW_TRANSMISSION_{band.upper()})" in about.description
        assert (
            f"corrected for Galactic extinction by the transmission MW_TRANSMISSION_{band.upper()}" in about.description
        )
    assert "FLUX_G" in source.column_names and "mag_ivar_g" not in source.column_names
    assert colors(source) == ["g_minus_r", "r_minus_z"]
    assert any("mag_g of FLUX_G / MW_TRANSMISSION_G, mag_r of FLUX_R" in note for note in source.notes)
    unsaid = any("without a unit are taken as nanomaggies: FLUX_G" in note for note in source.notes)
    assert unsaid == (name in ("catalog.csv", "catalog.vot"))


def test_another_unit_of_flux_is_converted_and_one_of_none_is_left(tmp_path: Path) -> None:
    table = a_sweep("uJy")["RA", "DEC", "OBJID", "FLUX_G", "FLUX_R", "FLUX_Z"]
    table["FLUX_R"].unit = "erg / (s cm2 Angstrom)"
    table["FLUX_Z"].unit = "ct"
    table["FLUX_Y"] = MaskedColumn(FLUX, unit="Jy")
    table["FLUX_U"] = FLUX
    source = source_of(tmp_path, table)
    with np.errstate(all="ignore"):
        for name, unit in (("mag_g", u.uJy), ("mag_y", u.Jy)):
            expected = np.where(FLUX > 0, (FLUX.astype(float) * unit).to_value(u.ABmag), np.nan)
            found = values(source, name)
            np.testing.assert_allclose(found[:9], expected[:9], atol=2e-4)
    assert "in nanomaggies, from uJy; not corrected" in source.description.columns["mag_g"].description
    assert not {"mag_r", "mag_z", "mag_u"} & {*source.column_names}
    assert any("no magnitude of FLUX_R: erg" in note for note in source.notes)
    assert any("no magnitude of FLUX_Z: ct is no flux per frequency" in note for note in source.notes)
    assert any("no magnitude of FLUX_U, which names no unit" in note for note in source.notes)


def test_reddening_corrects_where_no_transmission_does(tmp_path: Path) -> None:
    table = a_sweep()["RA", "DEC", "OBJID", "FLUX_G", "FLUX_R", "FLUX_Z", "MW_TRANSMISSION_Z"]
    table["EBV"] = np.full(N, 0.1, dtype="f4")
    source = source_of(tmp_path, table)
    assert values(source, "mag_g")[0] == pytest.approx(22.5 - 2.5 * np.log10(FLUX[0]) - 0.3214, abs=1e-5)
    assert "by the reddening EBV, 2.165 times" in source.description.columns["mag_r"].description
    assert any("mag_g of FLUX_G and EBV" in note for note in source.notes)
    assert colors(source) == ["g_minus_r"]  # z is corrected otherwise


def test_a_column_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    table = a_sweep()
    table["MAG_G"] = FLUX
    table["mag_r"] = FLUX
    source = source_of(tmp_path, table)
    np.testing.assert_array_equal(values(source, "mag_r"), FLUX)
    assert "mag_g" not in source.column_names and "mag_z" in source.column_names
    assert colors(source) == []  # of a magnitude of the catalogue and a computed one
    only = open_source(tmp_path / "catalog.fits", only=("FLUX_Z",))
    assert "mag_z" not in only.column_names and not any("magnitude" in note for note in only.notes)


def as_stored(source: Source, *names: str) -> tuple[Column, ...]:
    """Columns of a source as those of an atlas."""
    told = source.description.columns
    return tuple(describe_column(name, normalized(source, name), told[name], truth=False) for name in names)


def test_an_update_leaves_the_magnitudes_of_the_atlas(tmp_path: Path) -> None:
    columns = as_stored(source_of(tmp_path, a_sweep()), "OBJID", "FLUX_G", "mag_g")
    further = open_further(tmp_path / "catalog.fits", columns, ("OBJID",))
    assert {"mag_r", "mag_z"} == {c.name for c in further.columns if c.name.startswith("mag")}
    assert not any("mag_g of" in note for note in further.notes) and any("mag_r of" in note for note in further.notes)
    described = {c.name: c.description for c in columns}
    assert computed_of("FLUX_G", described) == ["mag_g"] and computed_of("FLUX", described) == []


def test_rows_are_not_appended_with_another_correction(tmp_path: Path) -> None:
    atlas = SimpleNamespace(
        columns=as_stored(source_of(tmp_path, a_sweep()), "OBJID", "mag_g"), id_columns=(), spaces=(0,)
    )
    (tmp_path / "more").mkdir()
    more = source_of(tmp_path / "more", a_sweep()["RA", "DEC", "OBJID", "FLUX_G"])
    with pytest.raises(SourceError, match=r"column mag_g is .*not corrected.*, in the atlas .*by the transmission"):
        read_new_rows(more, cast(Manifest, atlas), cast(Identity, None), N)
