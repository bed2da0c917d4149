"""What is not needed yet is not imported: `anxinctl` starts quickly, and so does a lane that was killed."""

import os
import subprocess
import sys


def test_the_command_line_is_read_without_http_yaml_or_tables() -> None:
    program = (
        "import sys, provisioning.main as m; code = m.run(['device', '--help']);"
        "print(code, sorted({'httpx', 'yaml', 'hub', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_a_centre_that_takes_no_requests_and_migrates_nothing_loads_neither_http_nor_what_migrates() -> None:
    """`anxin serve --role ingest --no-migrate`, up to where it would run."""
    program = (
        "import asyncio, sys\n"
        "from hub.cli import centre\n"
        "from hub.runtime.service import Service\n"
        "async def run(self, serve_api, *, migrate): print(migrate, sorted({'fastapi', 'hub.api', 'alembic', 'sqlalchemy'} & set(sys.modules)))\n"
        "Service.run = run\n"
        "centre.serve(role=sys.argv[1:], migrate=False)"
    )
    given = {"ANXIN_DATABASE_URL": "postgresql://x@127.0.0.1/x", "ANXIN_MQTT_URL": "mqtt://127.0.0.1"}

    def loaded(role: str) -> str:
        command = [sys.executable, "-c", program, role]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=os.environ | given)
        return done.stdout.splitlines()[-1]

    assert loaded("ingest") == "False []"
    assert loaded("api") == "False ['fastapi', 'hub.api']"
