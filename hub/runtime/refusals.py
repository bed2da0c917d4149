"""Which samples of a batch the database refuses: found by trying parts of it, each in a transaction that is taken back. And over which judging falls.

Knows nothing of the database: `fits(left_out)` says whether all but `left_out` goes in, or None when the state has to be looked at anew.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from hub.core.intake import WHOLE
from hub.core.lane import Message
from hub.errors import Fallen, tried

Place = tuple[str, int, int]
"""stream, sequence, number in the message"""
Fits = Callable[[frozenset[Place]], Awaitable[bool | None]]


async def find_refused(suspects: Sequence[Place], fits: Fits) -> frozenset[Place] | None:
    """The samples to leave out, perhaps only some of them: the batch is judged again in any case. None: the samples are not to blame.

    About 2·log2(n) tries for one that is refused; no try when nothing is suspected.
    """
    everything = frozenset(suspects)
    alone = await fits(everything)
    if alone is None:
        return frozenset()
    if not alone:
        return None
    found: set[Place] = set()
    parts: list[Sequence[Place]] = [suspects]
    while parts:
        part = parts.pop()
        fit = not part or await fits((everything - set(part)) | found)
        if fit is None:
            return frozenset(found)
        if not fit and len(part) == 1:
            found.update(part)
        elif not fit:
            half = len(part) // 2
            parts += [part[half:], part[:half]]
    return frozenset(found) if found else await _first_too_many(suspects, fits)


async def _first_too_many(suspects: Sequence[Place], fits: Fits) -> frozenset[Place]:
    """Only together do they contradict: the first one with which those before it do not go in any more."""
    few, many = 0, len(suspects)  # so many go in; so many do not
    while many - few > 1:
        half = (few + many) // 2
        fit = await fits(frozenset(suspects[half:]))
        if fit is None:
            return frozenset()
        few, many = (half, many) if fit else (few, half)
    return frozenset(suspects[few:many])


_T = TypeVar("_T")
Refused = frozenset[Place]


def judged(
    messages: Sequence[Message],
    refused: Refused,
    judge: Callable[[Sequence[Message], Refused], _T],
    samples_of: Callable[[Sequence[Message], Refused], Sequence[Place]],
    say: Callable[[Message, Place, Exception], None],
) -> tuple[_T, Refused]:
    """What `judge` makes of the messages, and what had to be left out because it raised an error over it, which `say` is told.

    One message that a mistake of ours cannot stand would come again with every start and end the hub each time. It is found and left out: of it the
    one sample that is to blame, or all. Raises what `judge` raises over no message.
    """
    while True:
        found = tried(partial(judge, messages, refused))
        if not isinstance(found, Fallen):
            return found, refused
        if _raises(judge, (), refused):
            raise found.error
        few, many = 0, len(messages)  # over so many it raises nothing; over so many it does
        while many - few > 1:
            half = (few + many) // 2
            few, many = (few, half) if _raises(judge, messages[:half], refused) else (half, many)
        place = _blamed(messages[:many], refused, judge, samples_of)
        say(messages[many - 1], place, found.error)
        refused |= {place}


def _blamed(
    messages: Sequence[Message],
    refused: Refused,
    judge: Callable[[Sequence[Message], Refused], object],
    samples_of: Callable[[Sequence[Message], Refused], Sequence[Place]],
) -> Place:
    """The sample of the last message without which it raises nothing; else the message as a whole."""
    culprit = messages[-1]
    places = tried(partial(samples_of, [culprit], refused))
    readable = () if isinstance(places, Fallen) else places
    alone = (place for place in readable if not _raises(judge, messages, refused | {place}))
    return next(alone, (culprit.stream, culprit.seq, WHOLE))


def _raises(
    judge: Callable[[Sequence[Message], Refused], object], messages: Sequence[Message], refused: Refused
) -> bool:
    return isinstance(tried(partial(judge, messages, refused)), Fallen)
