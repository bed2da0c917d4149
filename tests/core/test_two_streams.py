"""An edge whose disk takes nothing sends from memory beside what the disk still holds: two streams of one lane, of different times."""

from hub.core import wire
from hub.core.draft import Draft
from hub.model import Lane, Sample
from tests.core.lane_world import SECOND, T0, World, sample

DISK = "00000000-0000-0000-0000-000000000001"
MEMORY = "00000000-0000-0000-0000-000000000002"


class Edge:
    """Both streams of edge-1 in one lane."""

    def __init__(self, lane: Lane = Lane.BULK) -> None:
        self.world = World(lane)
        self.numbers = {DISK: 0, MEMORY: 0}

    def says(self, stream: str, *samples: Sample) -> Draft:
        self.numbers[stream] += 1
        name = f"{stream}-{self.world.lane}"
        return self.world.take(self.world.raw(wire.encode_up(samples), self.numbers[stream], stream=name))

    def link(self, device: str) -> str:
        self.world.clients["edge-1"] = self.world.now
        self.world.tick()
        return str(self.world.state.live[device].link.state)


def beat(at: int) -> Sample:
    return sample("edge-1", "beat", 900.0 + (at - T0) / SECOND, at)


def celsius(at: int, value: float = 20.0) -> Sample:
    return sample("heat-1", "celsius", value, at)


def test_what_the_disk_still_holds_of_a_dead_device_proves_no_life_beside_fresh_beats_from_memory() -> None:
    edge = Edge()
    edge.says(DISK, beat(T0), celsius(T0))
    assert edge.link("heat-1") == "online"
    edge.world.now = (
        T0 + 3600 * SECOND
    )  # the line was away, the device is dead since T0 + 8 s, the disk has become full
    for n in range(1, 8):
        edge.world.now += SECOND // 2
        edge.says(MEMORY, beat(edge.world.now))
        edge.says(DISK, celsius(T0 + n * SECOND, 20.0 + n), beat(T0 + n * SECOND))
        edge.says(MEMORY, beat(edge.world.now))
        assert edge.link("heat-1") != "online", n
    assert edge.link("heat-1") == "offline"


def test_beats_of_two_streams_are_one_watermark_and_no_gaps_between_each_other() -> None:
    edge = Edge()
    edge.says(DISK, beat(T0))
    edge.world.now = T0 + 3600 * SECOND
    gaps = []
    for n in range(1, 8):
        edge.world.now += SECOND // 2
        gaps += edge.says(MEMORY, beat(edge.world.now)).gaps
        gaps += edge.says(DISK, beat(T0 + n * SECOND), celsius(T0 + n * SECOND)).gaps
        assert edge.world.state.beats["edge-1"].at == edge.world.now
        assert edge.world.state.marks["edge-1"] == edge.world.now
    assert len([gap for gap in gaps if gap.cause == "edge"]) == 1


def test_a_clock_that_went_back_is_followed_in_its_own_stream() -> None:
    edge = Edge()
    edge.says(DISK, beat(T0), celsius(T0))
    edge.world.now += SECOND
    edge.says(DISK, beat(T0 - 3600 * SECOND), celsius(T0 - 3600 * SECOND))
    assert edge.world.state.beats["edge-1"].at == T0 - 3600 * SECOND
    assert edge.world.state.marks["edge-1"] == T0 - 3600 * SECOND


def test_a_clock_that_went_back_with_a_new_stream_is_followed_once_the_old_one_is_silent() -> None:
    edge = Edge()
    edge.says(DISK, beat(T0))
    edge.world.now += 10 * SECOND
    edge.says(MEMORY, beat(T0 - 3600 * SECOND))
    assert edge.world.state.beats["edge-1"].at == T0 - 3600 * SECOND
