"""Errors of precompute: what is wrong with a source, said so that its owner can mend it."""

from __future__ import annotations

from atlas.errors import InputError


class SourceError(InputError):
    """The source cannot be built from: names the file, what was found and what is needed."""
