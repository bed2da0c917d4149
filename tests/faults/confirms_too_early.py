"""A false hub, for the negative control: `anxin` with one line of ingest in the wrong order. It confirms, then commits.

Nothing of this can be switched on in the product. Killed between the two, it has promised what it does not have. It lies only in the life
in which it is to be killed: before that a commit that fails once would leave a promise without a value, and the test without a beginning.
"""

import os
from collections.abc import Sequence

from hub.cli.main import main
from hub.core import wire
from hub.core.intake import take_in
from hub.mqtt import Incoming, Session
from hub.runtime.batches import addressed, known_of
from hub.runtime.foresight import Foresight
from hub.runtime.ingest import LaneIngest
from hub.runtime.shared import wall_clock

_honest = LaneIngest._take


async def _take(self: LaneIngest, mqtt: Session, incoming: Sequence[Incoming], foresight: Foresight) -> None:
    known, _ = known_of(self.shared.registry, addressed(incoming, self.lane).messages)
    draft = take_in(self._memory.state, self.shared.registry, known, wall_clock(), frozenset())
    for (client, lane, stream), upto in draft.confirm.items():
        topic = str(wire.Topic(self.shared.number, client, "down", lane))
        await mqtt.publish(topic, wire.encode_confirm(stream, upto))
    await _honest(self, mqtt, incoming, foresight)


if __name__ == "__main__":
    if "ANXIN_CRASH_AT" in os.environ:
        LaneIngest._take = _take  # type: ignore[method-assign]
    main()
