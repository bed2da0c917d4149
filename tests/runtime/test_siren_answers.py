"""An edge's answer about a siren is no stray message: ingest passes over it and holds nothing of it in quarantine."""

from hub.core.siren_order import siren_answer_topic
from hub.model import Lane
from hub.mqtt import Incoming
from hub.runtime.batches import addressed


def test_an_answer_about_a_siren_is_nobodys_stray() -> None:
    answer = Incoming(siren_answer_topic(3, "edge-1"), b"{}", (), False, 1, 1, 1)
    stray = answer._replace(topic="anxin/v1/3/edge-1/up/other")
    found = addressed([answer, stray], Lane.BULK)
    assert (found.messages, found.states) == ([], [])
    assert [row.source for row in found.strays] == ["anxin/v1/3/edge-1/up/other"]
