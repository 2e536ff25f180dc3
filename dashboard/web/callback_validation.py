"""The body of a Dash callback, checked against what the callback declared, before Dash sees it.

Dash calls whatever `output` names with whatever `inputs` holds: ids and properties are not checked, a body of another
shape ends in a traceback, and `triggered` repeats what the client claims. Here a body passes only if the page's own
renderer could have sent it to this app. What the *values* may be is for `dashboard.interaction.browser_events`.

    {"output": "a.children",                                   a key of `app.callback_map`
     "outputs": {"id": "a", "property": "children"},           as declared; a list when the callback has several
     "inputs": [{"id": "b", "property": "value", "value": 1}], as declared, one for one; a wildcard ALL is a list
     "state": [...],                                           alike
     "changedPropIds": ["b.value"],                            of declared inputs
     "parsedChangedPropsIds": [...]}                           not read by Dash
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from flask.json.provider import DefaultJSONProvider

from atlas.errors import InputError, shorten

_KEYS = {"output", "outputs", "inputs", "state", "changedPropIds", "parsedChangedPropsIds"}
_ITEM_KEYS = {"id", "property", "value", "allow_optional"}
_PRIMITIVES = (str, int, float, bool)
_MATCH = ["MATCH"]
_SEVERAL = (["ALL"], ["ALLSMALLER"])
_LARGEST_INTEGER = 2**53  # above, JavaScript cannot count: no browser of ours sent it


class StrictJSON(DefaultJSONProvider):
    """Flask's JSON, but what comes in is RFC 8259: no NaN, no Infinity, no 1e999, no lone surrogates."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Decode; raises ValueError, which `Request.get_json` turns into an answer."""
        try:
            return msgspec.json.decode(s)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


class Slot(NamedTuple):
    """One declared input, state or output: the id as text (JSON where it is a pattern) and the property."""

    id: str
    prop: str

    @property
    def pattern(self) -> dict[str, Any] | None:
        """The id of a pattern-matching component; wildcards are lists of one name, as Dash writes them."""
        return _pattern(self.id)

    @property
    def several(self) -> bool:
        """Whether the slot stands for a list of components."""
        return self.pattern is not None and any(value in _SEVERAL for value in self.pattern.values())


@lru_cache(maxsize=1024)
def _pattern(declared_id: str) -> dict[str, Any] | None:
    return json.loads(declared_id) if declared_id.startswith("{") else None


def check_body(body: object, callback_map: Mapping[str, Any], *, max_depth: int, max_ids: int) -> None:
    """Refuse a body that this app's own page would not send.

    Parameters
    ----------
    body
        Decoded JSON.
    callback_map : mapping
        `Dash.callback_map`.
    max_depth : int
        Deepest nesting.
    max_ids : int
        Most components that a wildcard stands for.

    Raises
    ------
    InputError
        Says which part is wrong.
    """
    check_nesting(body, max_depth)
    if not isinstance(body, dict) or not body.keys() <= _KEYS:
        raise InputError(f"a callback's body is an object with the keys {', '.join(sorted(_KEYS))}")
    output = body.get("output")
    callback = callback_map.get(output) if isinstance(output, str) else None
    if callback is None or "callback" not in callback:  # those that run in the browser have no function here
        raise InputError(f"no callback {shorten(output)!r}")
    check = _Check(max_ids)
    inputs = _slots(callback["inputs"])
    check.outputs(body.get("outputs"), callback)
    check.items("inputs", body.get("inputs", []), inputs)
    check.items("state", body.get("state", []), _slots(callback["state"]))
    _check_changed(body.get("changedPropIds", []), inputs)
    if not isinstance(body.get("parsedChangedPropsIds", []), list):
        raise InputError("parsedChangedPropsIds is not a list")


def check_nesting(value: object, max_depth: int) -> None:
    """Refuse JSON nested too deeply, and integers that JavaScript could not have counted."""
    level = [value]
    for _ in range(max_depth + 1):
        if not level:
            return
        for item in level:
            if isinstance(item, int) and abs(item) > _LARGEST_INTEGER:
                raise InputError(f"the number {shorten(item)} is beyond 2^53")
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    raise InputError(f"the body is nested more than {max_depth} deep")


