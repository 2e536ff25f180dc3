"""Names and templates of addresses of the services that the settings list and this server may ask."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from atlas.errors import InputError, shorten

LONGEST_NAME, LONGEST_CREDIT = 24, 120
MOST_SERVICES = 6


class ListedService(Protocol):
    """Service with a name."""

    @property
    def name(self) -> str:
        """As the page calls it."""


_Service = TypeVar("_Service", bound=ListedService)


def named_apart(what: str, services: Sequence[_Service]) -> tuple[_Service, ...]:
    """The services of a setting, which are few and of different names.

    Raises
    ------
    InputError
        Otherwise; `what` is their kind.
    """
    if len({one.name for one in services}) < len(services) or len(services) > MOST_SERVICES:
        raise InputError(f"allowed are {MOST_SERVICES} {what} at most, each of a name of its own")
    return tuple(services)


def credited(what: str, text: str, form: str) -> tuple[str, str, str]:
    """Name, whom to credit and address of a service that is written as "Name (credit)=address".

    Raises
    ------
    InputError
        If it is not; `what` is its kind, and `form` what is allowed.
    """
    head, _, address = (part.strip() for part in text.partition("="))
    name, bracket, credit = (unquote(part).strip() for part in head.removesuffix(")").partition("("))
    good = bool(name and address) and len(name) <= LONGEST_NAME and len(credit) <= LONGEST_CREDIT
    if not (good and (name + credit).isprintable() and bool(bracket) == head.endswith(")")):
        raise InputError(f"{what} {shorten(text)!r} is not of the form {form}")
    return name, credit, address


def template_fault(template: str, fields: frozenset[str]) -> str:
    """Fault of a template of an address, which may have these fields, and no other, behind its host; empty where
    nothing is."""
    try:
        parts = urlsplit(template)
        parsed = list(string.Formatter().parse(template))
        port = parts.port  # raises where it is none
    except ValueError:
        return "its address cannot be read"
    found = [field for _, field, form, conversion in parsed if field is not None and not form and not conversion]
    if len(found) != sum(field is not None for _, field, _, _ in parsed) or not {*found} <= fields:
        return "its address has other fields"
    if parts.scheme not in ("http", "https") or not parts.hostname or "{" in parts.netloc or port == 0:
        return "its address does not begin with http:// or https:// and a host"
    if "@" in parts.netloc or any(sign.isspace() or not sign.isprintable() for sign in template):
        return "its address holds a name, a password or a space"
    return ""
