"""Labelled crash points for the proof of no loss: `ANXIN_CRASH_AT=before-commit:3` kills this process at the third pass.

SIGKILL, so that nothing is flushed, closed or rolled back by us. Without the variable a point costs one comparison.
"""

import os
import signal

from hub.errors import BadInput

_VARIABLE = "ANXIN_CRASH_AT"


def _planned(text: str | None) -> tuple[str, int] | None:
    """Label and count of `label:n`; raises BadInput that names the variable."""
    if text is None or text == "":
        return None
    label, _, count = text.rpartition(":")
    if label == "" or not count.isdecimal() or int(count) < 1:
        raise BadInput("is written label:n with n from 1", _VARIABLE, code="settings")
    return label, int(count)


_plan = _planned(os.environ.get(_VARIABLE))
_passed = 0


def point(label: str) -> None:
    """Pass the crash point `label`; never returns when it is the planned one and its turn has come."""
    global _passed
    if _plan is None or _plan[0] != label:
        return
    _passed += 1
    if _passed == _plan[1]:
        os.kill(os.getpid(), signal.SIGKILL)
