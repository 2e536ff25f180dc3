"""Answers without near twins, and with variety."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from atlas.queries.spacing import apart, varied
from tests.unit.groups import grouped_embeddings


@pytest.mark.parametrize("before", [0, 3])
def test_what_is_kept_lies_apart_as_astropy_measures(before: int) -> None:
    rng = np.random.default_rng(1)
    # Across RA 0/360 and near a pole, where plain differences of coordinates mislead.
    ra = np.concatenate([rng.normal(0, 0.01, 60) % 360, rng.uniform(0, 360, 60)])
    dec = np.concatenate([rng.normal(0, 0.01, 60), 90 - np.abs(rng.normal(0, 0.01, 60))])
    order = rng.permutation(120)
    ra, dec = ra[order], dec[order]
    kept = apart(ra, dec, 25.0, 50, before=before)
    places = SkyCoord(ra, dec, unit="deg")
    expected: list[int] = list(range(before))
    for at in range(before, 120):
        if not expected or (places[expected].separation(places[at]) > 25 * u.arcsec).all():
            expected.append(at)
    assert kept.tolist() == [at - before for at in expected[before : before + 50]]
    assert 10 < kept.size < 120 - before


def test_a_varied_list_is_that_of_the_definition() -> None:
    embeddings, _ = grouped_embeddings([40, 30, 20])
    stored = embeddings.astype(np.float16)
    scores = np.sort(embeddings @ embeddings[0])[::-1].astype(np.float32)
    rows = np.argsort(-(embeddings @ embeddings[0]))
    unit = stored[rows].astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    chosen = [0]
    while len(chosen) < 12:
        gain = 0.5 * scores - 0.5 * (unit @ unit[chosen].T).max(axis=1)
        gain[chosen] = -np.inf
        chosen.append(int(np.argmax(gain)))
    assert varied(stored, rows, scores, 0.5, 12).tolist() == chosen
    assert varied(stored, rows, scores, 0.0, 12).tolist() == list(range(12))
    everything = varied(stored, rows, scores, 0.5, 500)
    assert sorted(everything.tolist()) == list(range(90))
