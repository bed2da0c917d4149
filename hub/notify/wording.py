"""A message in words for people, Chinese first, English second."""

from datetime import timedelta, timezone

from hub.model import Exercise, Priority, SignalClass
from hub.notify.message import Message, Purpose
from hub.profiles import Title

_BEIJING = timezone(timedelta(hours=8), "UTC+08:00")

CLASSES = {
    SignalClass.FIRE: Title(zh="火警", en="fire"),
    SignalClass.PANIC: Title(zh="一键报警", en="panic"),
    SignalClass.INTRUSION: Title(zh="入侵", en="intrusion"),
    SignalClass.ACCESS: Title(zh="出入口", en="access"),
    SignalClass.SUPERVISORY: Title(zh="监管", en="supervisory"),
    SignalClass.FAULT: Title(zh="故障", en="fault"),
    SignalClass.COMMUNICATION: Title(zh="通信", en="communication"),
    SignalClass.CLOCK: Title(zh="时钟", en="clock"),
    SignalClass.COMPLIANCE: Title(zh="合规", en="compliance"),
}
PRIORITIES = {
    Priority.CRITICAL: Title(zh="紧急", en="critical"),
    Priority.HIGH: Title(zh="高", en="high"),
    Priority.MEDIUM: Title(zh="中", en="medium"),
    Priority.LOW: Title(zh="低", en="low"),
    Priority.JOURNAL: Title(zh="记录", en="journal"),
}

MARKS = {
    Exercise.DRILL: Title(zh="演练", en="DRILL"),
    Exercise.PROOF: Title(zh="测试", en="TEST"),
    Exercise.CANARY: Title(zh="测试", en="TEST"),
    Exercise.FUNCTION_TEST: Title(zh="测试", en="TEST"),
}


def marked(words: Title, exercise: Exercise | None) -> Title:
    """The words with the mark of the exercise before them, in both languages; as they are where it is real."""
    if exercise is None:
        return words
    mark = MARKS[exercise]
    # a title from a profile may be as long as a title may be: the mark is not cut off
    return Title.model_construct(zh=f"【{mark.zh}】{words.zh}", en=f"[{mark.en}] {words.en}")


def headline(message: Message) -> Title:
    """What the alarm is called, marked: no renderer shows `message.title` itself."""
    return marked(called(message), message.exercise)


def instruction(message: Message) -> Title:
    """What to do first, marked: no renderer shows `message.response` itself."""
    return marked(asked(message), message.exercise)


def called(message: Message) -> Title:
    """The title without its mark: a digest says how many, a reminder that somebody is asked."""
    title, count = message.title, message.listed_count
    if message.purpose is Purpose.DIGEST and count > 1:
        return Title.model_construct(zh=f"{count} 条告警：{title.zh} 等", en=f"{count} alarms: {title.en} and others")
    if message.purpose is Purpose.REMINDER:
        return Title.model_construct(zh=f"仍在处置吗？{title.zh}", en=f"Still on it? {title.en}")
    return title


def asked(message: Message, *, named: bool = True) -> Title:
    """What is to be done, without its mark, of a digest for its gravest alarm; not `named`: for a group or a phone that anybody may hear, the owner of an
    alarm is not called by name."""
    response, owner = message.response, message.owner if named else ""
    if message.purpose is Purpose.REMINDER:
        zh_text = f"{owner} 已接警。请确认仍在处置，否则将重新告警。{response.zh}".strip()
        return Title.model_construct(
            zh=zh_text,
            en=f"{owner or 'Somebody'} has taken it. Confirm that you are on it, or it is paged again. {response.en}",
        )
    return response


def where(message: Message) -> Title:
    """The institution; of a digest over several that it is not the only one."""
    title = message.institution_title
    if len({one.institution_title.zh for one in message.listed} | {title.zh}) == 1:
        return title
    return Title.model_construct(zh=f"{title.zh} 等多家机构", en=f"{title.en} and other institutions")


def listing(message: Message) -> tuple[list[str], list[str]]:
    """The alarms of a digest, a line each in Chinese and in English, the gravest first, and how many more there are; nothing for any other message."""
    if message.purpose is not Purpose.DIGEST or message.listed_count < 2:
        return [], []
    zh = [f"{one.institution_title.zh} {one.place.zh} {one.title.zh}" for one in message.listed]
    en = [f"{one.institution_title.en}, {one.place.en}: {one.title.en}" for one in message.listed]
    more = message.listed_count - len(message.listed)
    if message.listed and more > 0:
        zh, en = [*zh, f"另有 {more} 条"], [*en, f"and {more} more"]
    return zh, en


