"""Who is paged: a webhook receiver, a process of its own that writes each key it is sent into a ledger, synced, before it answers.

`sink.py --ledger FILE --port-file FILE`. A line is the `webhook-id`. Standard library only.
"""

import argparse
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--port-file", type=Path, required=True)
    options = parser.parse_args()
    ledger = os.open(options.ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            os.write(ledger, f"{self.headers['webhook-id']}\n".encode())
            os.fdatasync(ledger)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the ledger says it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    unfinished = options.port_file.with_suffix(".part")
    unfinished.write_text(str(server.server_address[1]))
    unfinished.rename(options.port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
