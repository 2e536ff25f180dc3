"""One step of the page: what the browser sent, applied to the state that it held."""

from __future__ import annotations

from typing import Any

import msgspec

from atlas.errors import InputError, NothingNearError
from atlas.queries.selection import Selection

from ..error_answers import explain
from ..events.galaxies import Find, Focus
from ..events.page import OpenToken
from ..events.planes import View
from ..events.registry import reduce
from ..events.selections import BringRegion, Outlined
from ..jobs.job import Job, UnderWayError
from ..service.atlas_service import Service
from ..state import url as links
from ..state import viewports as skyview
from ..state.page_state import State, active, is_step
from ..state.viewports import grounded, home_box
from . import browser_events as parse
from .held_state import read_state


class Step(msgspec.Struct, frozen=True):
    """Outcome of some events.

    Attributes
    ----------
    before, after : State
        `after` holds every event that could be acted on: one that could not takes none of the others with it.
    message : str
        Why the first of those could not be acted on; empty when all could.
    nearest : int or None
        Row to offer where nothing lay near a typed position.
    moves : dict
        Where the graphs must go, as [x0, x1, y0, y1] by plane, because something other than the hand on them moved
        the view.
    notice : str
        What was understood of what was typed, where it is not the very same.
    remember : bool
        Whether the browser's history gets an entry of its own.
    job : Job or None
        Makes what a state needs before it can be shown.
    held_back : tuple
        Events, as the browser sent them, that wait for it: to be sent again when it has ended.
    """

    before: State
    after: State
    message: str
    nearest: int | None
    moves: dict[str, list[float]]
    notice: str
    remember: bool
    job: Job | None = None
    held_back: tuple[Any, ...] = ()


def advance(service: Service, held: Any, events: Any) -> Step:
    """Apply events to a held state; both as the browser sent them, the state None when the page has just opened."""
    before = after = State()
    message, notice, nearest, travelled = "", "", None, False
    moves: dict[str, list[float]] = {}
    job: Job | None = None
    held_back: list[Any] = []
    # Whatever goes wrong, the browser must hear of it, or it would wait for an answer to its event.
    try:
        before = after = read_state(service, held)
        one_by_one = parse.batch(events)
    except Exception as error:
        message, one_by_one = explain(error), []
    for one in one_by_one:
        try:
            raw = parse.event(one, service.settings)
            event = raw.resolve(service, after)
            previous, after = after, _next(service, after, reduce(after, event))
            travelled |= isinstance(raw, OpenToken)
            if isinstance(event, Focus | Outlined) and isinstance(raw, Find | BringRegion):
                notice = event.words
            if not isinstance(raw, View) or raw.box is None or _held_back(raw, after):
                moves |= _moves(service, previous, after)
        except UnderWayError as error:
            job = job or error.job
            held_back.append(one)
        except Exception as error:
            if message:
                continue
            message = explain(error)
            service.see(after.space)
            nearest = error.row if isinstance(error, NothingNearError) else None
    if travelled and held is not None:
        # Going back undoes the question, not the lamp.
        after = msgspec.structs.replace(after, light=before.light, sexagesimal=before.sexagesimal)
    if held is None:
        moves = {}  # what is drawn first brings its own view
    remember = not travelled and is_step(before, after)
    return Step(before, after, message, nearest, moves, notice, remember, job, tuple(held_back))


def _next(service: Service, before: State, after: State) -> State:
    """The next state as the atlas, seen in its space, can show it."""
    service.see(after.space)
    return _bounded(service, before, grounded(service.atlas, after))


def _bounded(service: Service, before: State, after: State) -> State:
    """A state that is small enough to travel with every request, and whose selections and plane are there."""
    if len(links.to_json(after).encode()) > links.MAX_JSON_BYTES:
        raise InputError("the page holds too much: drop a subset, or simplify the selection")
    for one in _selections(after):
        form = service.canonical(one)
        service.dear.require_ready(form, service.atlas)
    if after.axes != before.axes:
        service.plane(after.axes)
    return after


def _selections(state: State) -> list[Selection]:
    """Whatever the views of a state will evaluate."""
    group = () if state.group is None else (state.group,)
    kept = [] if state.kept is None else _selections(state.kept)
    return [active(state), *group, *(one.selection for one in state.subsets), *kept]


def _held_back(raw: View, after: State) -> bool:
    """Whether the view that the hand asked for was beyond the limits of the sky."""
    return raw.plane == "sky" and after.sky is not None and after.sky.box != raw.box


def _moves(service: Service, before: State, after: State) -> dict[str, list[float]]:
    moves = {}
    # Onto another plane a graph goes together with its points.
    if after.map != before.map and after.axes == before.axes:
        box = after.map or home_box(service.plane(after.axes))
        moves["map"] = [box.x0, box.x1, box.y0, box.y1]
    same = after.second_space and after.second_space == before.second_space
    if same and after.second != before.second:
        box = after.second or home_box(service.atlas.space(after.second_space).plane)
        moves["second"] = [box.x0, box.x1, box.y0, box.y1]
    if after.sky != before.sky:
        view = after.sky or skyview.home(service.atlas, after.sky_look)
        if view.projection == (before.sky or skyview.home(service.atlas, before.sky_look)).projection:
            moves["sky"] = [view.box.x0, view.box.x1, view.box.y0, view.box.y1]
    return moves
