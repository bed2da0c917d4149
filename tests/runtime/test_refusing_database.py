"""A database that answers and takes nothing (read only after a failover, full): it ends no loop, fire and panic page, and all goes on afterwards."""

import json
from contextlib import AbstractContextManager
from pathlib import Path

import psycopg
import pytest

from hub.testing import eventually
from tests.paging import Receiver, receiver
from tests.runtime.city import client, fetch, rows, sample
from tests.runtime.outage import Server, centre, cover, server
from tests.runtime.test_standby import key, press


def panics(sink: Receiver) -> list[str]:
    """The keys of pages of panics; the policy of this city has holes, which the hub pages of as well."""
    return [one.headers["webhook-id"] for one in sink.requests if json.loads(one.body)["data"]["class"] == "panic"]


PROBE = "insert into change (kind, institution, payload) select 'probe', min(key), '{}' from institution where key > 0"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", ["read_only", "full"])
async def test_it_ends_no_loop_of_the_hub_a_press_is_paged_once_and_afterwards_all_goes_on(
    tmp_path: Path, mqtt_url: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with server(tmp_path) as db, receiver() as sink, client(mqtt_url) as sender:
        cover(db.url, sink.port)
        async with centre(db.url, mqtt_url, tmp_path) as hub:
            await sender.told("urgent", sample("button-1", "pressed", False))
            refuses: AbstractContextManager[None] = getattr(Server, how)(db)
            with refuses:
                with psycopg.connect(db.url) as conn, pytest.raises((psycopg.InternalError, psycopg.OperationalError)):
                    conn.execute(PROBE)
                seq, alarm = await press(sender)
                await eventually(lambda: panics(sink) == [key(alarm)], 30)
                standby = hub.service.standby
                assert standby is not None
                await eventually(lambda: standby.pager.outcomes["delivered"] == 1, 20)
                assert fetch(db.url, "select count(*) from alarm where signal_class = 'panic'") == [(0,)]
                assert not hub.task.done()
            await sender.confirmed("urgent", seq)
            await rows(db.url, "select id, occurrences from alarm where signal_class = 'panic'", [(alarm, 1)], 40)
            await rows(
                db.url, "select id::text from notification where state = 'sent' and urgency = 0", [(key(alarm),)], 40
            )
            await eventually(lambda: not standby.pursuits, 40)
            await eventually(lambda: panics(sink) == [key(alarm)])
            other = sample("button-1", "pressed", True)
            await sender.told("urgent", other)  # as ever, by every loop
            await eventually(lambda: len(panics(sink)) == 2, 40)
            assert all((await hub.service.ready()).values())
    said = capsys.readouterr().out
    assert "ingest.database_" in said
    assert "standby.alarm" in said
