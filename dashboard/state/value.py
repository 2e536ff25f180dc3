"""Base of what a state is made of."""

from __future__ import annotations

from typing import Annotated

import msgspec

Finite = Annotated[float, msgspec.Meta(ge=-1e200, le=1e200)]
"""A coordinate: columns hold what they hold, but the square of a width has to be a number too."""


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of what is stored in a state: immutable, compared by content."""
