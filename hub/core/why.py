"""Why an alarm stood, why somebody was told, why nobody was: an explanation that can be replayed for any past moment. Pure.

`explain` is given all that is stored about one alarm and a moment; it uses only what had happened by then, so that the same question asked
later gets the same answer. The conclusion is never empty: for every state there is one reason that decided, the others stand below it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hub.core.alarms import AlarmEvent, AlarmState
from hub.core.hidings import HIDES, SHOWS
from hub.model import LIFE_SAFETY, Exercise, Micros, Priority, SignalClass

_HIDDEN: Mapping[str, tuple[str, str]] = {
    "shelved": ("有人搁置了它", "a person shelved it"),
    "suppressed": ("另一条告警（根因）解释了它", "another alarm, its root, explains it"),
    "held": ("通知被暂缓", "its paging is held"),
    "out_of_service": ("设备已停用", "the device is out of service"),
}
_STATES: Mapping[str, tuple[str, str]] = {
    AlarmState.NORMAL: ("已结束", "it had ended"),
    AlarmState.UNACK_ACTIVE: ("未接警，条件成立", "nobody had acknowledged it and its condition held"),
    AlarmState.ACK_ACTIVE: ("已接警，条件成立", "it was acknowledged and its condition held"),
    AlarmState.UNACK_CLEARED: ("未接警，已恢复", "nobody had acknowledged it, and its condition was gone"),
    AlarmState.LATCHED_UNACK: (
        "未接警，已恢复，待复位",
        "nobody had acknowledged it; its condition was gone, and it latches",
    ),
    AlarmState.LATCHED_ACK: (
        "已接警，已恢复，待复位",
        "it was acknowledged; its condition was gone, and it waited for a reset",
    ),
}
_OWNED = frozenset({AlarmState.ACK_ACTIVE, AlarmState.LATCHED_ACK})


class Fact(NamedTuple):
    """One thing that is known, in both languages, with its time and what it is known by."""

    at: Micros | None
    kind: str
    zh: str
    en: str
    evidence: Mapping[str, object] = {}


class Explanation(NamedTuple):
    """The answer: what decided, and every fact that it rests on, in the order of time."""

    at: Micros
    state: str
    """of the alarm then; `none` before it was raised"""
    paged: bool
    """whether anybody had been told by then"""
    conclusion: Fact
    facts: tuple[Fact, ...]


class Moved(NamedTuple):
    """One row of the alarm's history."""

    event: str
    to_state: str
    at: Micros
    actor: str
    note: str


class Told(NamedTuple):
    """One attempt at one notification; `outcome` as stored (`sending` while nothing is known)."""

    responder: str
    channel: str
    kind: str
    at: Micros
    outcome: str
    detail: str
    receipt: str | None
    """what the provider said later: arrived, not_arrived or unknown"""
    receipt_at: Micros | None = None
    receipt_detail: str = ""


class Planned(NamedTuple):
    """One step of the escalation as written."""

    round: int
    step: int
    target: str
    due_at: Micros
    ended_at: Micros | None
    fault: str
    unreached_at: Micros | None = None
    """when it was known that no page of it had arrived"""
    rota: bool = False
    """the target is a duty post"""
    on_duty: tuple[str, ...] = ()
    """who had it when the step was done, by what was known then"""


class Followed(NamedTuple):
    """By which policy, and which version of it, the escalation went from `round` on."""

    at: Micros
    round: int
    policy: str
    version: int | None


class Edited(NamedTuple):
    """Somebody changed whom it goes by while it was under way; `thing` is policy, rota or swap."""

    at: Micros
    thing: str
    name: str
    actor: str
    version: int


class Waiting(NamedTuple):
    """A notification that was written and not yet attempted, or given up."""

    responder: str
    channel: str
    created_at: Micros
    ended_at: Micros | None
    state: str
    reason: str


class Story(NamedTuple):
    """All that is stored about an alarm."""

    signal_class: SignalClass
    priority: Priority
    exercise: Exercise | None
    raised_at: Micros
    received_at: Micros
    late: bool
    stale: bool
    root: str
    """what its root alarm is, for people; empty without one"""
    condition: tuple[str, str]
    """what makes it true, in both languages; empty where the profile is not installed any more"""
    seen: tuple[Micros, str] | None
    """the reading or event that made it true: its time, and what it said"""
    history: Sequence[Moved]
    escalation: str
    """running, stopped, exhausted, uncovered, or empty where none was begun"""
    begun_at: Micros | None
    ended_at: Micros | None
    policy: str
    reason: str
    steps: Sequence[Planned]
    attempts: Sequence[Told]
    waiting: Sequence[Waiting]
    version: int | None = None
    """of the policy by which it goes, or went last"""
    course: Sequence[Followed] = ()
    """where that has changed: all of them, the first too"""
    edits: Sequence[Edited] = ()


