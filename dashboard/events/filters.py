"""Filters, one a column, and the expression that is typed beside them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec.structs import replace

from atlas.catalog.numbers import parse_number
from atlas.expressions.check import flags_condition, parse
from atlas.queries.selection import Bit, Bits, Category, Contains, Range, canonical
from atlas.storage.manifest import Name

from ..service.atlas_service import Service
from ..state.page_state import ExpressionText, Filter, State
from .event import BrowserEvent, Event, PlainEvent

Typed = Annotated[str, msgspec.Meta(max_length=40)]


class FilterBy(BrowserEvent, frozen=True, tag="filter"):
    """A column's filter was set: bounds for numbers, words for categories, bits for flags, letters for text; nothing at
    all drops it.

    A bound may be text, as it was typed: browsers cannot count beyond 2⁵³.
    """

    column: Name
    low: int | float | Typed | None = None
    high: int | float | Typed | None = None
    values: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=200)], ...], msgspec.Meta(max_length=256)] = ()
    on: Annotated[tuple[Bit, ...], msgspec.Meta(max_length=64)] = ()
    off: Annotated[tuple[Bit, ...], msgspec.Meta(max_length=64)] = ()
    text: Annotated[str, msgspec.Meta(max_length=200)] = ""

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        return SetFilter(self.column, self._filter(service))

    def _filter(self, service: Service) -> Filter | None:
        columns = service.atlas.columns(service.atlas.default_space)
        kind = columns.describe(self.column).kind
        if kind == "category":
            for word in self.values:
                columns.code(self.column, word)
            return Category(self.column, tuple(sorted(set(self.values)))) if self.values else None
        if kind == "flags":
            if not self.on and not self.off:
                return None
            flags_condition(self.column, self.on, self.off, columns)
            bits = canonical(Bits(self.column, self.on, self.off))
            assert isinstance(bits, Bits)
            return bits
        if kind == "text":
            return Contains(self.column, self.text) if self.text else None
        columns.number(self.column)
        if self.low is None and self.high is None:
            return None
        low, high = (parse_number(bound) if isinstance(bound, str) else bound for bound in (self.low, self.high))
        bounds = canonical(Range(self.column, low, high))
        assert isinstance(bounds, Range)
        return bounds


class SetFilter(Event, frozen=True):
    """The filter of a column was set, or dropped (None)."""

    column: Name
    to: Filter | None = None

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        kept = [one for one in state.filters if one.column != self.column] + ([] if self.to is None else [self.to])
        return replace(state, filters=tuple(sorted(kept, key=lambda one: one.column)), within=True)


class Brush(PlainEvent, frozen=True):
    """The histogram of another column was asked for."""

    column: Name

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        service.atlas.columns(service.atlas.default_space).describe(self.column)
        return self

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return state if self.column in state.brushed else replace(state, brushed=(*state.brushed, self.column))


class ClearFilters(PlainEvent, frozen=True):
    """All filters and the expression were dropped."""

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, filters=(), expression="")


class Express(PlainEvent, frozen=True):
    """An expression was typed; once resolved it is one."""

    text: ExpressionText

    def resolve(self, service: Service, state: State) -> Event:
        """See `BrowserEvent.resolve`."""
        text = self.text.strip()
        if text:
            parse(text, service.atlas.condition_columns)
        return Express(text)

    def apply(self, state: State) -> State:
        """See `Event.apply`."""
        return replace(state, expression=self.text, within=True)


SENT = (FilterBy, Brush, ClearFilters, Express)
