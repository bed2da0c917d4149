"""Mail to a real SMTP server: what is written, what the relay's answers mean, TLS and login."""

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from hub.errors import BadInput
from hub.model import SignalClass
from hub.notify import Outcome, Receipt, parse_settings
from hub.notify.smtp import SmtpChannel, SmtpSettings
from hub.notify.wording import CLASSES, PRIORITIES, body, subject
from hub.profiles import Title
from tests.mailboxes import PASSWORD, USER, certificate, mailbox
from tests.notify.letters import MESSAGE
from tests.paging import smtp

WHERE = "responder head: channels.mail"


def channel(port: int, seconds: float = 20.0, *, allow_loopback: bool = True, **more: Any) -> SmtpChannel:
    settings = SmtpSettings.model_validate(smtp(port, **more)["settings"])
    return SmtpChannel(settings, allow_loopback=allow_loopback, seconds=seconds)


async def test_a_mail_arrives_in_chinese_and_english() -> None:
    async with mailbox() as box:
        recipients = ["duty@anxin.test", "head@anxin.test"]
        assert await channel(box.port, recipients=recipients).send(MESSAGE) == Receipt(Outcome.DELIVERED, 250)
    (mail,) = box.mails
    assert box.envelopes == [("hub@anxin.test", recipients)]
    assert mail["Subject"] == "【一键报警】星星托育园 紧急按钮被按下 / [panic] Star nursery: Panic button pressed"
    assert mail["Message-ID"] == f"<{MESSAGE.id}@anxin.test>"
    assert mail["Importance"] == "high"
    text = mail.get_content()
    assert text.index("紧急按钮被按下") < text.index("Panic button pressed")
    assert "地点：星星托育园 门厅 · 前台" in text
    assert "时间：2026-11-21 22:05:06（北京时间）" in text
    assert "请先：立即到场并报警" in text
    assert "Do first: Go there at once and call the police" in text
    assert MESSAGE.link in text


def test_a_title_with_a_line_break_cannot_add_a_header() -> None:
    evil = MESSAGE._replace(title=Title(zh="火\r\nBcc: all@anxin.test", en="fire\nBcc: all@anxin.test"))
    assert "\n" not in subject(evil)
    assert "\r" not in subject(evil)


def test_a_late_alarm_says_so_and_every_class_and_priority_has_words() -> None:
    late = body(MESSAGE._replace(late=True, link=""))
    assert "迟到的告警" in late
    assert "late: raised while the link was down" in late
    assert set(CLASSES) == set(SignalClass)
    assert len({title.zh for title in CLASSES.values()}) == len(CLASSES)
    assert len(PRIORITIES) == 5


@pytest.mark.parametrize(
    ("answers", "outcome", "code"),
    [
        (["rcpt 550 no such user"], Outcome.REFUSED, 550),
        (["rcpt 450 busy"], Outcome.FAILED, 450),
        (["data 554 spam"], Outcome.REFUSED, 554),
        (["data 451 later"], Outcome.FAILED, 451),
        ([], Outcome.DELIVERED, 250),
    ],
)
async def test_a_final_no_gives_up_and_a_passing_one_is_tried_again(
    answers: list[str], outcome: Outcome, code: int
) -> None:
    async with mailbox(*answers) as box:
        receipt = await channel(box.port).send(MESSAGE)
    assert (receipt.outcome, receipt.code) == (outcome, code)
    assert "no such user" not in receipt.detail


async def test_a_mail_that_reaches_one_of_two_is_delivered_and_says_so() -> None:
    async with mailbox("rcpt 550 no such user") as box:
        receipt = await channel(box.port, recipients=["gone@anxin.test", "duty@anxin.test"]).send(MESSAGE)
    assert receipt == Receipt(Outcome.DELIVERED, 250, "1 of 2 recipients refused")
    assert box.envelopes == [("hub@anxin.test", ["duty@anxin.test"])]


async def test_a_relay_that_hangs_costs_no_more_than_the_time_limit() -> None:
    async with mailbox("hang") as box:
        started = asyncio.get_running_loop().time()
        receipt = await channel(box.port, seconds=0.3).send(MESSAGE)
        assert asyncio.get_running_loop().time() - started < 10
    assert receipt.outcome is Outcome.FAILED
    assert receipt.code is None


async def test_where_nobody_listens_there_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert await channel(port).send(MESSAGE) == Receipt(Outcome.FAILED, None, "no connection to the relay")


async def test_loopback_is_refused_unless_the_hub_allows_it() -> None:
    async with mailbox() as box:
        receipt = await channel(box.port, allow_loopback=False).send(MESSAGE)
    assert receipt.outcome is Outcome.REFUSED
    assert box.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_mail_goes_through_tls_with_a_login(security: str, tmp_path: Path) -> None:
    files = certificate(tmp_path, "127.0.0.1", "localhost")
    async with mailbox(security=security, files=files, login=True) as box:
        more: dict[str, Any] = {"security": security, "username": USER, "password": PASSWORD, "ca_file": str(files[0])}
        assert await channel(box.port, **more).send(MESSAGE) == Receipt(Outcome.DELIVERED, 250)
    assert len(box.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_relay_whose_certificate_does_not_hold_gets_neither_mail_nor_password(
    security: str, tmp_path: Path
) -> None:
    files = certificate(tmp_path, "other.test")
    async with mailbox(security=security, files=files, login=True) as box:
        more: dict[str, Any] = {"security": security, "username": USER, "password": PASSWORD, "ca_file": str(files[0])}
        receipt = await channel(box.port, **more).send(MESSAGE)
    assert receipt.outcome is Outcome.FAILED
    assert box.mails == []


async def test_a_relay_without_starttls_gets_no_mail_when_starttls_is_asked_for() -> None:
    async with mailbox() as box:
        receipt = await channel(box.port, security="starttls").send(MESSAGE)
    assert receipt.outcome is Outcome.FAILED
    assert box.mails == []


async def test_a_wrong_password_is_tried_again_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    files = certificate(tmp_path, "127.0.0.1")
    async with mailbox(security="starttls", files=files, login=True) as box:
        more: dict[str, Any] = {
            "security": "starttls",
            "username": USER,
            "password": "hidden-wrong",
            "ca_file": str(files[0]),
        }
        sender = channel(box.port, **more)
        receipt = await sender.send(MESSAGE)
    assert (receipt.outcome, receipt.code, receipt.detail) == (
        Outcome.FAILED,
        535,
        "the relay does not accept the login",
    )
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("mail")]
    for text in (repr(receipt), repr(sender), *ours):
        assert "hidden-wrong" not in text


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"username": USER, "password": "hidden"}, "without TLS"),
        ({"username": USER}, "together"),
        ({"recipients": []}, "recipients"),
        ({"recipients": ["a@b\r\nBcc: c@d"]}, "recipients"),
        ({"sender": "hub"}, "sender"),
        ({"host": "relay\r\n"}, "host"),
        ({"port": 0}, "port"),
        ({"hidden": 1}, "hidden"),
    ],
)
def test_settings_that_do_not_hold_are_refused_by_key(more: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        parse_settings("smtp", smtp(25)["settings"] | more, WHERE)
    assert str(caught.value).startswith(WHERE)


def test_a_password_is_not_in_what_settings_look_like() -> None:
    more = {"security": "tls", "username": USER, "password": PASSWORD}
    settings = parse_settings("smtp", smtp(465, **more)["settings"], WHERE)
    assert PASSWORD not in f"{settings!r} {settings} {settings.shown()}"
    assert settings.shown()["password"] == "***"
