"""What stands at the far end in the conformance suite, and the misfortunes that it must be able to play."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NoReturn

from hub.driver import Binding
from hub.model import Scalar, Series


class Case(StrEnum):
    """What a protocol may be unable to have; everything else every driver must pass."""

    REFUSED = "refused"
    SILENT = "silent"
    HALF_OPEN = "half-open"
    CREDENTIALS = "credentials"
    DEAD_POINT = "dead point"
    LATE_ANSWER = "late answer"
    SECRETS = "secrets"


class ContractPeer:
    """The far end: well when the fixture yields it, and then as unlucky as it is told to be, until `recover`."""

    endpoint: Any
    """as the driver's `Endpoint` model parsed it; with time-outs well below `DriverContract.patience`"""
    bindings: Sequence[Binding]
    """at least two points, on one device, with different values"""
    values: dict[Series, Scalar]
    """the raw value that each of them has now"""
    late_sent = 0
    """late answers sent so far; `hold_answer` makes the peer count here"""

    async def speak(self) -> None:
        """A peer that speaks by itself says all its values once, to whoever is connected. One that is asked does nothing."""

    async def asked(self) -> None:
        """Wait until a question has come since the last misfortune. One that speaks by itself does nothing."""

    async def refuse(self) -> None:
        """End the connection and let nobody in any more."""
        self._missing(Case.REFUSED)

    async def fall_silent(self) -> None:
        """Be there, let callers in, and say nothing."""
        self._missing(Case.SILENT)

    async def freeze(self) -> None:
        """Leave the connection open and be dead: no answer, no end."""
        self._missing(Case.HALF_OPEN)

    async def demand_other_credentials(self) -> None:
        """Refuse what the endpoint holds, from the next connection on."""
        self._missing(Case.CREDENTIALS)

    async def kill_point(self, series: Series) -> None:
        """Make this point refuse, or its value nonsense; the others stay well."""
        self._missing(Case.DEAD_POINT)

    async def hold_answer(self) -> None:
        """Do not answer the next question until another one comes; send the old answer then, and the new one a moment after it."""
        self._missing(Case.LATE_ANSWER)

    async def change(self, series: Series) -> None:
        """Give the point a value that it and the others never had, in `values` too."""
        self._missing(Case.LATE_ANSWER)

    async def recover(self) -> None:
        """Be well again, under the same endpoint."""
        raise NotImplementedError(f"{type(self).__name__}.recover")

    def _missing(self, case: Case) -> NoReturn:
        raise NotImplementedError(f"{type(self).__name__} cannot do {case.name}: give it, or declare it in `cannot`")
