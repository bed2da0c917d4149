"""What people said of institutions that decides how their alarms are judged and paged: hours, the armed state, maintenance windows. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hub.core.maintenance import Window
from hub.core.opening import Hours
from hub.core.rota import Calendar


@dataclass(frozen=True, slots=True)
class Premises:
    """Of one institution."""

    hours: Hours = field(default_factory=Hours)
    windows: tuple[Window, ...] = ()
    """maintenance windows that have not ended"""


@dataclass(frozen=True, slots=True)
class Said:
    """Of all institutions: those of whom anything was said, and the notice of public holidays for the others."""

    premises: Mapping[str, Premises] = field(default_factory=dict)
    days: Calendar = field(default_factory=Calendar)

    def of(self, institution: str) -> Premises:
        """What was said of this one."""
        found = self.premises.get(institution)
        return replace(_NOTHING, hours=Hours(days=self.days)) if found is None else found


_NOTHING = Premises()
