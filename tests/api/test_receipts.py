"""A provider that calls back says what became of a call, and nobody else can."""

import json
import secrets
from typing import Any

import pytest
from psycopg.rows import dict_row

from hub.notify.tencent import TencentVoiceSettings
from tests.api.conftest import City
from tests.notify.test_telephony import ID, KEY, NUMBER, SETTINGS

SECRET = "made-by-chance-0123456789-abcdefghij"


@pytest.fixture
async def called(city: City) -> City:
    """Tenant a's one message went out as a call that Tencent names `call-7`."""
    settings = {"number": NUMBER, "template": "1234", **SETTINGS["voice_tencent"], "callback_secret": SECRET}
    await city.conn.execute(
        "update responder_channel c set kind = 'voice_tencent', settings = %s from notification n"
        " where n.alarm = %s and c.responder = n.responder and c.id = n.channel",
        (json.dumps(settings), city.a.alarm),
    )
    await city.conn.execute("delete from attempt")
    await city.conn.execute(
        "insert into attempt (notification, n, outcome, provider_id, ask_at)"
        " select id, 1, 'delivered', 'call-7', now() from notification where alarm = %s",
        (city.a.alarm,),
    )
    await city.conn.execute("update notification set state = 'sent', ended_at = now()")
    return city


async def post(city: City, document: Any, secret: str = SECRET) -> int:
    async with city.client(None) as client:
        answer = await client.post(f"/receipts/tencent/{secret}", json=document)
    if answer.status_code == 200:
        assert answer.json() == {"result": 0, "errmsg": "OK"}
    return answer.status_code


def prompt(result: str, callid: str = "call-7") -> dict[str, Any]:
    return {"voiceprompt_callback": {"result": result, "callid": callid, "mobile": NUMBER, "nationcode": "86"}}


def key(pressed: str) -> dict[str, Any]:
    return {"voicekey_callback": {"callid": "call-7", "keypress": pressed, "mobile": NUMBER, "nationcode": "86"}}


async def known(city: City) -> tuple[Any, ...]:
    async with city.conn.cursor(row_factory=dict_row) as cur:
        await cur.execute("select receipt, receipt_detail, ask_at is not null as open from attempt")
        (row,) = await cur.fetchall()
    return tuple(row.values())


async def test_an_answered_call_arrived_and_the_key_that_was_pressed_is_shown_in_the_alarms_history(
    called: City,
) -> None:
    assert await post(called, prompt("0")) == 200
    assert await known(called) == ("arrived", "answered", False)
    assert await post(called, key("1")) == 200
    assert await known(called) == ("arrived", "answered, key 1 was pressed", False)
    assert await post(called, prompt("0")) == 200  # said once more: the key stays
    assert await post(called, prompt("1")) == 200  # and what arrived does not become lost
    async with called.client() as client:
        shown = (await client.get(f"/alarms/{called.a.alarm}")).json()
    (attempt,) = shown["notifications"][0]["attempts"]
    assert (attempt["receipt"], attempt["receipt_detail"]) == ("arrived", "answered, key 1 was pressed")


async def test_a_call_that_nobody_answered_reached_nobody(called: City) -> None:
    assert await post(called, prompt("1")) == 200
    assert await known(called) == ("not_arrived", "nobody answered the call", False)


async def test_who_was_unknown_after_an_hour_may_still_be_told_of(called: City) -> None:
    await called.conn.execute("update attempt set receipt = 'unknown', receipt_at = now()")
    assert await post(called, prompt("0")) == 200
    assert (await known(called))[0] == "arrived"


@pytest.mark.parametrize(
    "secret", ["x", "made-by-chance-0123456789-abcdefghik", SECRET + "x", SECRET.upper(), "%00" * 20]
)
async def test_who_does_not_know_the_secret_says_nothing_and_is_told_nothing(called: City, secret: str) -> None:
    assert await post(called, prompt("0"), secret) in (404, 422)
    assert await post(called, prompt("0", "call-8")) == 404  # nor is there a call of that name
    assert await known(called) == (None, "", True)


async def test_a_channel_without_a_secret_and_one_of_another_kind_cannot_be_called_back(called: City) -> None:
    await called.conn.execute("update responder_channel set settings = settings - 'callback_secret'")
    assert await post(called, prompt("0")) == 404
    await called.conn.execute("update responder_channel set kind = 'webhook'")
    assert await post(called, prompt("0")) == 404
    assert (await known(called))[0] is None


@pytest.mark.parametrize("document", [None, [], {}, {"voiceprompt_callback": {"callid": 7}}, {"x": "y"}])
async def test_what_is_no_report_changes_nothing(called: City, document: Any) -> None:
    assert await post(called, document) in (200, 422)
    assert (await known(called))[0] is None


async def test_no_number_and_no_secret_is_kept_or_told(called: City) -> None:
    assert await post(called, prompt("1")) == 200
    for table in ("attempt", "notification", "change", "audit"):
        for (row,) in await (await called.conn.execute(f"select t::text from {table} t")).fetchall():
            assert not any(secret in row for secret in (NUMBER, ID, KEY, SECRET))


def test_a_secret_that_could_be_guessed_is_refused_and_shown_to_nobody() -> None:
    given = {"number": NUMBER, "template": "1234", **SETTINGS["voice_tencent"]}
    with pytest.raises(ValueError, match="letters, digits"):
        TencentVoiceSettings.model_validate(given | {"callback_secret": "short"})
    made = secrets.token_urlsafe(32)
    settings = TencentVoiceSettings.model_validate(given | {"callback_secret": made})
    assert made not in repr(settings)
    assert made not in str(settings.shown())
