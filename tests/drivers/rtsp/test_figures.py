"""From brightness to figures, without pictures."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.rtsp.probe import CHANGE, COLUMNS, ROWS, Flow, Watch, cut, differs

CELLS = COLUMNS * ROWS


def grid(level: int, spot: int | None = None) -> bytes:
    cells = bytearray([level]) * CELLS
    if spot is not None:
        cells[0] = spot
    return bytes(cells)


def test_a_picture_that_is_encoded_anew_each_second_is_still_frozen() -> None:
    watch = Watch()
    for number in range(40):
        watch.see(number / 10, grid(100 + number // 10 % 2))
    assert watch.figures()["frozen"] == 1.0


def test_one_cell_that_moves_once_a_second_is_enough_not_to_be_frozen() -> None:
    watch = Watch(region=(0, 0, 0.1, 0.1))
    for number in range(40):
        watch.see(number / 10, grid(100, 100 + 2 * CHANGE * (number // 10 % 2)))
    figures = watch.figures()
    assert figures["overlay_moving"] == 1.0
    assert figures["frozen"] == 0.25  # the first second has none before it


def test_slow_light_is_no_change_of_a_frame_and_one_of_a_second() -> None:
    watch = Watch()
    for number in range(40):
        watch.see(number / 10, grid(100 + number))
    assert watch.figures()["frozen"] == 0.0


def test_too_little_is_said_to_be_too_little() -> None:
    assert set(Watch().figures().values()) == {None}
    watch = Watch()
    watch.see(0.0, grid(0))
    assert watch.figures() == {"luma": 0.0, "black": 1.0, "frozen": None, "overlay_moving": None}


def test_a_dark_room_with_one_lamp_is_not_black() -> None:
    watch = Watch()
    watch.see(0.0, grid(5, 200))
    assert watch.figures()["black"] == 0.0


def test_a_jump_of_the_streams_clock_is_no_time_of_pictures() -> None:
    flow = Flow()
    for moment in (0.0, 0.1, 100.0, 100.1, 50.0, 50.1, None, 50.2):
        flow.show(moment)
    assert round(flow.shown, 3) == 0.4


@given(
    st.lists(st.tuples(st.floats(0, 20), st.binary(min_size=4, max_size=4)), max_size=30),
    st.tuples(*[st.floats(0, 1)] * 4),
)
def test_figures_are_shares_whatever_was_seen(
    seen: list[tuple[float, bytes]], region: tuple[float, float, float, float]
) -> None:
    watch = Watch(region=region)
    for moment, cells in sorted(seen):
        watch.see(moment, cells * (CELLS // 4))
    for name, value in watch.figures().items():
        assert value is None or 0 <= value <= (255 if name == "luma" else 1)
    assert differs(b"\0", bytes([CHANGE]))
    assert len(cut(grid(0), region)) <= CELLS
