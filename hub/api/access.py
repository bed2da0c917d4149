"""What every router depends on: the services, one transaction, and a principal who may do what the route declares.

    @router.get("/things")
    async def things(who: Reader, conn: Conn) -> Page[Thing]: ...

A route declares exactly one of `Reader`, `Acknowledger`, `Tester`, `Exerciser`, `Provisioner`, `Maintainer`, `Supervisor`,
`Answerer`, `Attester`, `Administrator`; a test walks over all routes.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException

from hub.config import Settings
from hub.core.coverage.rules import RulePack
from hub.core.fire_facts import Weights
from hub.core.rights import Permission, Principal
from hub.errors import Forbidden
from hub.profiles import Profile
from hub.runtime.duty_watch import DutyWatch
from hub.runtime.fanout import Fanout
from hub.runtime.standby import Standby
from hub.store import access as tokens
from hub.store.pool import Connection
from hub.store.session import Pool, transaction, within


@dataclass(frozen=True, slots=True)
class Services:
    """What the composition root gives the API; `request.app.state.services`."""

    settings: Settings
    pool: Pool
    profiles: Mapping[str, Profile]
    packs: Sequence[RulePack]
    fanout: Fanout | None
    """None where nobody follows the change feed"""
    ready: Callable[[], Awaitable[Mapping[str, bool]]]
    """what must hold besides the database: broker sessions, leases"""
    metrics: CollectorRegistry
    weights: Weights
    """of the fire-risk score"""
    duty: DutyWatch | None = None
    """who knows whether all policies reach somebody; None where nobody follows it"""
    standby: Standby | None = None
    """what pages while the database does not answer, where this process has it"""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


def services(request: Request) -> Services:
    """The services of the application that serves this request."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found


Hub = Annotated[Services, Depends(services)]


async def _connection(hub: Hub) -> AsyncIterator[Connection]:
    async with transaction(hub.pool) as conn:
        yield conn


Conn = Annotated[Connection, Depends(_connection, scope="function")]
"""One transaction per request: committed before the response leaves, rolled back on any error."""

ANSWER = 4.0
"""seconds that the database has to say who asks; a frozen one would hold a request for ever"""
_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    bearerFormat="hub_<id>_<secret>",
    description="A token of a named person or service: `Authorization: Bearer hub_<id>_<43 characters>`.",
)


async def _authenticated(hub: Services, secret: str) -> Principal | None:
    async with transaction(hub.pool) as conn:
        return await tokens.authenticate(conn, secret, hub.clock())


async def principal(hub: Hub, shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> Principal:
    """Who holds the token of this request; 401 otherwise, without saying why."""
    found = None if shown is None else await within(ANSWER, _authenticated(hub, shown.credentials))
    if found is None:
        raise HTTPException(401, "a valid token is needed", {"WWW-Authenticate": 'Bearer realm="anxin"'})
    return found


class Requires:
    """The dependency that lets a principal with `permission` pass and refuses others with 403."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, who: Annotated[Principal, Depends(principal)]) -> Principal:
        """The principal, or Forbidden."""
        if not who.may(self.permission):
            raise Forbidden(f"the role {who.role.value} may not {self.permission.value}")
        return who


Reader = Annotated[Principal, Depends(Requires(Permission.READ))]
Acknowledger = Annotated[Principal, Depends(Requires(Permission.ACKNOWLEDGE))]
Tester = Annotated[Principal, Depends(Requires(Permission.TEST))]
Exerciser = Annotated[Principal, Depends(Requires(Permission.EXERCISE))]
Provisioner = Annotated[Principal, Depends(Requires(Permission.PROVISION))]
Maintainer = Annotated[Principal, Depends(Requires(Permission.MAINTAIN))]
Supervisor = Annotated[Principal, Depends(Requires(Permission.SUPERVISE))]
Answerer = Annotated[Principal, Depends(Requires(Permission.ANSWER))]
Attester = Annotated[Principal, Depends(Requires(Permission.ATTEST))]
Administrator = Annotated[Principal, Depends(Requires(Permission.ADMINISTER))]
