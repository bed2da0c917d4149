"""Chat robots on a real socket: what they are told, what their answers mean, what is never shown."""

import base64
import hashlib
import hmac
import json
import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadInput
from hub.model import Exercise
from hub.notify import Channel, Outcome, Receipt, deliver, open_channel, parse_settings
from hub.notify.robots import said
from hub.notify.wording import MARKS, brief
from hub.profiles import Title
from tests.notify.letters import MESSAGE
from tests.paging import Receiver, receiver

TOKEN, SIGNING = "hidden-token-0123", "SEChidden0secret"
OK = {
    "dingtalk": '{"errcode":0,"errmsg":"ok"}',
    "wecom": '{"errcode":0,"errmsg":"ok"}',
    "feishu": '{"code":0,"msg":"success","data":{}}',
}
KINDS = sorted(OK)
SIGNED = ["dingtalk", "feishu"]


def robot(kind: str, hook: Receiver, **more: Any) -> Channel:
    given = {"token": TOKEN, "base_url": f"http://127.0.0.1:{hook.port}", **more}
    return open_channel(kind, given, "here", allow_loopback=True)


def text(hook: Receiver, kind: str, n: int = 0) -> str:
    body = json.loads(hook.requests[n].body)
    if kind == "feishu":
        assert body["msg_type"] == "text"
        return str(body["content"]["text"])
    assert body["msgtype"] == "text"
    return str(body["text"]["content"])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_group_reads_what_where_when_and_what_to_do_first_in_chinese_and_english(kind: str) -> None:
    async with receiver(OK[kind]) as hook:
        assert await deliver(robot(kind, hook), MESSAGE) == Receipt(Outcome.DELIVERED, 0)
    read = text(hook, kind)
    for part in ("紧急按钮被按下", "星星托育园", "门厅 · 前台", "11-21 22:05:06", "立即到场并报警", MESSAGE.link):
        assert part in read
    assert read.index("紧急按钮被按下") < read.index("Panic button pressed")
    path = urlsplit(hook.requests[0].path)
    where = {"dingtalk": "/robot/send", "wecom": "/cgi-bin/webhook/send", "feishu": f"/open-apis/bot/v2/hook/{TOKEN}"}
    assert path.path == where[kind]
    assert (
        parse_qs(path.query) == {"dingtalk": {"access_token": [TOKEN]}, "wecom": {"key": [TOKEN]}, "feishu": {}}[kind]
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exercise", Exercise)
async def test_an_exercise_is_marked_in_title_and_text(kind: str, exercise: Exercise) -> None:
    async with receiver(OK[kind]) as hook:
        await deliver(robot(kind, hook), MESSAGE._replace(exercise=exercise))
    mark = MARKS[exercise]
    read = text(hook, kind).split("\n")
    assert read[0].startswith(f"【{mark.zh}】")
    assert f"请先：【{mark.zh}】" in read[2]
    assert read[4].startswith(f"[{mark.en}] ")
    assert f"Do first: [{mark.en}] " in read[6]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_group_is_told_no_persons_name_no_device_and_no_round(kind: str) -> None:
    async with receiver(OK[kind]) as hook:
        await deliver(
            robot(kind, hook),
            MESSAGE._replace(responder_title=Title(zh="王小明", en="Wang Xiaoming"), device="cam-of-li"),
        )
    for part in ("王小明", "Wang", "cam-of-li", "guard", "140403001"):
        assert part not in hook.requests[0].body.decode()


async def test_a_dingtalk_signature_is_over_milliseconds_and_secret_and_encoded_once() -> None:
    async with receiver(OK["dingtalk"]) as hook:
        await deliver(robot("dingtalk", hook, secret=SIGNING), MESSAGE)
    query = parse_qs(urlsplit(hook.requests[0].path).query)
    stamp = query["timestamp"][0]
    expected = hmac.digest(SIGNING.encode(), f"{stamp}\n{SIGNING}".encode(), hashlib.sha256)
    assert len(stamp) == 13
    assert base64.b64decode(query["sign"][0], validate=True) == expected


async def test_a_feishu_signature_has_seconds_and_secret_as_its_key() -> None:
    async with receiver(OK["feishu"]) as hook:
        await deliver(robot("feishu", hook, secret=SIGNING), MESSAGE)
    body = json.loads(hook.requests[0].body)
    expected = hmac.digest(f"{body['timestamp']}\n{SIGNING}".encode(), b"", hashlib.sha256)
    assert len(body["timestamp"]) == 10
    assert base64.b64decode(body["sign"], validate=True) == expected


@pytest.mark.parametrize(
    ("kind", "answer", "outcome", "code", "says"),
    [
        ("dingtalk", '{"errcode":310000,"errmsg":"sign not match"}', Outcome.FAILED, 310000, "security setting"),
        ("dingtalk", '{"errcode":130101,"errmsg":"send too fast"}', Outcome.FAILED, 130101, "too many"),
        ("wecom", '{"errcode":93000,"errmsg":"invalid webhook url"}', Outcome.FAILED, 93000, "key is not known"),
        ("wecom", '{"errcode":45009,"errmsg":"api freq out of limit"}', Outcome.FAILED, 45009, "too many"),
        ("wecom", '{"errcode":-1,"errmsg":"busy"}', Outcome.FAILED, -1, "did not send"),
        ("feishu", '{"code":19021,"msg":"sign match fail"}', Outcome.FAILED, 19021, "signature"),
        ("feishu", '{"StatusCode":0,"StatusMessage":"success"}', Outcome.DELIVERED, 0, ""),
        ("feishu", "200", Outcome.FAILED, 200, "does not say"),
        ("wecom", '{"errmsg":"ok"}', Outcome.FAILED, 200, "does not say"),
        ("wecom", '{"errcode":"0"}', Outcome.FAILED, 200, "does not say"),
        ("wecom", '{"errcode":false}', Outcome.FAILED, 200, "does not say"),
        ("wecom", "[0]", Outcome.FAILED, 200, "does not say"),
        ("dingtalk", "502", Outcome.FAILED, 502, "did not take it"),
        ("dingtalk", "redirect", Outcome.FAILED, 307, "redirects"),
        ("dingtalk", "reset", Outcome.FAILED, None, "broke"),
    ],
)
async def test_an_error_inside_a_200_is_no_delivery_and_its_code_is_in_the_receipt(
    kind: str, answer: str, outcome: Outcome, code: int | None, says: str
) -> None:
    async with receiver(answer) as hook:
        receipt = await deliver(robot(kind, hook), MESSAGE)
    assert (receipt.outcome, receipt.code) == (outcome, code)
    assert says in receipt.detail
    for theirs in ("sign not match", "invalid webhook", "answer-body"):
        assert theirs not in receipt.detail


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["errcode", "code", "x"]), x),
    ).map(lambda v: json.dumps(v).encode())
)
def test_no_answer_that_does_not_say_zero_is_a_delivery(body: bytes) -> None:
    assert said(body, {}).outcome is Outcome.FAILED


