"""Right ascension and declination as they come from outside: in degrees, within their ranges."""

from __future__ import annotations

from typing import Annotated

import msgspec

RaDeg = Annotated[float, msgspec.Meta(ge=0, lt=360)]
DecDeg = Annotated[float, msgspec.Meta(ge=-90, le=90)]
