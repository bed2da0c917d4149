"""Webhooks on a real socket, checked by the independent verifier of Standard Webhooks."""

import asyncio
import base64
import gzip
import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from hub.errors import BadInput
from hub.model import SECOND, Exercise
from hub.notify import Outcome, Receipt, open_channel, parse_settings
from hub.notify.address import Peer
from hub.notify.posting import _post, post
from hub.notify.webhook import WebhookChannel, WebhookSettings
from tests.notify.letters import MESSAGE
from tests.paging import SECRET, Receiver, receiver

WHERE = "responder guard: channels.hook"


def channel(url: str, seconds: float = 20.0, *, allow_loopback: bool = True) -> WebhookChannel:
    settings = WebhookSettings.model_validate({"url": url, "secret": SECRET})
    return WebhookChannel(settings, allow_loopback=allow_loopback, seconds=seconds)


def verified(hook: Receiver, n: int = 0) -> Any:
    return Webhook(SECRET).verify(hook.requests[n].body, hook.requests[n].headers)


async def test_the_message_arrives_signed_with_all_that_a_platform_needs() -> None:
    async with receiver("200") as hook:
        assert await channel(hook.url).send(MESSAGE) == Receipt(Outcome.DELIVERED, 200)
    assert hook.requests[0].path == "/alarms?token=hidden-token"
    assert hook.requests[0].headers["host"] == f"127.0.0.1:{hook.port}"
    assert verified(hook) == {
        "type": "alarm.raised",
        "timestamp": "2026-11-21T14:05:06.700000Z",
        "data": {
            "alarm": "11111111-2222-5333-8444-555555555555",
            "institution": "star",
            "institution_title": {"zh": "星星托育园", "en": "Star nursery"},
            "division": "140403001",
            "place": {"zh": "门厅 · 前台", "en": "Entrance · Reception desk"},
            "device": "button-1",
            "definition": "pressed",
            "instance": "",
            "class": "panic",
            "priority": "critical",
            "state": "unack_active",
            "title": {"zh": "紧急按钮被按下", "en": "Panic button pressed"},
            "response": {"zh": "立即到场并报警", "en": "Go there at once and call the police"},
            "raised_at": "2026-11-21T14:05:06.700000Z",
            "occurrences": 2,
            "late": False,
            "responder": "guard",
            "round": 2,
            "step": 1,
            "repetition": 0,
            "link": "https://hub.example/alarms/11111111-2222-5333-8444-555555555555",
            "exercise": None,
        },
    }


@pytest.mark.parametrize(
    ("exercise", "zh", "en"), [("drill", "【演练】", "[DRILL] "), ("proof", "【测试】", "[TEST] ")]
)
async def test_an_exercise_is_a_message_of_another_type_with_its_mark_in_title_and_text(
    exercise: str, zh: str, en: str
) -> None:
    async with receiver() as hook:
        await channel(hook.url).send(MESSAGE._replace(exercise=Exercise(exercise)))
    document = verified(hook)
    assert (document["type"], document["data"]["exercise"]) == ("alarm.exercise", exercise)
    for words in (document["data"]["title"], document["data"]["response"]):
        assert words["zh"].startswith(zh)
        assert words["en"].startswith(en)


async def test_every_attempt_has_the_same_id_and_a_signature_that_holds() -> None:
    async with receiver("500", "200") as hook:
        await channel(hook.url).send(MESSAGE)
        await channel(hook.url).send(MESSAGE)
    assert hook.ids == [str(MESSAGE.id)] * 2
    assert verified(hook, 0) == verified(hook, 1)


async def test_a_body_that_was_changed_on_the_way_does_not_verify() -> None:
    async with receiver() as hook:
        await channel(hook.url).send(MESSAGE)
    hook.requests[0].body = hook.requests[0].body.replace(b"star", b"moon")
    with pytest.raises(WebhookVerificationError):
        verified(hook)


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        ("200", Outcome.DELIVERED, 200),
        ("202", Outcome.DELIVERED, 202),
        ("299", Outcome.DELIVERED, 299),
        ("400", Outcome.FAILED, 400),
        ("404", Outcome.FAILED, 404),
        ("410", Outcome.REFUSED, 410),
        ("429", Outcome.FAILED, 429),
        ("500", Outcome.FAILED, 500),
        ("503", Outcome.FAILED, 503),
        ("reset", Outcome.FAILED, None),
        ("nonsense", Outcome.FAILED, None),
    ],
)
async def test_only_2xx_is_delivered_and_410_gives_up(answer: str, outcome: Outcome, code: int | None) -> None:
    async with receiver(answer) as hook:
        receipt = await channel(hook.url).send(MESSAGE)
    assert (receipt.outcome, receipt.code) == (outcome, code)
    assert len(hook.requests) == 1
    assert "answer-body" not in receipt.detail


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        ("429 x\r\nretry-after: 7\r\nx-y:", 7 * SECOND),
        ("503 x\r\nretry-after: 120\r\nx-y:", 120 * SECOND),
        ("429", None),
        ("429 x\r\nretry-after: Fri, 31 Dec 2027 23:59:59 GMT\r\nx-y:", None),
        ("429 x\r\nretry-after: -1\r\nx-y:", None),
        ("429 x\r\nretry-after: 9999999999999\r\nx-y:", None),
        ("200 x\r\nretry-after: 7\r\nx-y:", None),
    ],
)
async def test_who_asks_to_be_left_alone_for_some_seconds_is(answer: str, wait: int | None) -> None:
    async with receiver(answer) as hook:
        receipt = await channel(hook.url).send(MESSAGE)
    assert receipt.retry_after == wait


