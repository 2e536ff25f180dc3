"""A state as text that fits a URL: JSON, deflated, base64url. Short for what matters, and nothing in it is executed.

What would be too long for an address is kept on the server, and the link holds its name: `~` and a hash of the state.
"""

from __future__ import annotations

import base64
import binascii
import zlib

import msgspec
from msgspec.structs import replace

from atlas.errors import InputError
from atlas.page_link import pack_state

from ..cache.content_store import Kept
from .page_state import State

_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(State)
MAX_JSON_BYTES = 100_000
"""Largest state: every request of the page carries it, and has to stay under the limit of a body."""

KEPT_MARK = "~"


def to_json(state: State) -> str:
    """A state as JSON; equal states give equal text."""
    return _ENCODER.encode(state).decode()


def from_json(text: str) -> State:
    """A state from JSON.

    Raises
    ------
    InputError
        If it is not of the documented form.
    """
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as e:
        raise InputError(
            "this is not a state of the page: it was changed on its way, or made by another version"
        ) from e


def to_token(state: State) -> str:
    """A state as it stands behind `?s=`; empty for the page as it opens."""
    if state == State():
        return ""
    return pack_state(to_json(state))


def from_token(token: str) -> State:
    """A state from a link.

    Raises
    ------
    InputError
        If the link is cut short, mistyped, or unpacks to more than a state can be.
    """
    if not token:
        return State()
    try:
        deflated = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        inflate = zlib.decompressobj(wbits=-15)
        data = inflate.decompress(deflated, MAX_JSON_BYTES)
        if inflate.unconsumed_tail or not inflate.eof:
            raise InputError("the link is cut short or too long")
        return from_json(data.decode())
    except (UnicodeError, binascii.Error, zlib.error) as e:
        raise InputError("the link is damaged: it was cut short or mistyped") from e


def to_link(state: State, kept: Kept, longest: int) -> str:
    """A state as it stands behind `?s=`, kept by the server where its token would be longer than `longest`."""
    state = replace(state, labels_at=0, names_at=0)
    token = to_token(state)
    return token if len(token) <= longest else KEPT_MARK + kept.put(to_json(state).encode())


def from_link(link: str, kept: Kept) -> State:
    """A state from a link, its own or kept.

    Raises
    ------
    InputError
        If the link is damaged, or what it names is not kept here.
    """
    if link.startswith(KEPT_MARK):
        return from_json(kept.get(link.removeprefix(KEPT_MARK)).decode())
    return from_token(link)
