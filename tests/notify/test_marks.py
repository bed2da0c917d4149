"""The mark of an exercise: in title and text of every renderer, in both languages, and what cannot carry it sends nothing."""

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.model import Exercise, SignalClass
from hub.notify import Message, Outcome, Receipt, deliver, open_channel
from hub.notify.message import Listed, Purpose
from hub.notify.siren import SirenSettings
from hub.notify.telephony import spoken
from hub.notify.wording import MARKS, body, brief, headline, instruction, subject
from hub.profiles import Title
from tests.notify.letters import MESSAGE

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=400)


class Recorder:
    """A channel that keeps what it is given."""

    carries_marks: ClassVar[bool] = True

    def __init__(self) -> None:
        self.sent: list[Message] = []

    async def send(self, message: Message) -> Receipt:
        self.sent.append(message)
        return Receipt(Outcome.DELIVERED)


class Bell(Recorder):
    """One that can only ring."""

    carries_marks: ClassVar[bool] = False


def test_a_drill_is_called_one_and_everything_else_that_is_not_real_is_called_a_test() -> None:
    assert set(MARKS) == set(Exercise)
    assert MARKS[Exercise.DRILL] == Title(zh="演练", en="DRILL")
    assert {MARKS[kind] for kind in set(Exercise) - {Exercise.DRILL}} == {Title(zh="测试", en="TEST")}


@given(st.sampled_from(Exercise), WORDS, WORDS)
def test_every_text_of_an_exercise_begins_with_its_mark_in_both_languages(kind: Exercise, zh: str, en: str) -> None:
    words = Title.model_construct(zh=zh, en=en)
    message = MESSAGE._replace(exercise=kind, title=words, response=words)
    mark = MARKS[kind]
    for shown in (headline(message), instruction(message)):
        assert shown.zh == f"【{mark.zh}】{zh}"
        assert shown.en == f"[{mark.en}] {en}"
    line = subject(message)
    assert line.startswith(f"【{mark.zh}】")
    assert f" / [{mark.en}] " in line
    text = body(message)
    assert text.startswith(f"【{mark.zh}】")
    assert f"\n[{mark.en}] " in text
    assert f"请先：【{mark.zh}】" in text
    assert f"Do first: [{mark.en}] " in text


def test_a_real_alarm_bears_no_mark() -> None:
    for text in (subject(MESSAGE), body(MESSAGE), headline(MESSAGE).zh, instruction(MESSAGE).en):
        for mark in MARKS.values():
            assert mark.zh not in text
            assert mark.en not in text


@pytest.mark.parametrize("kind", [None, *Exercise])
async def test_what_cannot_carry_a_mark_is_sent_only_what_is_real(kind: Exercise | None) -> None:
    bell, recorder = Bell(), Recorder()
    message = MESSAGE._replace(exercise=kind)
    assert (await deliver(recorder, message)).outcome is Outcome.DELIVERED
    assert recorder.sent == [message]
    receipt = await deliver(bell, message)
    if kind is None:
        assert bell.sent == [message]
    else:
        assert bell.sent == []
        assert receipt.outcome is Outcome.REFUSED
        assert "cannot say that it is an exercise" in receipt.detail


async def test_a_sink_takes_exercises_and_refuses_what_is_real() -> None:
    channel = open_channel("sink", {}, "channel proof-sink/sink", allow_loopback=False)
    for kind in Exercise:
        assert (await deliver(channel, MESSAGE._replace(exercise=kind))).outcome is Outcome.DELIVERED
    assert (await deliver(channel, MESSAGE)).outcome is Outcome.REFUSED


@pytest.mark.parametrize("kind", [None, *Exercise])
def test_a_reminder_says_so_everywhere_and_names_its_owner_to_nobody_but_a_reader_of_his_own(
    kind: Exercise | None,
) -> None:
    message = MESSAGE._replace(exercise=kind, purpose=Purpose.REMINDER, owner="王小明")
    assert "王小明" in body(message)
    spoken_words = spoken(message, ["title", "response"], 35)
    for text in (brief(message, 2048), " ".join(spoken_words)):
        assert "仍在处置吗" in text
        assert "已接警" in text
        assert "王小明" not in text
    if kind is not None:
        assert brief(message, 2048).startswith(f"【{MARKS[kind].zh}】")
        assert all(word.startswith(MARKS[kind].zh) for word in spoken_words)


def test_a_digest_says_how_many_of_how_many_institutions_which_and_what_to_do_first_wherever_it_is_read() -> None:
    houses = [Title(zh=f"第{n}托育园" + "很长的名字" * 9, en=f"Nursery {n} with a long name") for n in range(10)]
    lines = tuple(
        Listed(MESSAGE.alarm, MESSAGE.title, house, Title(zh="门厅", en="Entrance"), MESSAGE.priority)
        for house in houses
    )
    message = MESSAGE._replace(
        purpose=Purpose.DIGEST, listed=lines, listed_count=500, institution_title=houses[0], late=True
    )
    letter, group = body(message), brief(message, 2048)
    assert len(group.encode()) <= 2048
    assert group.endswith(MESSAGE.link)
    for text in (letter, group, subject(message)):
        assert "500 条告警" in text
        assert "500 alarms" in text
    for text in (subject(message), group):
        assert "等多家机构" in text
    assert "请先：立即到场并报警" in letter
    assert "请先：立即到场并报警" in group
    for house in houses:
        assert letter.count(f"{house.zh} 门厅 紧急按钮被按下\n") == 1
    assert "另有 490 条\n最重一条的地点：" in letter
    assert "其中：第0托育园" in group
    assert letter.index(MESSAGE.link) < letter.index("500 alarms"), "the link stands where a phone shows it"
    title, response = spoken(message, ["title", "response"], 35)
    assert title.startswith("（迟到）500 条告警"), "what is told first is not cut off"
    assert response == "立即到场并报警"
    one = message._replace(institution_title=houses[0], listed=lines[:1] * 7, listed_count=7)
    assert "等多家机构" not in body(one) + brief(one, 2048) + subject(one)
    assert spoken(MESSAGE, ["institution"], 35) == ["星星托育园"]


async def test_a_siren_is_sounded_by_a_page_alone() -> None:
    fire = MESSAGE._replace(signal_class=SignalClass.FIRE)
    sounded: list[Message] = []

    async def sound(edge: str, rule: str, message: Message) -> Receipt:
        sounded.append(message)
        return Receipt(Outcome.DELIVERED)

    horn = SirenSettings(edge="edge-1", rule="siren").channel(allow_loopback=False).through(sound)
    for purpose in set(Purpose) - {Purpose.PAGE}:
        assert (await deliver(horn, fire._replace(purpose=purpose))).outcome is Outcome.REFUSED
    assert sounded == []
    assert (await deliver(horn, fire)).outcome is Outcome.DELIVERED
    assert sounded == [fire]
