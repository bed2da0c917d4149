"""What channels need to send is sealed under a key that the database does not hold: in rows, dumps, plans, errors and logs."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from hub.core.channels import SEALED
from hub.errors import BadInput, Conflict
from hub.notify import open_channel
from hub.notify.authority import open_authority
from hub.store import handovers, policies, sealing
from hub.store.pool import connect
from hub.store.sealing import Keys, Place, parse_keys
from tests.notify.test_every_kind import SAMPLES, SECRETS

OLD, NEW = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
HERE = Place("responder", "duty", "hook", "webhook")
SETTINGS = st.dictionaries(st.text(max_size=8).filter(lambda key: key != SEALED), st.text() | st.integers(), max_size=4)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    sealing.use(Keys())


@settings(max_examples=30)
@given(SETTINGS, st.integers(0, 10_000), st.integers(1, 255))
def test_what_is_sealed_opens_in_its_own_row_with_its_key_and_not_where_a_byte_differs(
    plain: dict[str, Any], at: int, by: int
) -> None:
    keys = parse_keys(OLD)
    sealed = keys.seal(plain, HERE)
    assert set(sealed) == {SEALED}
    assert keys.open(sealed, HERE) == plain
    assert parse_keys(f"{NEW}, {OLD}").open(sealed, HERE) == plain  # while keys are changed
    for stranger, place in ((parse_keys(NEW), HERE), (Keys(), HERE), (keys, HERE._replace(owner="other")),
                            (keys, HERE._replace(table="authority")), (keys, HERE._replace(kind="sink"))):  # fmt: skip
        assert stranger.open(sealed, place) == sealed
    name, _, text = sealed[SEALED].partition(":")
    whole = bytearray(base64.b64decode(text))
    whole[at % len(whole)] ^= by
    broken = {SEALED: f"{name}:{base64.b64encode(whole).decode()}"}
    assert keys.open(broken, HERE) == broken
    assert keys.seal(sealed, HERE) == sealed  # what could not be opened is written back as it was


@given(st.text())
def test_whatever_stands_in_a_row_is_opened_or_left_as_it_is(text: str) -> None:
    keys = parse_keys(OLD)
    name = keys.seal({}, HERE)[SEALED].partition(":")[0]
    for row in ({SEALED: text}, {SEALED: f"{name}:{text}"}, {"url": text}):
        assert keys.open(row, HERE) == row


@pytest.mark.parametrize("wrong", ["x", "hidden-key", OLD + " " + OLD[:-8], base64.b64encode(b"n" * 31).decode()])
def test_what_is_no_key_is_refused_by_its_place_and_not_shown(wrong: str) -> None:
    with pytest.raises(BadInput, match=r"key [12] is not 32 bytes in base64") as caught:
        parse_keys(wrong)
    assert caught.value.where == "ANXIN_CHANNEL_KEYS"
    assert not any(word in str(caught.value) for word in (wrong, OLD[:-8]))
    assert not parse_keys(" ")


def test_settings_that_stay_sealed_are_refused_with_the_name_of_what_is_missing() -> None:
    sealed = parse_keys(OLD).seal({"url": "https://a.example/hidden-token-0123", "secret": SECRETS[2]}, HERE)
    for opener in (open_channel, open_authority):
        with pytest.raises(BadInput, match="ANXIN_CHANNEL_KEYS"):
            opener("webhook", sealed, "channel duty/hook", allow_loopback=False)


POLICE = {"url": "https://police.example/hidden-token-0123/desk", "secret": SECRETS[2]}


async def test_no_dump_of_the_database_holds_a_secret_once_there_are_keys_also_of_what_stood_before(
    fresh_database: str,
) -> None:
    channels = tuple(policies.Channel(kind.replace("_", "-"), kind, given_) for kind, given_ in SAMPLES.items())
    duty = policies.Responder("duty", "岗", "post", channels)
    police = handovers.Authority("police", "police", "警", "police", "14", "110", None, {"desk": ("webhook", POLICE)})
    with psycopg.connect(fresh_database) as db:
        db.execute("insert into division values ('14', null, '山西', 'Shanxi')")
    conn = await connect(fresh_database, "test", autocommit=True)

    async def put() -> None:
        async with conn.transaction(), conn.cursor() as cur:
            await policies.put_responder(cur, duty)
            await handovers.put_authority(conn, police)

    async def known() -> dict[str, Any]:
        async with conn.transaction(), conn.cursor() as cur:
            (found,) = await policies.load_responders(cur)
        return {channel.kind: channel.settings for channel in found.channels}

    async with conn:
        await put()
        async with conn.transaction(), conn.cursor() as cur:  # retired channels held secrets, too
            await policies.put_responder(cur, policies.Responder("duty", "岗", "post", channels[1:]))
        assert [secret for secret in SECRETS if secret in await dump(fresh_database)] == list(SECRETS)
        assert await sealing.reseal(fresh_database) == 0  # without keys nothing is touched

        sealing.use(parse_keys(OLD))
        with capture_logs() as said:
            assert await sealing.reseal(fresh_database) == len(SAMPLES) + 1 + 1  # and the end of proofs
            assert await sealing.reseal(fresh_database) == 0
        shown = [await dump(fresh_database), json.dumps(said)]
        await put()
        assert await known() == SAMPLES
        shown.append(await dump(fresh_database))

        # who has another key opens nothing, says so, and destroys nothing
        sealing.use(parse_keys(NEW))
        with capture_logs() as said:
            assert await sealing.reseal(fresh_database) == 0
        assert {line["event"] for line in said} == {"channels.key_missing"}
        shown.append(json.dumps(said))
        assert all(set(row) == {SEALED} for row in (await known()).values())
        sealing.use(parse_keys(f"{NEW} {OLD}"))  # the new key seals, the old one opens
        assert await sealing.reseal(fresh_database) == len(SAMPLES) + 2
        sealing.use(parse_keys(NEW))
        assert await known() == SAMPLES
        shown.append(await dump(fresh_database))

        # a responder is not told where an authority is, and the other way round, though neither can be read in the database
        copied = policies.Channel("copied", "webhook", {**POLICE, "url": POLICE["url"].upper() + "?x=1"})
        number = policies.Channel("number", "sms_aliyun", {**SAMPLES["sms_aliyun"], "number": "+86 0355-1234567"})
        phone = police.__class__("other", "police", "警", "police", "14", "0355 1234567", None, {})
        async with conn.transaction(), conn.cursor() as cur:
            await policies.put_responder(cur, policies.Responder("desk", "台", "desk", (number,)))
        desk = {"desk": ("webhook", SAMPLES["webhook"])}
        for wrong in (phone, phone.__class__("other", "police", "警", "police", "14", "", None, desk)):
            with pytest.raises(Conflict, match="authority_is_no_responder") as caught:
                async with conn.transaction():
                    await handovers.put_authority(conn, wrong)
            shown.append(str(caught.value))
        with pytest.raises(Conflict, match="authority_is_no_responder") as caught:
            async with conn.transaction(), conn.cursor() as cur:
                await policies.put_responder(cur, policies.Responder("copy", "抄", "copy", (copied,)))
        shown.append(str(caught.value))
    for text in shown:
        assert [secret for secret in (*SECRETS, "police.example") if secret in text] == []


async def dump(database: str) -> str:
    """What a dump holds: every row of every table, as `pg_dump` copies them."""
    whole = []
    async with await psycopg.AsyncConnection.connect(database) as conn:
        found = await conn.execute(
            "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables"
            " where schemaname not in ('pg_catalog', 'information_schema')"
        )
        for (table,) in await found.fetchall():
            async with conn.cursor().copy(f"copy {table} to stdout".encode()) as rows:
                whole += [bytes(part).decode() async for part in rows]
    return "".join(whole)
