"""Errors of precompute: what is wrong with a source or a command, said so that whoever gave it can mend it."""

from __future__ import annotations

from atlas.errors import AtlasError, InputError


class SourceError(InputError):
    """The source cannot be built from: names the file, what was found and what is needed."""


class UsageError(AtlasError):
    """A command was given what it does not take: names the option, and says what is allowed."""
