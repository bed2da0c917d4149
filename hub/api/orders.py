"""Orders 整改: drafted by the hub, issued and withdrawn by who supervises, answered by the institution, closed by the facts."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from hub.api import pages
from hub.api.access import Answerer, Conn, Hub, Reader, Supervisor
from hub.api.places import InstitutionFilter
from hub.api.problems import documented
from hub.api.schemas import DivisionCode, Given, Moment, Name
from hub.core.orders import State
from hub.store import audit, orders
from hub.store.rows import Row

router = APIRouter(prefix="/orders", tags=["orders"])

OrderId = Annotated[UUID, Path(description="The order's id.")]
StateName = Literal["draft", "issued", "answered", "reopened", "raised", "closed", "withdrawn"]
Note = Annotated[str, Field(max_length=orders.MOST_TEXT)]
Reason = Annotated[str, Field(min_length=1, max_length=orders.MOST_TEXT, pattern=r"\S")]


class Order(BaseModel):
    """One order. `verdict` is what the rule is found to be now: the facts close an order, an answer does not."""

    id: UUID
    institution: str
    title: Name = Field(description="of the institution")
    division: str
    retired: bool = Field(description="the institution is gone: nothing moves this order but a person")
    rule: str
    rule_title: Name
    basis: Literal["obligation", "target"]
    module: str
    document: str
    number: str
    clause: str
    sentence: Name = Field(description="what was found when it was drafted")
    violation_since: Moment
    days_to_remedy: int
    state: StateName
    drafted_at: Moment
    issued_at: Moment | None
    issued_by: str | None
    owner: str | None = Field(description="the division that it was issued for")
    due_at: Moment | None
    climbs_at: Moment | None = Field(description="when it rises next, unless the facts hold then")
    raised_to: str | None = Field(description="the highest division that was told")
    answered_at: Moment | None
    ended_at: Moment | None
    verdict: str | None = Field(description="null: the rule applies no more")
    verdict_since: Moment | None
    now: Name | None = Field(description="the finding as it is now")
    checked_at: Moment | None


class OrderStep(BaseModel):
    """What happened to an order, by whom; `hub` is the hub itself."""

    n: int
    at: Moment
    event: str
    state: StateName
    actor: str
    note: str
    attachment: str
    raised_to: str | None


class OrderDetail(Order):
    """An order with its history."""

    steps: list[OrderStep]


class OrderPage(pages.Page[Order]):
    """A page of orders with how many there are of each state, of the institution or division asked for."""

    counts: dict[StateName, int]


class OrderNote(Given):
    """What to write into its history."""

    note: Note = ""


class OrderReason(Given):
    """Why."""

    note: Reason


class OrderAnswer(Given):
    """What was done. `attachment` names a document or a place where it lies; the hub keeps the name only."""

    text: Reason
    attachment: Annotated[str, Field(max_length=orders.MOST_ATTACHMENT)] = ""


@router.get("")
async def list_orders(
    who: Reader,
    conn: Conn,
    institution: InstitutionFilter = None,
    division: Annotated[DivisionCode | None, Query(description="A division and everything below it.")] = None,
    state: Annotated[list[StateName] | None, Query(max_length=7, description="Only these states.")] = None,
    raised_to: Annotated[DivisionCode | None, Query(description="What rose to this division or beyond it.")] = None,
    limit: pages.Limit = 100,
    cursor: pages.CursorParam = None,
) -> OrderPage:
    """Orders within your scope, the latest first."""
    rows = await orders.listed(
        conn,
        who.scope,
        limit=limit + 1,
        after=pages.moment_and_id(cursor),
        institution=institution,
        division=division,
        states=None if state is None else [State(one) for one in state],
        raised_to=raised_to,
    )
    page = pages.page(rows, limit, _order, lambda row: (pages.moment_key(row["drafted_at"]), str(row["id"])))
    counts = await orders.counts(conn, who.scope, institution=institution, division=division)
    return OrderPage(items=page.items, next=page.next, counts={state.value: n for state, n in counts.items()})


@router.get("/{order}")
async def show_order(who: Reader, conn: Conn, order: OrderId) -> OrderDetail:
    """One order with everything that happened to it."""
    return await _detail(conn, who, order)


@router.post("/{order}/issue", responses=documented(409))
async def issue_order(who: Supervisor, conn: Conn, hub: Hub, order: OrderId, asked: OrderNote) -> OrderDetail:
    """Issue a draft: the institution must act before the rule's days to remedy are over. A named person only."""
    await orders.issue(conn, who, order, asked.note, hub.clock())
    await audit.record(conn, who.name, "order.issue", f"order:{order}", {"note": asked.note})
    return await _detail(conn, who, order)


@router.post("/{order}/answer", responses=documented(409))
async def answer_order(who: Answerer, conn: Conn, hub: Hub, order: OrderId, asked: OrderAnswer) -> OrderDetail:
    """Say for the institution what was done. The order stays open until the facts hold."""
    await orders.answer(conn, who, order, asked.text, asked.attachment, hub.clock())
    await audit.record(conn, who.name, "order.answer", f"order:{order}", {"attachment": asked.attachment})
    return await _detail(conn, who, order)


@router.post("/{order}/withdraw", responses=documented(409))
async def withdraw_order(who: Supervisor, conn: Conn, hub: Hub, order: OrderId, asked: OrderReason) -> OrderDetail:
    """Withdraw a draft or an order, with the reason; what was raised only from the division that it was raised to. A named person only."""
    await orders.withdraw(conn, who, order, asked.note, hub.clock())
    await audit.record(conn, who.name, "order.withdraw", f"order:{order}", {"note": asked.note})
    return await _detail(conn, who, order)


async def _detail(conn: Conn, who: Reader, id: UUID) -> OrderDetail:
    row = await orders.order(conn, who.scope, id)
    steps = await orders.steps(conn, id)
    return OrderDetail(**_shape(row), steps=[OrderStep.model_validate(step) for step in steps])


def _order(row: Row) -> Order:
    return Order.model_validate(_shape(row))


_SAME: Sequence[str] = (
    *(
        "id",
        "institution",
        "division",
        "retired",
        "rule",
        "basis",
        "module",
        "violation_since",
        "days_to_remedy",
        "state",
    ),
    *("drafted_at", "issued_at", "issued_by", "owner", "due_at", "climbs_at", "raised_to", "answered_at", "ended_at"),
    *("verdict", "verdict_since", "checked_at"),
)


def _shape(row: Mapping[str, Any]) -> dict[str, Any]:
    cited = row["citation"]
    return {
        **{name: row[name] for name in _SAME},
        **{name: cited[name] for name in ("document", "number", "clause")},
        "title": {"zh": row["institution_zh"], "en": row["institution_en"]},
        "rule_title": {"zh": cited["title_zh"], "en": cited["title_en"]},
        "sentence": {"zh": row["sentence_zh"], "en": row["sentence_en"]},
        "now": None if row["now_zh"] is None else {"zh": row["now_zh"], "en": row["now_en"]},
    }
