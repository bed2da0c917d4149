"""What failed in a full run, looked at again alone: `python -m tests.second_look` (decision 0281).

Two cores that others share make a deadline pass now and then, somewhere in five thousand tests. So a few failures of tests that wait for
real processes are run once more, by themselves. What fails again is broken; what passes is named loudly and is to be mended. A pure test has
nothing to wait for, and many failures are no accident: neither gets a second look.
"""

import json
import subprocess
import sys
from pathlib import Path

AT_MOST = 3
"""one that hangs can leave processes behind that fail the next"""
PURE = ("tests/core/", "tests/test_house.py", "tests/test_documents.py")
FAILED = Path(".pytest_cache/v/cache/lastfailed")


def refusal(failed: list[str]) -> str:
    """Why these failures, as pytest names them, get no second look; empty when they do."""
    if not failed:
        return "pytest failed, and names no test that did"
    if len(failed) > AT_MOST:
        return f"{len(failed)} tests failed: more than {AT_MOST} are no accident"
    if unlike := [name for name in failed if "::" not in name or name.startswith(PURE)]:
        return f"{unlike[0]} waits for nothing: it fails or it does not"
    return ""


def main() -> int:
    """Exit status for scripts/test: 0 when all that failed passes alone."""
    failed = sorted(json.loads(FAILED.read_text("utf-8"))) if FAILED.exists() else []
    if why := refusal(failed):
        print(f"test: no second look: {why}", file=sys.stderr)
        return 1
    print(f"test: a second look, alone, at {', '.join(failed)}", file=sys.stderr)
    again = subprocess.run([sys.executable, "-m", "pytest", *failed], check=False)
    if again.returncode == 0:
        for name in failed:
            print(f"test: PASSED AT THE SECOND LOOK ONLY, find out why (its first failure stands above): {name}")
    return again.returncode


if __name__ == "__main__":
    sys.exit(main())
