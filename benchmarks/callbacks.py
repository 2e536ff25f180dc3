"""Callbacks as the page posts them, for benchmarks and tests."""

from __future__ import annotations

import json
from typing import Any

from flask.testing import FlaskClient

DEPENDENCIES = "/_dash-dependencies"
UPDATE = "/_dash-update-component"


def body_of(listed: list[dict[str, Any]], output: str, values: dict[str, Any], changed: str) -> dict[str, Any]:
    """The body that asks for one callback.

    Parameters
    ----------
    listed : list of dict
        What `DEPENDENCIES` answers.
    output : str
        The callback's first output, `"gallery-told.children"`.
    values : dict
        Values of its inputs and states by `"component.property"`; those left out are null.
    changed : str
        The input that changed.
    """
    found = next(d for d in listed if d["output"] == output or d["output"].startswith(f"..{output}..."))
    several = found["output"].startswith("..")
    names = [name.rsplit(".", 1) for name in found["output"].strip(".").split("...")]
    outputs = [{"id": component, "property": prop} for component, prop in names]
    return {
        "output": found["output"],
        "outputs": outputs if several else outputs[0],
        "inputs": [{**one, "value": values.get(f"{one['id']}.{one['property']}")} for one in found["inputs"]],
        "changedPropIds": [changed],
        "state": [{**one, "value": values.get(f"{one['id']}.{one['property']}")} for one in found["state"]],
    }


def call(client: FlaskClient, output: str, values: dict[str, Any], changed: str) -> dict[str, Any]:
    """Answer of one callback, by component and property; parameters as of `body_of`."""
    body = body_of(client.get(DEPENDENCIES).get_json(), output, values, changed)
    response = client.post(UPDATE, json=body)
    assert response.status_code == 200, response.data
    answer: dict[str, Any] = response.get_json()["response"]
    return answer


def listed(answer: dict[str, Any]) -> dict[str, Any]:
    """List of the gallery, as its callback answers (`GalleryList` of `dashboard.views.gallery`); nothing where it
    shows doors or says why it is empty."""
    parts = answer["gallery-told"]["children"]
    told = next((one["props"]["data-list"] for one in parts if "data-list" in one["props"]), '{"rows": []}')
    found: dict[str, Any] = json.loads(told)
    return found