class _Check:
    """One body against one callback; remembers what wildcards stand for, which is the same throughout a call."""

    def __init__(self, max_ids: int) -> None:
        self._max_ids = max_ids
        self._matched: dict[str, object] = {}
        self._components: dict[str, list[object]] = {}

    def outputs(self, received: object, callback: Mapping[str, Any]) -> None:
        declared = callback["output"]
        if callback["no_output"]:
            if received not in (None, []):
                raise InputError("outputs: this callback has none")
        elif isinstance(declared, list | tuple):
            self.items("outputs", received, [Slot(d.component_id_str(), d.component_property) for d in declared])
        else:
            self.item("outputs", received, Slot(declared.component_id_str(), declared.component_property))

    def items(self, place: str, received: object, slots: list[Slot]) -> None:
        if not isinstance(received, list) or len(received) != len(slots):
            raise InputError(f"{place} is not a list of {len(slots)}, as the callback declares")
        for i, (item, slot) in enumerate(zip(received, slots, strict=True)):
            self.item(f"{place}[{i}]", item, slot)

    def item(self, place: str, received: object, slot: Slot) -> None:
        if not slot.several:
            self.component(place, received, slot)
            return
        if not isinstance(received, list) or len(received) > self._max_ids:
            raise InputError(f"{place} is not a list of at most {self._max_ids} components")
        for i, component in enumerate(received):
            self.component(f"{place}[{i}]", component, slot)
        ids = [component["id"] for component in received]
        if self._components.setdefault(slot.id, ids) != ids:
            raise InputError(f"{place} names other components than the same wildcard elsewhere")

    def component(self, place: str, received: object, slot: Slot) -> None:
        if not isinstance(received, dict) or not {"id", "property"} <= received.keys() <= _ITEM_KEYS:
            raise InputError(f"{place} is not an object with id, property and value")
        # A callback that shares its output with others has "@" and a hash behind the property.
        name = received["property"]
        if not isinstance(name, str) or name.split("@")[0] != slot.prop:
            raise InputError(f"{place} has the property {shorten(name)!r}: declared is {slot.prop!r}")
        if not _same_id(received["id"], slot, self._matched):
            raise InputError(f"{place} has the id {shorten(received['id'])!r}: declared is {slot.id!r}")


def _slots(declared: list[dict[str, Any]]) -> list[Slot]:
    return [Slot(item["id"], item["property"]) for item in declared]


def _same_id(received: object, slot: Slot, matched: dict[str, object]) -> bool:
    """Whether an id is the declared one or one that its pattern stands for."""
    pattern = slot.pattern
    if pattern is None:
        return received == slot.id
    if not isinstance(received, dict) or received.keys() != pattern.keys():
        return False
    for key, declared in pattern.items():
        value = received[key]
        if not isinstance(value, _PRIMITIVES):
            return False
        if declared == _MATCH:
            declared = matched.setdefault(key, value)
        if declared not in _SEVERAL and (type(value), value) != (type(declared), declared):
            return False
    return True


def _check_changed(received: object, inputs: list[Slot]) -> None:
    """Require that declared inputs have changed; a component that has just left the page may be among them."""
    if not isinstance(received, list):
        raise InputError("changedPropIds is not a list")
    for prop_id in received:
        if not isinstance(prop_id, str) or not _is_input(prop_id, inputs):
            raise InputError(f"changedPropIds holds {shorten(prop_id)!r}, which is no input of this callback")


def _is_input(prop_id: str, inputs: list[Slot]) -> bool:
    component_id, _, name = prop_id.rpartition(".")
    received: object = component_id
    if component_id.startswith("{"):
        try:
            received = msgspec.json.decode(component_id)
        except (ValueError, RecursionError):
            return False
    return any(slot.prop == name and _same_id(received, slot, {}) for slot in inputs)
