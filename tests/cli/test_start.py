"""`anxinctl` starts quickly: what it does not need yet it does not import."""

import subprocess
import sys


def test_the_command_line_is_read_without_http_yaml_or_tables() -> None:
    program = (
        "import sys, provisioning.main as m; code = m.run(['device', '--help']);"
        "print(code, sorted({'httpx', 'yaml', 'hub', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
