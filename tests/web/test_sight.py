"""What the hub itself does not see: never calm because nobody could look."""

from collections.abc import Mapping

from hub.web.live import Sight
from tests.web.conftest import Console


async def test_a_hub_whose_lanes_nobody_hears_is_blind_and_one_that_is_heard_is_not(console: Console) -> None:
    services = console.app.state.services
    assert "ingest" in await Sight(services).blind()
    await console.city.conn.execute(
        "insert into lane_watch (partition, lane, listened_at, heard_at) select n, 'urgent', now(), now() + interval '50 min'"
        " from generate_series(0, (select value::int - 1 from hub_setting where name = 'partitions')) n"
    )
    assert set(await Sight(services).blind()) <= {"feed"}
    await services.pool.close()
    assert "database" in await Sight(services).blind()


async def test_a_look_that_fails_in_a_way_that_nobody_thought_of_is_blindness(console: Console) -> None:
    async def ready() -> Mapping[str, bool]:
        raise RuntimeError("a mistake of our own")

    services = console.app.state.services
    object.__setattr__(services, "ready", ready)
    assert "database" in await Sight(services).blind()
