"""Tokens: made (the secret is shown once), listed, revoked."""

from typing import Annotated

from fastapi import APIRouter, Path

from hub.api import pages
from hub.api.access import Administrator, Conn, Hub
from hub.api.schemas import Token, TokenCreated, TokenRequest
from hub.core.rights import Role, Scope
from hub.errors import BadInput
from hub.store import access

router = APIRouter(prefix="/tokens", tags=["tokens"])


@router.post("", status_code=201)
async def create_token(who: Administrator, conn: Conn, hub: Hub, asked: TokenRequest) -> TokenCreated:
    """Make a token within your own scope. The secret is in this answer and nowhere else."""
    if asked.expires_at is not None and asked.expires_at <= hub.clock():
        raise BadInput("a token that has expired already is of no use", "#/expires_at", "validation")
    try:
        made = await access.create_token(
            conn,
            name=asked.name,
            kind=asked.kind,
            role=Role(asked.role),
            scope=Scope(**asked.scope.model_dump()),
            actor=who.name,
            within=who.scope,
            expires_at=asked.expires_at,
        )
    except BadInput as error:
        raise BadInput(error.reason, "#/" + error.where.replace(".", "/"), error.code) from None
    return TokenCreated(id=made.id, secret=made.secret)


@router.get("")
async def list_tokens(
    who: Administrator, conn: Conn, limit: pages.Limit = 100, cursor: pages.CursorParam = None
) -> pages.Page[Token]:
    """Tokens whose scope lies within yours, newest first; revoked and expired ones too."""
    keys = pages.decode(cursor, str, str)
    after = None if keys is None else (pages.key_moment(keys[0]), str(keys[1]))
    rows = await access.tokens(conn, who.scope, limit=limit + 1, after=after)
    return pages.page(rows, limit, Token.model_validate, lambda row: (pages.moment_key(row["created_at"]), row["id"]))


@router.delete("/{token}", status_code=204)
async def revoke_token(
    who: Administrator,
    conn: Conn,
    token: Annotated[str, Path(pattern=r"^[a-z0-9]{12}$", description="The token's id.")],
) -> None:
    """Revoke a token for good. Its next request is refused."""
    await access.revoke(conn, token, who.name, who.scope)