def explain(story: Story, at: Micros) -> Explanation:
    """Why it was at `at` as it was, and why somebody or nobody had been told by then."""
    history = [row for row in story.history if row.at <= at]
    told = [_known(row, at) for row in story.attempts if row.at <= at]
    hidden = _hidden(history)
    state = history[-1].to_state if history else "none"
    facts = [*_cause(story, at), *_history(history), *_paging(story, at, told)]
    facts.sort(key=lambda fact: (fact.at is not None, fact.at or 0))
    return Explanation(
        at, state, any(map(_reached, told)), _conclusion(story, at, state, history, hidden, told), tuple(facts)
    )


def _known(row: Told, at: Micros) -> Told:
    """The attempt as it was known at `at`."""
    is_known = row.receipt is not None and (row.receipt_at is None or row.receipt_at <= at)
    return row if is_known else row._replace(receipt=None, receipt_at=None, receipt_detail="")


def _reached(row: Told) -> bool:
    """Whether it was taken and nothing says that it did not arrive."""
    return row.outcome == "delivered" and row.receipt != "not_arrived"


def _hidden(history: Sequence[Moved]) -> dict[str, Moved]:
    """What hid it after these rows, with the row that began it."""
    hidden: dict[str, Moved] = {}
    for row in history:
        if row.event in HIDES:
            hidden[HIDES[row.event]] = row
        elif row.event in SHOWS:
            hidden.pop(SHOWS[row.event], None)
    return hidden


def _cause(story: Story, at: Micros) -> list[Fact]:
    facts = []
    if story.condition != ("", ""):
        facts.append(
            Fact(None, "definition", f"告警条件：{story.condition[0]}", f"its condition: {story.condition[1]}")
        )
    if story.seen is not None and story.seen[0] <= at:
        when, what = story.seen
        facts.append(Fact(when, "seen", f"设备报告：{what}", f"the device said: {what}"))
    if story.late and story.received_at <= at:
        seconds = (story.received_at - story.raised_at) // 1_000_000
        facts.append(
            Fact(
                story.received_at, "late", f"迟到 {seconds} 秒才收到", f"it was received {seconds} s after it happened"
            )
        )
    return facts


def _history(history: Sequence[Moved]) -> list[Fact]:
    facts = []
    for row in history:
        who = f"，{row.actor}" if row.actor else ""
        said = f"：{row.note}" if row.note else ""
        by = f" by {row.actor}" if row.actor else ""
        why = f": {row.note}" if row.note else ""
        zh, en = _EVENTS.get(row.event, (row.event, row.event))
        facts.append(Fact(row.at, row.event, f"{zh}{who}{said}", f"{en}{by}{why}", {"state": row.to_state}))
    return facts


_EVENTS: Mapping[str, tuple[str, str]] = {
    AlarmEvent.RAISE: ("产生", "raised"),
    AlarmEvent.CLEAR: ("恢复", "cleared"),
    AlarmEvent.ACKNOWLEDGE: ("接警", "acknowledged"),
    AlarmEvent.CONFIRM: ("确认跟进", "confirmed"),
    AlarmEvent.LAPSE: ("接警失效：之后没有任何处置", "the acknowledgement lapsed: nothing followed it"),
    AlarmEvent.RESET: ("复位", "reset"),
    AlarmEvent.SHELVE: ("搁置", "shelved"),
    AlarmEvent.UNSHELVE: ("搁置结束", "no longer shelved"),
    AlarmEvent.SUPPRESS: ("抑制", "suppressed"),
    AlarmEvent.UNSUPPRESS: ("抑制解除", "no longer suppressed"),
    AlarmEvent.HOLD: ("通知暂缓", "its paging was held"),
    AlarmEvent.RELEASE: ("通知恢复", "its paging was released"),
    AlarmEvent.REMOVE_FROM_SERVICE: ("设备停用", "its device went out of service"),
    AlarmEvent.RETURN_TO_SERVICE: ("设备恢复使用", "its device came back into service"),
    AlarmEvent.DISPOSE: ("处置结论", "disposition"),
    AlarmEvent.CLOSE: ("办结", "closed"),
    AlarmEvent.NOTE: ("备注", "note"),
}


