"""State that a panel is drawn from, and the space that the rest of its request is about."""

from __future__ import annotations

from typing import Any

from ..service.atlas_service import Service
from ..state.page_state import State
from . import browser_events as parse


def read_state(service: Service, held: Any) -> State:
    """The state that a browser holds, or a part of it; from here on `service.atlas` is seen in its space.

    Raises
    ------
    InputError
        If it is not one.
    """
    state = parse.state(held)
    service.see(state.space)
    return state