async def test_addresses_that_do_not_answer_leave_time_for_the_one_that_does() -> None:
    async with receiver() as hook:
        with ExitStack() as stack:
            peers = [Peer(socket.AF_INET, f"127.0.0.{n}", hook.port) for n in (11, 12, 13, 14)]
            for peer in peers:
                stack.enter_context(full(peer.address, peer.port))
            url = httpx.URL(f"http://anywhere.example:{hook.port}/")
            async with asyncio.timeout(5):
                answer = await _post([*peers, Peer(socket.AF_INET, "127.0.0.1", hook.port)], url, b"{}", {}, 5, 0, None)
    assert answer.status == 204


@contextmanager
def full(host: str, port: int) -> Iterator[None]:
    """An address at which nobody is accepted and nobody refused."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind((host, port))
        server.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((host, port))
        yield


async def test_an_answer_that_would_unpack_to_a_thousand_times_its_size_is_not_unpacked() -> None:
    bomb = gzip.compress(b"0" * 30_000_000)
    said: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await reader.readuntil(b"\r\n\r\n"))
        head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n\r\n"
        writer.write(head.encode() + bomb)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = httpx.URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        answer = await post(url, b"", {}, allow_loopback=True, seconds=10, read=4096)
    assert not isinstance(answer, Receipt)
    assert answer.body == bomb[:4096]
    assert b"accept-encoding: identity" in said[0].lower()


async def test_a_redirect_is_not_followed() -> None:
    async with receiver("redirect") as hook:
        receipt = await channel(hook.url).send(MESSAGE)
    assert (receipt.outcome, receipt.code) == (Outcome.FAILED, 307)
    assert [request.path for request in hook.requests] == ["/alarms?token=hidden-token"]


@pytest.mark.parametrize("answer", ["hang", "drip"])
async def test_a_receiver_that_hangs_or_drips_costs_no_more_than_the_time_limit(answer: str) -> None:
    async with receiver(answer) as hook:
        started = asyncio.get_running_loop().time()
        receipt = await channel(hook.url, seconds=0.2).send(MESSAGE)
        took = asyncio.get_running_loop().time() - started
    assert receipt == Receipt(Outcome.FAILED, None, "no answer within 0.2 s")
    assert took < 10


async def test_an_answer_without_end_is_not_read() -> None:
    async with receiver("endless") as hook:
        assert await channel(hook.url, seconds=10).send(MESSAGE) == Receipt(Outcome.DELIVERED, 200)


async def test_where_nobody_listens_there_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert await channel(f"http://127.0.0.1:{port}/").send(MESSAGE) == Receipt(Outcome.FAILED, None, "no connection")


async def test_https_to_a_plain_server_says_that_tls_does_not_hold() -> None:
    async with receiver() as hook:
        receipt = await channel(hook.url.replace("http:", "https:"), seconds=2).send(MESSAGE)
    assert receipt.outcome is Outcome.FAILED
    assert hook.requests == []


async def test_loopback_is_refused_unless_the_hub_allows_it() -> None:
    async with receiver() as hook:
        receipt = await channel(hook.url, allow_loopback=False).send(MESSAGE)
    assert receipt == Receipt(Outcome.REFUSED, None, "the address is one that notifications may not go to")
    assert hook.requests == []


async def test_the_machines_proxy_settings_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver() as proxy, receiver() as hook:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await channel(hook.url).send(MESSAGE)).outcome is Outcome.DELIVERED
    assert (len(hook.requests), proxy.requests) == (1, [])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": "https://a.example/"}, "secret: Field required"),
        ({"url": "ftp://a.example/", "secret": SECRET}, "url: .*http"),
        ({"url": "https://", "secret": SECRET}, "url: .*host"),
        ({"url": "https://me:hidden-token@a.example/", "secret": SECRET}, "url: .*user"),
        ({"url": "https://a.example/", "secret": "whsec_c2hvcnQ="}, "secret: .*24 to 64"),
        ({"url": "https://a.example/", "secret": "hidden-token"}, "secret: .*whsec_"),
        ({"url": "https://a.example/", "secret": SECRET, "hidden": 1}, "hidden: Extra"),
    ],
)
def test_settings_that_do_not_hold_are_refused_by_key_and_without_their_values(
    settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        parse_settings("webhook", settings, WHERE)
    assert str(caught.value).startswith(WHERE)
    for secret in ("hidden-token", SECRET, "c2hvcnQ"):
        assert secret not in str(caught.value)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BadInput, match="no channel kind 'pigeon': it is one of webhook, smtp"):
        open_channel("pigeon", {}, WHERE, allow_loopback=False)


async def test_no_secret_is_in_any_receipt_log_or_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = parse_settings("webhook", {"url": "https://a.example/hidden-token", "secret": SECRET}, WHERE)
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    seen = [repr(settings), str(settings), repr(settings.shown())]
    for answer in ("500", "410", "reset", "redirect", "200", "hang"):
        async with receiver(answer) as hook:
            sender = channel(hook.url, seconds=0.2)
            seen += [repr(sender), repr(await sender.send(MESSAGE))]
    seen += [record.getMessage() for record in caplog.records]
    for text in seen:
        assert SECRET not in text
        assert "hidden-token" not in text
        assert str(key) not in text
    assert settings.shown() == {"url": "https://a.example/…", "secret": "***"}
