"""Cutting what was read into upward messages: as few as possible, none larger than the protocol and the broker take.

A message costs ingest 60 to 80 µs and a sample 3 µs, so many samples travel in one message; its size is bounded so that one lost message is a
small loss of time.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from hub.core.wire import MAX_REJECTS, MAX_SAMPLES, QUARANTINED_BYTES, encode_reject, encode_sample, join_up, parts_of
from hub.errors import BadInput
from hub.model import Micros, Reject, Sample

TARGET_BYTES = 96 * 1024
"""of one message's parts; well below what the hub takes, so that the last part and the separators always fit"""


_UNWRITABLE = (BadInput, TypeError, ValueError, AttributeError)


class Packed(NamedTuple):
    """One upward message, ready to be sent any number of times, and how much is in it."""

    payload: bytes
    samples: int
    rejects: int


def pack(
    samples: Sequence[Sample], rejects: Sequence[Reject] = (), source: str = "edge", target: int = TARGET_BYTES
) -> list[Packed]:
    """All of it in order, as messages of at most `target` bytes of parts. A sample that cannot be written at all becomes a reject from `source`; nothing is left out.

    Nor does anything raise: samples come from drivers, whose bugs put anything where an identifier or a time should be.
    """
    encoded: list[bytes] = []
    refused: list[Reject] = []
    for sample in samples:
        try:
            encoded.append(encode_sample(sample))
        except _UNWRITABLE as error:
            refused.append(_kept(sample, sample.at, source, "sample", error))
    messages = [Packed(join_up(part, ()), len(part), 0) for part in _cut(encoded, MAX_SAMPLES, target)]
    tails = list(_cut((_encoded(reject, source) for reject in (*rejects, *refused)), MAX_REJECTS, target))
    if messages and tails and sum(map(len, tails[0])) + len(messages[-1].payload) <= target:
        last = encoded[len(encoded) - messages[-1].samples :]
        messages[-1] = Packed(join_up(last, tails[0]), len(last), len(tails[0]))
        del tails[0]
    messages.extend(Packed(join_up((), part), 0, len(part)) for part in tails)
    return messages


def cut_up(payload: bytes, largest: int) -> list[Packed]:
    """The same in messages of at most `largest` bytes, in order; what alone is larger stands alone. Raises BadInput for garbage."""
    samples, rejects = parts_of(payload)
    target = largest - len(join_up((), ()))
    found = [Packed(join_up(part, ()), len(part), 0) for part in _cut(samples, MAX_SAMPLES, target)]
    return found + [Packed(join_up((), part), 0, len(part)) for part in _cut(rejects, MAX_REJECTS, target)]


def _encoded(reject: Reject, source: str) -> bytes:
    try:
        return encode_reject(reject)
    except _UNWRITABLE as error:
        return encode_reject(_kept(reject, reject.at, source, "reject", error))


def _kept(what: Sample | Reject, at: Micros, source: str, code: str, error: Exception) -> Reject:
    """What cannot be written, as a reject that can; without a time of its own it has the epoch's."""
    payload = repr(what)[:QUARANTINED_BYTES].encode("utf-8", "replace")
    return Reject(at if type(at) is int else 0, source, code, str(error), payload)


def _cut(parts: Iterable[bytes], most: int, target: int) -> Iterator[list[bytes]]:
    """Runs of at most `most` parts and `target` bytes; a part that is larger is a run of its own."""
    run: list[bytes] = []
    size = 0
    for part in parts:
        if run and (len(run) == most or size + len(part) + 1 > target):
            yield run
            run, size = [], 0
        run.append(part)
        size += len(part) + 1
    if run:
        yield run