def test_numbers_nested_too_deep_or_too_long_are_an_answer_that_says_nothing() -> None:
    for body in (b"[" * 100_000, b'{"errcode":' + b"9" * 4000 + b"}", b'{"errcode":1e999}'):
        assert said(body, {}).outcome is Outcome.FAILED


@given(
    st.text(min_size=1, max_size=400),
    st.text(min_size=1, max_size=400),
    st.text(min_size=1, max_size=400),
    st.sampled_from([None, *Exercise]),
)
def test_a_text_fits_and_keeps_its_mark_and_its_link(
    title: str, response: str, place: str, exercise: Exercise | None
) -> None:
    words = [
        Title.model_construct(zh=part.encode(errors="replace").decode(), en=part.encode(errors="replace").decode() * 2)
        for part in (title, response, place)
    ]
    message = MESSAGE._replace(
        title=words[0], response=words[1], place=words[2], institution_title=words[2], exercise=exercise
    )
    read = brief(message, 2048)
    assert len(read.encode()) <= 2048
    assert read.endswith(MESSAGE.link)
    if exercise is not None:
        assert read.startswith(f"【{MARKS[exercise].zh}】")
        assert f"\n[{MARKS[exercise].en}] " in read


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "token: Field required"),
        ({"token": f"https://oapi.example/robot/send?access_token={TOKEN}"}, "token: letters"),
        ({"token": "short"}, "token: letters"),
        ({"token": TOKEN, "base_url": "http://oapi.example"}, "base_url: https"),
        ({"token": TOKEN, "base_url": f"https://oapi.example/{TOKEN}"}, "base_url: scheme"),
        ({"token": TOKEN, "base_url": f"https://{TOKEN}@oapi.example"}, "base_url: scheme"),
        ({"token": TOKEN, "hidden": 1}, "hidden: Extra"),
    ],
)
def test_settings_that_do_not_hold_are_refused_by_key_without_their_values(
    kind: str, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        parse_settings(kind, settings, "responder duty: channels.group")
    assert TOKEN not in str(caught.value)


async def test_a_hub_that_allows_no_loopback_does_not_speak_to_itself() -> None:
    async with receiver(OK["wecom"]) as hook:
        channel = open_channel(
            "wecom", {"token": TOKEN, "base_url": f"http://127.0.0.1:{hook.port}"}, "here", allow_loopback=False
        )
        assert (await deliver(channel, MESSAGE)).outcome is Outcome.REFUSED
    assert hook.requests == []


@pytest.mark.parametrize("kind", KINDS)
async def test_no_token_and_no_secret_is_in_any_receipt_log_or_repr(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    more = {"secret": SIGNING} if kind in SIGNED else {}
    settings = parse_settings(kind, {"token": TOKEN, **more}, "here")
    seen = [repr(settings), str(settings), repr(settings.shown()), settings.model_dump_json()]
    for answer in (OK[kind], '{"errcode":1,"code":1}', "500", "reset", "redirect"):
        async with receiver(answer) as hook:
            sender = robot(kind, hook, **more)
            seen += [repr(sender), repr(await deliver(sender, MESSAGE))]
    seen += [record.getMessage() for record in caplog.records]
    for part in seen:
        assert TOKEN not in part
        assert SIGNING not in part