def _paging(story: Story, at: Micros, told: Sequence[Told]) -> list[Fact]:
    facts = []
    facts += _course(story, at)
    for step in story.steps:
        where = {"round": step.round, "step": step.step}
        if step.due_at > at:
            continue
        if step.fault:
            zh, en = f"第 {step.step} 步没有通知到人：{step.fault}", f"step {step.step} reached nobody: {step.fault}"
            facts.append(Fact(step.due_at, "fault", zh, en, where))
        elif step.ended_at is not None and step.ended_at <= at:
            zh, en = f"第 {step.step} 步：{step.target}", f"step {step.step}: {step.target}"
            if step.rota:
                zh = f"{zh}，当时当班：{'、'.join(step.on_duty) or '无人'}"
                en = f"{en}, on duty then: {', '.join(step.on_duty) or 'nobody'}"
            facts.append(Fact(step.ended_at, "step", zh, en, where))
        if step.unreached_at is not None and step.unreached_at <= at:
            zh = f"第 {step.step} 步没有通知到人：其通知均未送达"
            facts.append(
                Fact(
                    step.unreached_at,
                    "unreached",
                    zh,
                    f"step {step.step} reached nobody: none of its pages arrived",
                    where,
                )
            )
    for row in told:
        zh, en = _OUTCOMES.get(row.outcome, (row.outcome, row.outcome))
        detail = f" ({row.detail})" if row.detail else ""
        who = f"{row.responder} · {row.channel}：", f"{row.responder} by {row.channel}: "
        facts.append(Fact(row.at, "attempt", f"{who[0]}{zh}{detail}", f"{who[1]}{en}{detail}", {"kind": row.kind}))
        if row.receipt is not None:
            zh, en = _RECEIPTS.get(row.receipt, (row.receipt, row.receipt))
            detail = f" ({row.receipt_detail})" if row.receipt_detail else ""
            facts.append(
                Fact(row.receipt_at, "receipt", f"{who[0]}{zh}{detail}", f"{who[1]}{en}{detail}", {"kind": row.kind})
            )
    for page in story.waiting:
        if page.ended_at is not None and page.ended_at <= at and page.state in ("cancelled", "failed"):
            what = ("取消", "cancelled") if page.state == "cancelled" else ("放弃", "given up")
            why = f": {page.reason}" if page.reason else ""
            zh, en = (
                f"{page.responder} · {page.channel}：通知",
                f"the message to {page.responder} by {page.channel} was ",
            )
            facts.append(Fact(page.ended_at, page.state, f"{zh}{what[0]}{why}", f"{en}{what[1]}{why}"))
    return facts


def _course(story: Story, at: Micros) -> list[Fact]:
    """By which policy it went when, and who changed what meanwhile."""
    if story.begun_at is None or story.begun_at > at:
        return []
    facts = []
    course = story.course or ([Followed(story.begun_at, 0, story.policy, story.version)] if story.policy else [])
    for n, one in enumerate(one for one in course if one.at <= at):
        zh, en = f"按策略 {one.policy}", f"by policy {one.policy}"
        if one.version is not None:
            zh, en = f"{zh}（第 {one.version} 版）", f"{en} (version {one.version})"
        zh, en = (
            (f"{zh}升级", f"escalated {en}")
            if n == 0
            else (f"自第 {one.round} 轮起{zh}升级", f"{en} from round {one.round} on")
        )
        facts.append(Fact(one.at, "policy", zh, en, {"round": one.round, "version": one.version}))
    for edit in story.edits:
        if not story.begun_at <= edit.at <= at:
            continue
        who = edit.actor or "?"
        zh, en = _EDITS[edit.thing]
        seen = {"version": edit.version, "actor": edit.actor}
        facts.append(Fact(edit.at, f"{edit.thing}_changed", zh.format(edit.name, who), en.format(edit.name, who), seen))
    return facts


_EDITS: Mapping[str, tuple[str, str]] = {
    "policy": (
        "{1} 修改了策略 {0}：已开始的一轮按原版走完，下一轮按新版",
        "{1} changed policy {0}: a round that has begun goes on by the version that it began with, the next one goes by the new one",
    ),
    "rota": ("{1} 修改了值班表 {0}：此后的步骤按新表", "{1} changed rota {0}: steps from then on go by the new one"),
    "swap": ("{1} 为值班表 {0} 登记了替班", "{1} entered a swap for rota {0}"),
}
_RECEIPTS: Mapping[str, tuple[str, str]] = {
    "arrived": ("运营商回执：已送达（来电已接听）", "the provider says that it arrived"),
    "not_arrived": (
        "运营商回执：未送达（来电无人接听），视为未通知到",
        "the provider says that it did not arrive: counts as not reached",
    ),
    "unknown": ("运营商没有给出回执", "the provider never said whether it arrived"),
}
_OUTCOMES: Mapping[str, tuple[str, str]] = {
    "delivered": ("已送达", "delivered"),
    "failed": ("发送失败", "failed"),
    "refused": ("被拒收", "refused"),
    "interrupted": ("中断，可能已送达", "interrupted, it may have arrived"),
    "sending": ("发送中", "being sent"),
}


