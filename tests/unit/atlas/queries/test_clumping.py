"""Whether a selection follows how it was observed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atlas import Atlas, InputError, Mask
from atlas.queries.clumping import reality
from benchmarks.bare_atlas import bare_atlas

RANDOM = 20
RNG = np.random.default_rng(3)


def chosen(atlas: Atlas, rows: np.ndarray) -> Mask:
    return Mask.from_rows(rows, atlas.n_rows)


def test_few_random_selections_warn(small: Atlas) -> None:
    sizes = RNG.choice([20, 200, 2_000], RANDOM)
    warned = [reality(small, chosen(small, RNG.choice(small.n_rows, size, replace=False))).warns for size in sizes]
    assert sum(warned) <= RANDOM // 10


def test_bright_galaxies_are_compared_with_bright_ones(small: Atlas) -> None:
    magnitude = np.asarray(small.columns().array("mag_r"))
    some = RNG.choice(np.flatnonzero(magnitude < np.nanquantile(magnitude, 0.05)), 300, replace=False)
    found = reality(small, chosen(small, some))
    assert not found.warns and found.magnitude == "mag_r"


def test_a_patch_of_the_sky_a_mask_and_dust_warn_and_are_named(small: Atlas) -> None:
    columns = small.columns()
    ra, dec, dust = (np.asarray(columns.array(name), dtype=np.float64) for name in ("ra", "dec", "ebv"))
    near = np.argsort(np.hypot(ra - ra[0], dec - dec[0]))[:60]
    mixed = np.concatenate([near, RNG.choice(small.n_rows, 240, replace=False)])
    found = reality(small, chosen(small, mixed))
    assert found.warns and found.differences[0].kind == "clumping" and found.differences[0].effect > 1.5
    assert np.nanmax(found.excess) > 3
    bright = np.flatnonzero(np.asarray(columns.array("maskbits")) >> 1 & 1)[:100]
    found = reality(small, chosen(small, bright))
    assert found.warns and found.differences[0].what == "BRIGHT in maskbits" and found.differences[0].here == 1
    dusty = RNG.choice(np.flatnonzero(dust > np.quantile(dust, 0.8)), 200, replace=False)
    assert reality(small, chosen(small, dusty)).differences[0].what in ("ebv", "a patch of the sky")


def test_spoilt_images_and_poor_seeing_are_told(tmp_path: Path) -> None:
    n = 2_000
    columns = {
        "ra": RNG.uniform(0, 10, n),
        "dec": RNG.uniform(0, 10, n),
        "artefact": (RNG.random(n) ** 3).astype(np.float32),
        "psfsize_r": RNG.normal(1.2, 0.2, n).astype(np.float32),
    }
    atlas = bare_atlas(tmp_path / "build", columns)
    found = reality(atlas, chosen(atlas, np.flatnonzero(columns["artefact"] > 0.5)[:40]))
    assert found.warns and found.differences[0].what == "spoilt images" and not found.magnitude
    found = reality(atlas, chosen(atlas, np.flatnonzero(columns["psfsize_r"] > 1.4)[:60]))
    assert found.warns and found.differences[0].what == "psfsize_r" and found.differences[0].effect > 1


def test_too_few_say_nothing(small: Atlas) -> None:
    with pytest.raises(InputError, match="at least 10"):
        reality(small, chosen(small, np.arange(3)))
