"""What Grafana's own schema says against a board: unknown fields, wrong types and values that are none of a list.

The schema is the one that Grafana's developers publish as classes (PyPI `grafana-foundation-sdk`, built for the release after the 12.3 of
docker-compose.yml; `@grafana/schema` 12.3.0 was asked with `tsc --strict` when this was written, and said the same). The classes decode
without looking, so that what they declare is read here: each attribute has a JSON name (asked of `to_json`) and a type.
"""

import enum
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from grafana_foundation_sdk.models import common, dashboard, geomap, stat, table, timeseries

_PANELS = {"stat": stat, "table": table, "timeseries": timeseries, "geomap": geomap}
SQL_QUERY: Mapping[str, Any] = {
    "format": typing.Literal["time_series", "table"],
    "rawSql": str,
    "rawQuery": bool,
    "editorMode": typing.Literal["code", "builder"],
}
"""What a query of a SQL data source adds to any query: no published schema has it (grafana/grafana, packages/grafana-sql/src/types.ts, SQLQuery)."""


def against_schema(board: Mapping[str, Any]) -> list[str]:
    """Everything in the board that Grafana's schema does not know, each with its place."""
    return list(_object(dashboard.Dashboard, board, ""))


@cache
def _fields(cls: type) -> Mapping[str, Any]:
    """JSON name to type of what a class of the schema declares."""
    hints = typing.get_type_hints(cls)
    found: dict[str, Any] = {}
    for name, hint in hints.items():
        one: Any = object.__new__(cls)
        mark = object()
        for other in hints:
            setattr(one, other, mark if other == name else None)
        found |= {key: hint for key, value in one.to_json().items() if value is mark}
    return found


def _object(cls: type, value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where}: {value!r} is no {cls.__name__}"
        return
    for key, one in value.items():
        place = f"{where}.{key}"
        hint = _fields(cls).get(key)
        if hint is None:
            yield f"{place}: not in {cls.__name__}"
        elif cls is dashboard.Panel and key in ("options", "targets", "fieldConfig"):
            yield from _of_panel(str(value.get("type")), key, one, place)
        else:
            yield from _value(hint, one, place)


def _of_panel(kind: str, key: str, value: Any, where: str) -> Iterator[str]:
    """What depends on the kind of the panel, and is `object` to the class of all panels."""
    if kind not in _PANELS:
        yield f"{where}: a panel of kind {kind!r}"
        return
    config = _PANELS[kind].variant_config()
    hook = config.field_config_from_json_hook
    custom = None if hook is None else hook.__self__
    if key == "options":
        yield from _object(config.options_from_json_hook.__self__, value, where)
    elif key == "targets":
        yield from _value(list[Any], value, where)
        for n, one in enumerate(value if isinstance(value, list) else []):
            place = f"{where}.{n}"
            yield from _object(common.DataQuery, {k: v for k, v in one.items() if k not in SQL_QUERY}, place)
            yield from _value(common.DataSourceRef, one.get("datasource"), f"{place}.datasource")
            for name in one.keys() & SQL_QUERY.keys():
                yield from _value(SQL_QUERY[name], one[name], f"{place}.{name}")
    else:
        wrong = list(_object(dashboard.FieldConfigSource, value, where))
        yield from wrong
        # what is of the wrong shape has no parts to look at
        for n, (place, shown) in enumerate([] if wrong else _shown(value)):
            yield from _field(shown, custom, f"{where}.{place}.{n}")


def _shown(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """How fields are shown: by default, and by each override, whose properties are named by their path."""
    yield "defaults", config["defaults"]
    for override in config["overrides"]:
        shown = {one["id"]: one["value"] for one in override["properties"]}
        own = {name.removeprefix("custom."): shown.pop(name) for name in list(shown) if name.startswith("custom.")}
        yield "overrides", shown | ({"custom": own} if own else {})


def _field(shown: Mapping[str, Any], custom: type | None, where: str) -> Iterator[str]:
    """How a field is shown; its `custom` part is the panel's own."""
    yield from _object(dashboard.FieldConfig, {key: value for key, value in shown.items() if key != "custom"}, where)
    if "custom" in shown and custom is None:
        yield f"{where}.custom: this kind of panel has none"
    elif "custom" in shown:
        assert custom is not None
        yield from _object(custom, shown["custom"], f"{where}.custom")


def _value(hint: Any, value: Any, where: str) -> Iterator[str]:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        alternatives = [one for one in typing.get_args(hint) if (one is type(None)) is (value is None)]
        # the alternative that is least wrong tells best what is
        yield from min(
            (list(_value(one, value, where)) for one in alternatives), key=len, default=[f"{where}: {value!r}"]
        )
    elif origin is typing.Literal:
        if value not in typing.get_args(hint):
            yield f"{where}: {value!r} is none of {typing.get_args(hint)}"
    elif origin is list:
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no list"
            return
        for n, one in enumerate(value):
            yield from _value(typing.get_args(hint)[0], one, f"{where}.{n}")
    elif origin is dict:
        if not isinstance(value, Mapping):
            yield f"{where}: {value!r} is no object"
            return
        for key, one in value.items():
            yield from _value(typing.get_args(hint)[1], one, f"{where}.{key}")
    elif hint in (object, Any, type(None)):
        return
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        if value not in [one.value for one in hint]:
            yield f"{where}: {value!r} is no {hint.__name__}"
    elif hasattr(hint, "to_json"):
        yield from _object(hint, value, where)
    elif hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{where}: {value!r} is no number"
    elif isinstance(value, bool) is not (hint is bool) or not isinstance(value, hint):
        yield f"{where}: {value!r} is no {getattr(hint, '__name__', hint)}"