def _conclusion(
    story: Story,
    at: Micros,
    state: str,
    history: Sequence[Moved],
    hidden: Mapping[str, Moved],
    told: Sequence[Told],
) -> Fact:
    """The one reason that decided; the first that applies."""
    if not history:
        if story.raised_at <= at:
            zh, en = "已发生，但平台尚未收到", "it had happened, and the hub had not heard of it yet"
            return Fact(story.raised_at, "not_received", zh, en)
        return Fact(None, "not_raised", "此时告警尚未产生", "the alarm had not been raised yet")
    arrived = [row for row in told if _reached(row)]
    owner = next((row for row in reversed(history) if row.event in (AlarmEvent.ACKNOWLEDGE, AlarmEvent.CONFIRM)), None)
    if state in _OWNED and owner is not None:
        zh, en = f"{owner.actor} 已接警，不再通知他人", f"{owner.actor} owns it: nobody else is told"
        return Fact(owner.at, "owned", zh, en)
    if story.priority is Priority.JOURNAL:
        return Fact(None, "journal", "仅记录级别，从不通知", "it is of priority journal: recorded, never paged")
    for name, row in hidden.items():
        zh, en = _HIDDEN[name]
        said = f"（{row.note}）" if row.note else ""
        why = f" ({row.note})" if row.note else ""
        if name == "suppressed" and story.root:
            said, why = f"：{story.root}{said}", f": {story.root}{why}"
        by = (f"，{row.actor}", f", by {row.actor}") if row.actor else ("", "")
        return Fact(row.at, name, f"{zh}{by[0]}{said}，因此不通知", f"{en}{by[1]}{why}, so nobody is told")
    if story.stale:
        zh, en = "平台得知时已经结束，因此不通知", "it was over before the hub heard of it, so nobody is told"
        return Fact(story.received_at, "stale", zh, en)
    if state == AlarmState.NORMAL:
        zh, en = _STATES[AlarmState.NORMAL]
        return Fact(history[-1].at, "ended", f"{zh}，不再通知", f"{en}: nobody is told any more")
    if state == AlarmState.UNACK_CLEARED and story.signal_class not in LIFE_SAFETY:
        zh, en = "未接警即已恢复，不再通知", "its condition was gone by itself, so nobody is told any more"
        return Fact(history[-1].at, "cleared", zh, en)
    if story.begun_at is None or story.begun_at > at:
        zh, en = "升级尚未开始：先等待查明根因", "its escalation had not begun yet: its root is looked for first"
        return Fact(None, "waiting", zh, en)
    if story.escalation == "uncovered":
        zh, en = "没有策略覆盖此告警：无人被通知", "no policy covers it: nobody is told"
        return Fact(story.begun_at, "uncovered", zh, en)
    if arrived:
        people = "、".join(dict.fromkeys(row.responder for row in arrived))
        names = ", ".join(dict.fromkeys(row.responder for row in arrived))
        return Fact(
            arrived[-1].at, "told", f"已通知：{people}；等待接警", f"told: {names}; waiting for somebody to act"
        )
    if told:
        last = told[-1]
        why = last.receipt_detail or ("not_arrived" if last.receipt == "not_arrived" else last.detail or last.outcome)
        zh = f"向 {last.responder} 的通知未送达（{why}），正在重试或改由他人"
        return Fact(last.at, "not_delivered", zh, f"the message to {last.responder} did not arrive ({why}); it goes on")
    faults = [step for step in story.steps if step.fault and step.due_at <= at]
    if faults:
        last_fault = faults[-1]
        zh, en = (
            f"到期的步骤没有可通知的人：{last_fault.fault}",
            f"the step that was due had nobody to tell: {last_fault.fault}",
        )
        return Fact(last_fault.due_at, "nobody", zh, en)
    if story.escalation in ("stopped", "exhausted") and story.ended_at is not None and story.ended_at <= at:
        zh, en = f"升级已停止：{story.reason}", f"its escalation was over: {story.reason or story.escalation}"
        return Fact(story.ended_at, story.escalation, zh, en)
    coming = [step for step in story.steps if step.due_at > at]
    if coming:
        step = min(coming, key=lambda one: one.due_at)
        zh, en = f"下一步（{step.target}）尚未到时间", f"the next step ({step.target}) was not due yet"
        return Fact(step.due_at, "not_due", zh, en)
    return Fact(story.begun_at, "sending", "通知正在发出", "the first message was on its way")
