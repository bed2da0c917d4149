"""The bare loop that the hub's ingest is held against: take, decode, COPY, commit, confirm, settle. No judging, no state, no deduplication.

`python -m bench.bare SERIES-FILE PARTITION`; database and broker from ANXIN_DATABASE_URL and ANXIN_MQTT_URL.
"""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg

from hub.mqtt import parse_broker, session

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Sample(msgspec.Struct):
    d: str
    p: str
    t: int
    r: float


class Message(msgspec.Struct):
    v: int
    samples: list[Sample]


async def main(series: dict[str, int], partition: str) -> None:
    decoder = msgspec.json.Decoder(Message)
    broker = parse_broker(os.environ["ANXIN_MQTT_URL"])
    conn = await psycopg.AsyncConnection.connect(os.environ["ANXIN_DATABASE_URL"], application_name="anxin-hub-bare")
    async with session(broker, client_id=f"hub-{partition}-bulk", clean_start=True) as mqtt:
        await mqtt.subscribe(f"anxin/v1/{partition}/+/up/bulk")
        print("ready", flush=True)
        while True:
            batch = await mqtt.take(500)
            now = datetime.now(UTC)
            upto: dict[str, tuple[str, str]] = {}
            async with (
                conn.cursor() as cursor,
                cursor.copy(
                    "copy reading (series_id, at, received_at, value, quality) from stdin (format binary)"
                ) as copy,
            ):
                copy.set_types(["int4", "timestamptz", "timestamptz", "float8", "int2"])
                for message in batch:
                    properties = dict(message.properties)
                    upto[properties["stream"]] = (message.topic.replace("/up/", "/down/"), properties["seq"])
                    for one in decoder.decode(message.payload).samples:
                        at = EPOCH + timedelta(microseconds=one.t)
                        await copy.write_row((series[f"{one.d}/{one.p}"], at, now, one.r, 0))
            await conn.commit()
            for stream, (topic, seq) in upto.items():
                await mqtt.post(topic, json.dumps({"v": 1, "stream": stream, "upto": int(seq)}).encode())
            mqtt.settle(*batch)


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]))
