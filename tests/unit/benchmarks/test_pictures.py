"""Pictures that `embed` is timed with: as many as asked, of one size, no two the same."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import pictures


def test_more_pictures_than_galaxies_are_all_different(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "GALAXIES", 2)
    pictures.write_pictures(tmp_path / "pictures", 20)
    written = sorted((tmp_path / "pictures").iterdir())
    assert len(written) == 20
    contents = [path.read_bytes() for path in written]
    assert {Image.open(BytesIO(content)).size for content in contents} == {(pictures.PIXELS, pictures.PIXELS)}
    assert len(set(contents)) == 20
