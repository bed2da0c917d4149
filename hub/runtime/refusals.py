"""Which samples of a batch the database refuses: found by trying parts of it, each in a transaction that is taken back.

Knows nothing of the database: `fits(left_out)` says whether all but `left_out` goes in, or None when the state has to be looked at anew.
"""

from collections.abc import Awaitable, Callable, Sequence

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
