"""Lists as literals: what comes back is what went in, like by psycopg's own way."""

import uuid
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from hub.model import Lane, Quality, to_datetime
from hub.store.arrays import ArrayDumper

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
_KINDS = {
    "text": _TEXT | st.sampled_from(["NULL", "null", "", " ", "{}", '"', "\\", "a,b", "园"]),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "float8": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "bytea": st.binary(max_size=12),
    "uuid": st.uuids(),
    "timestamptz": st.integers(-6 * 10**16, 2 * 10**17).map(to_datetime),
}


@pytest.fixture(scope="module")
def quick(database_url: str) -> Any:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("set timezone = 'UTC'")
        conn.adapters.register_dumper(list, ArrayDumper)
        yield conn


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_kind_of_list_comes_back_as_it_went(quick: "psycopg.Connection[Any]", data: st.DataObject) -> None:
    for kind, values in _KINDS.items():
        sent = data.draw(st.lists(values | st.none(), max_size=5), kind)
        row = quick.execute(f"select %s::{kind}[]".encode(), [sent]).fetchone()
        assert row is not None
        assert row[0] == sent


def test_words_of_enumerations_documents_and_what_is_no_number_go_too(quick: "psycopg.Connection[Any]") -> None:
    sent = [[Lane.URGENT, "x"], [int(Quality.GOOD), None], [float("inf"), float("nan")], [Jsonb({"a": '"\\'}), None]]
    row = quick.execute("select %s::text[], %s::int[], %s::float8[], %s::jsonb[]", sent).fetchone()
    assert row is not None
    assert row[0] == ["urgent", "x"]
    assert row[1] == [int(Quality.GOOD), None]
    assert repr(row[2]) == "[inf, nan]"
    assert row[3] == [{"a": '"\\'}, None]
    assert quick.execute("select %s::uuid[]", [[uuid.UUID(int=7)]]).fetchone() == ([uuid.UUID(int=7)],)


def test_a_text_that_the_database_cannot_hold_is_refused_and_not_cut_off(quick: "psycopg.Connection[Any]") -> None:
    with pytest.raises(psycopg.DataError):
        quick.execute("select %s::text[]", [["a", "b\0c"]])
    with pytest.raises(psycopg.DataError):
        quick.execute("select %s::text[]", [["a", None, "b\0c"]])
