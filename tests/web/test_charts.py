"""Small charts: what is drawn stays inside, a pause is a gap, and hostile titles are text."""

import re

from hypothesis import given
from hypothesis import strategies as st

from hub.web.charts import HEIGHT, WIDTH, spark

values = st.floats(-1e12, 1e12)
curves = st.lists(st.tuples(st.floats(-50, 1050), values), max_size=40).map(lambda rows: sorted(map(list, rows)))


@given(curves, st.booleans())
def test_whatever_is_drawn_lies_inside_the_picture(curve: list[list[float]], steps: bool) -> None:
    drawn = str(spark(curve, 0.0, 1000.0, "t", gap=100.0, steps=steps))
    for x, y in re.findall(r"(-?[\d.e+-]+),(-?[\d.e+-]+)", drawn):
        assert -0.1 <= float(x) <= WIDTH + 0.1
        assert -0.1 <= float(y) <= HEIGHT + 0.1


def test_nothing_is_drawn_over_a_pause() -> None:
    curve = [[0.0, 1.0], [10.0, 2.0], [500.0, 3.0], [510.0, 4.0], [900.0, 5.0]]
    drawn = str(spark(curve, 0.0, 1000.0, "t", gap=100.0))
    assert drawn.count("<polyline") == 2
    assert drawn.count("<circle") == 1


def test_a_value_holds_until_the_next_one() -> None:
    drawn = str(spark([[0.0, 0.0], [1000.0, 1.0]], 0.0, 1000.0, "t", gap=2000.0, steps=True))
    assert re.findall(r"[\d.]+,[\d.]+", drawn.split('points="')[1]) == ["3.0,45.0", "237.0,45.0", "237.0,3.0"]


def test_no_values_and_hostile_titles_do_no_harm() -> None:
    assert "<polyline" not in str(spark(None, 0.0, 1.0, "t", gap=1.0))
    assert "<script" not in str(spark([], 0.0, 0.0, "</title><script>", gap=1.0))
