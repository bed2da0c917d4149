"""Boards against the schema that Grafana's developers publish: what it does not know is found wherever it stands."""

from collections.abc import Iterator
from typing import Any

import pytest

from dashboards.boards import boards
from tests.dashboards.schema import against_schema

MADE = {one["uid"]: one for one in boards("https://tiles.example.org/{z}/{x}/{y}.png")}


@pytest.mark.parametrize("uid", MADE)
def test_grafanas_schema_knows_every_field_and_value_of_a_board(uid: str) -> None:
    assert against_schema(MADE[uid]) == []


OPEN = (".panels.geomap.options.basemap.config", ".panels.geomap.options.layers.N.config")
"""How the layers of a map are configured is left open by Grafana's schema."""


def _objects(value: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object with its place, in which the kinds of panels are told apart and other members of lists are not."""
    if isinstance(value, dict):
        yield place, value
        for key, one in value.items():
            yield from _objects(one, f"{place}.{key}")
    if isinstance(value, list):
        for one in value:
            yield from _objects(one, f"{place}.{one['type'] if place == '.panels' else 'N'}")


def _one_of_each_kind() -> dict[str, Any]:
    """A small board with the smallest panel of each kind, and every kind of variable."""
    panels = sorted((panel for one in MADE.values() for panel in one["panels"]), key=lambda panel: -len(str(panel)))
    kinds = {panel["type"]: panel for panel in panels}
    assert set(kinds) == {"stat", "table", "timeseries", "geomap"}
    return {**MADE["anxin-coverage"], "panels": list(kinds.values())}


def test_an_unknown_field_is_found_wherever_it_stands() -> None:
    board, missed, tried = _one_of_each_kind(), set(), set()
    for place, one in _objects(board):
        if place in tried:
            continue
        tried.add(place)
        one["unheardOf"] = 1
        if not any("unheardOf" in fault for fault in against_schema(board)):
            missed.add(place)
        del one["unheardOf"]
    assert len(tried) > 50
    assert {place for place in missed if not place.startswith(OPEN)} == set()
    assert against_schema(board) == []


def test_a_value_of_another_type_is_found_wherever_it_stands() -> None:
    board, missed, tried = _one_of_each_kind(), set(), set()
    for place, one in _objects(board):
        for key, value in list(one.items()):
            if f"{place}.{key}" in tried:
                continue
            tried.add(f"{place}.{key}")
            one[key] = {"of": "another type"} if not isinstance(value, dict) else 7
            if not against_schema(board):
                missed.add(f"{place}.{key}")
            one[key] = value
    # a matcher's options depend on the matcher, a variable's query on its source
    free = (".matcher.options", ".templating.list.N.query")
    assert {place for place in missed if not place.startswith(OPEN) and not place.endswith(free)} == set()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("unit", 5),
        ("color", {"mode": "rainbow"}),
        ("thresholds", {"mode": "absolute", "steps": [{"color": "red"}, {"value": "x"}]}),
    ],
)
def test_a_wrong_value_of_a_field_is_found(place: str, value: Any) -> None:
    board = _one_of_each_kind()
    panel = next(one for one in board["panels"] if one["type"] == "stat")
    spoilt = {
        **panel,
        "fieldConfig": {**panel["fieldConfig"], "defaults": {**panel["fieldConfig"]["defaults"], place: value}},
    }
    assert against_schema({**board, "panels": [spoilt]}) != []
