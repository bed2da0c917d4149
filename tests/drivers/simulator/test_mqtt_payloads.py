"""What a simulated MQTT device publishes is read by the driver as it was meant, in every format."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mqtt import driver
from drivers.mqtt.decode import decode
from drivers.simulator.mqtt_endpoint import payload_of
from hub.driver import Binding
from hub.errors import BadInput
from hub.model import Scalar, Series

DEVICE = driver.Device.model_validate({"topic": "sim/one"})


def bind(point: str, kind: str, **address: Any) -> Binding:
    return Binding(Series("one", point), DEVICE, driver.Address.model_validate(address), kind)


def read(bindings: list[Binding], payload: bytes) -> dict[str, Scalar | None]:
    return {one.series.point: one.raw for one in decode("sim/one", payload, False, bindings, 0, "", 1 << 18).samples}


CSV = [
    bind("celsius", "float", format="csv", field=3, separator=";"),
    bind("label", "str", format="csv", field=1, separator=";"),
    bind("smoke", "bool", format="csv", field=0, separator=";", equals="ALARM"),
]


def test_a_csv_device_is_played_as_one_line() -> None:
    played: dict[str, Scalar] = {"celsius": 21.5, "label": "hall; east", "smoke": True}
    assert payload_of(CSV, played, "sim/one") == b'ALARM;"hall; east";;21.5'
    assert read(CSV, payload_of(CSV, played, "sim/one")) == played


@given(
    st.floats(-1e6, 1e6), st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20), st.booleans()
)
def test_whatever_a_csv_device_says_is_read_as_it_was_meant(celsius: float, label: str, smoke: bool) -> None:
    played: dict[str, Scalar] = {"celsius": celsius, "label": label, "smoke": smoke}
    assert read(CSV, payload_of(CSV, played, "sim/one")) == played


def test_what_no_line_of_csv_can_say_is_refused() -> None:
    with pytest.raises(BadInput, match="cannot be said"):
        payload_of(CSV[1:2], {"label": " x "}, "sim/one")


@pytest.mark.parametrize(("raw", "word"), [(True, b"ON"), (1, b"ON"), (False, b""), (0, b"")])
def test_a_truth_is_played_by_the_word_that_stands_for_it(raw: Scalar, word: bytes) -> None:
    assert payload_of([bind("on", "bool", format="raw", equals="ON")], {"on": raw}, "sim/one") == word