def subject(message: Message) -> str:
    """One line: class, institution, alarm, in both languages; never a line break."""
    kind = CLASSES[message.signal_class]
    mark = None if message.exercise is None else MARKS[message.exercise]
    words = called(message)
    place = where(message)
    zh, en = f"【{kind.zh}】{place.zh} {words.zh}", f"[{kind.en}] {place.en}: {words.en}"
    if mark is not None:
        zh, en = f"【{mark.zh}】{zh}", f"[{mark.en}] {en}"
    return " ".join(f"{zh} / {en}".split())


def body(message: Message) -> str:
    """Plain text: what, where, when, what to do first, how to acknowledge."""
    raised = message.raised_at.astimezone(_BEIJING).strftime("%Y-%m-%d %H:%M:%S")
    kind, priority = CLASSES[message.signal_class], PRIORITIES[message.priority]
    device = f"{message.device} {message.instance}".strip()
    late_zh = "（迟到的告警：断网期间产生）" if message.late else ""
    late_en = " (late: raised while the link was down)" if message.late else ""
    title, response = headline(message), instruction(message)
    listed_zh, listed_en = listing(message)
    # what follows is of one alarm: of a digest it is the gravest, and says so
    gravest = Title(zh="最重一条的", en="Of the gravest: ") if listed_zh else Title.model_construct(zh="", en="")
    zh = [
        f"{title.zh}{late_zh}",
        *listed_zh,
        f"{gravest.zh}地点：{message.institution_title.zh} {message.place.zh}",
        f"类别：{kind.zh}　优先级：{priority.zh}　触发次数：{message.occurrences}",
        f"时间：{raised}（北京时间）",
        f"设备：{device}",
        f"请先：{response.zh}",
        f"收件：{message.responder_title.zh}，第 {message.round} 轮第 {message.step} 步。接警后停止升级。",
    ]
    en = [
        f"{title.en}{late_en}",
        *listed_en,
        f"{gravest.en}{'where' if listed_en else 'Where'}: {message.institution_title.en}, {message.place.en}",
        f"Class: {kind.en}   Priority: {priority.en}   Occurrences: {message.occurrences}",
        f"When: {raised} (UTC+08:00)",
        f"Device: {device}",
        f"Do first: {response.en}",
        f"To: {message.responder_title.en}, round {message.round}, step {message.step}. Acknowledging stops the escalation.",
    ]
    link = ["", f"打开并接警 Open and acknowledge: {message.link}"] if message.link else []
    return "\n".join([*zh, *link, "", *en, "", f"alarm {message.alarm}", f"message {message.id}"]) + "\n"


def brief(message: Message, most: int) -> str:
    """What a group of people may read, at most `most` bytes of UTF-8 (at least 1,000): what, where, when, what to do first, the link. Nobody is
    named, no device and no number but the link's; the mark and the link are never cut off.
    """
    raised = message.raised_at.astimezone(_BEIJING).strftime("%m-%d %H:%M:%S")
    kind = CLASSES[message.signal_class]
    late = Title(zh="（迟到）", en=" (late)") if message.late else Title.model_construct(zh="", en="")
    listed_zh, listed_en = listing(message)
    others = where(message) != message.institution_title
    several = Title.model_construct(zh=" 等多家机构" if others else "", en=" and others" if others else "")
    length = 400
    while True:
        title = marked(_cut(called(message), length), message.exercise)
        response = _cut(asked(message, named=False), length)
        institution, place = _cut(message.institution_title, length), _cut(message.place, length)
        listed = _cut(Title.model_construct(zh="；".join(listed_zh), en="; ".join(listed_en)), 2 * length)
        lines = [
            f"{title.zh}{late.zh}",
            f"{kind.zh}｜{institution.zh} {place.zh}{several.zh}｜{raised}（北京时间）",
            f"请先：{marked(response, message.exercise).zh}",
            *([f"其中：{listed.zh}"] if listed.zh else []),
            "",
            f"{title.en}{late.en}",
            f"{kind.en} | {institution.en}, {place.en}{several.en} | {raised} (UTC+08:00)",
            f"Do first: {marked(response, message.exercise).en}",
            *([f"Among them: {listed.en}"] if listed.en else []),
            *([message.link] if message.link else []),
        ]
        text = "\n".join(lines)
        if len(text.encode()) <= most or length <= 10:
            return text
        length = length * 3 // 4


def _cut(words: Title, length: int) -> Title:
    zh, en = (" ".join(text.split()) for text in (words.zh, words.en))
    return Title.model_construct(
        zh=zh if len(zh) <= length else zh[: length - 1] + "…",
        en=en if len(en) <= 2 * length else en[: 2 * length - 1] + "…",
    )
