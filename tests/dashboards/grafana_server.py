"""A stand-in for Grafana's HTTP API, as Grafana documents it (grafana.com/docs, developers/http_api): there is no Grafana here.

It holds organisations, data sources, folders and boards in memory, checks what it is asked as Grafana does (basic authentication, the
organisation's header, JSON with a content type, required fields, unique names and uids) and remembers every request. What is asked and what it
answers is held against Grafana's published API (grafana_api.py); whatever strays from it stands in `strays`.
"""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.dashboards.grafana_api import CALLS, ERROR, strays

USER, PASSWORD = "admin", "an administrator's word"


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class Organisation:
    name: str
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    boards: dict[str, dict[str, Any]] = field(default_factory=dict)
    preferences: dict[str, Any] = field(default_factory=dict)


class FakeGrafana:
    """Its state; `healthy(source)` says whether a data source reaches its database."""

    def __init__(self) -> None:
        self.organisations: dict[int, Organisation] = {1: Organisation("Main Org.")}
        self.asked: list[tuple[str, str, int | None]] = []
        self.strays: list[str] = []
        self.healthy: Callable[[dict[str, Any]], str] = lambda _: ""
        self.failing: int | None = None
        self.url = ""

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> Any:
        """The JSON that Grafana answers; raises Refused."""
        parts = urlsplit(path)
        org = headers.get("X-Grafana-Org-Id")
        self.asked.append((method, parts.path, None if org is None else int(org)))
        if self.failing is not None:
            raise Refused(self.failing, "Internal server error")
        if headers.get("Authorization") != "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode():
            raise Refused(401, "Invalid username or password")
        given: Any = None
        if method in ("POST", "PUT", "PATCH"):
            if headers.get("Content-Type") != "application/json":
                raise Refused(415, "Unsupported media type")
            try:
                given = json.loads(body)
            except ValueError:
                raise Refused(400, "bad request data") from None
            if not isinstance(given, dict):
                raise Refused(400, "bad request data")
        for (verb, pattern), serve in ROUTES.items():
            found = re.fullmatch(pattern, parts.path)
            if verb == method and found is not None:
                key = 1 if org is None else int(org)
                if key not in self.organisations:
                    raise Refused(401, "Invalid organization")
                call, where = CALLS[verb, pattern], f"{method} {parts.path}"
                if call.sent is not None:
                    self.strays += strays(call.sent, given, f"{where} asked")
                try:
                    answer = serve(self, key, [unquote(one) for one in found.groups()], given, parse_qs(parts.query))
                except Refused as refused:
                    if refused.status not in call.states:
                        self.strays.append(f"{where}: never {refused.status}")
                    raise
                for one in answer if isinstance(answer, list) else [answer]:
                    self.strays += strays(call.answered, one, f"{where} answered")
                return answer
        self.strays.append(f"{method} {parts.path}: no such call")
        raise Refused(404, "Not found")

    # ---- organisations: of the server, not of one of them ----

    def named(self, _: int, names: list[str], __: Any, ___: Any) -> Any:
        for key, one in self.organisations.items():
            if one.name == names[0]:
                return {"id": key, "name": one.name, "address": {}}
        raise Refused(404, "Organization not found")

    def make(self, _: int, __: list[str], given: Any, ___: Any) -> Any:
        if not given.get("name"):
            raise Refused(400, "Organization name cannot be empty")
        if any(one.name == given["name"] for one in self.organisations.values()):
            raise Refused(409, "Organization name taken")
        key = max(self.organisations) + 1
        self.organisations[key] = Organisation(given["name"])
        return {"orgId": key, "message": "Organization created"}

    def remove(self, _: int, names: list[str], __: Any, ___: Any) -> Any:
        if int(names[0]) not in self.organisations:
            raise Refused(404, "Organization not found")
        del self.organisations[int(names[0])]
        return {"message": "Organization deleted"}

    # ---- within one ----

    def source(self, org: int, names: list[str], _: Any, __: Any) -> Any:
        if names[0] not in self.organisations[org].sources:
            raise Refused(404, "Data source not found")
        shown = dict(self.organisations[org].sources[names[0]])
        shown["secureJsonFields"] = dict.fromkeys(shown.pop("secureJsonData"), True)
        return {
            **shown,
            "id": 1 + list(self.organisations[org].sources).index(names[0]),
            "orgId": org,
            "version": 1,
            "readOnly": False,
        }

    def add_source(self, org: int, _: list[str], given: Any, __: Any) -> Any:
        self._check_source(given)
        here = self.organisations[org].sources
        if given["uid"] in here or any(one["name"] == given["name"] for one in here.values()):
            raise Refused(409, "data source with the same name already exists")
        here[given["uid"]] = given
        return {
            "datasource": self.source(org, [given["uid"]], None, None),
            "id": len(here),
            "name": given["name"],
            "message": "Datasource added",
        }

    def change_source(self, org: int, names: list[str], given: Any, __: Any) -> Any:
        self._check_source(given)
        if names[0] not in self.organisations[org].sources:
            raise Refused(404, "Data source not found")
        self.organisations[org].sources[names[0]] = given
        kept = self.source(org, names, None, None)
        return {"datasource": kept, "id": kept["id"], "name": kept["name"], "message": "Datasource updated"}

    def _check_source(self, given: Any) -> None:
        for name, kind in (("name", str), ("type", str), ("access", str), ("uid", str), ("url", str), ("user", str)):
            if not isinstance(given.get(name), kind) or not given[name]:
                raise Refused(400, f"bad request data: {name}")
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", given["uid"]) or given["access"] not in ("proxy", "direct"):
            raise Refused(400, "bad request data: uid or access")
        if (
            "password" in given
            or not isinstance(given.get("jsonData"), dict)
            or not isinstance(given.get("secureJsonData"), dict)
        ):
            raise Refused(400, "bad request data: a password belongs to secureJsonData")

    def health(self, org: int, names: list[str], _: Any, __: Any) -> Any:
        if names[0] not in self.organisations[org].sources:
            raise Refused(404, "Data source not found")
        wrong = self.healthy(self.organisations[org].sources[names[0]])
        if wrong:
            raise Refused(400, wrong)
        return {"status": "OK", "message": "Database Connection OK"}

    def folder(self, org: int, names: list[str], _: Any, __: Any) -> Any:
        if names[0] not in self.organisations[org].folders:
            raise Refused(404, "folder not found")
        title = self.organisations[org].folders[names[0]]
        return {
            "id": 1,
            "uid": names[0],
            "title": title,
            "url": f"/dashboards/f/{names[0]}/{names[0]}",
            "version": 1,
            "orgId": org,
        }

    def add_folder(self, org: int, _: list[str], given: Any, __: Any) -> Any:
        if not given.get("title") or len(given.get("uid", "")) > 40:
            raise Refused(400, "folder title cannot be empty")
        if given.get("uid") in self.organisations[org].folders:
            raise Refused(409, "a folder with the same uid already exists")
        self.organisations[org].folders[given["uid"]] = given["title"]
        return self.folder(org, [given["uid"]], None, None)

    def put_board(self, org: int, _: list[str], given: Any, __: Any) -> Any:
        here, board = self.organisations[org], given.get("dashboard")
        if not isinstance(board, dict) or not board.get("title"):
            raise Refused(400, "Dashboard title cannot be empty")
        if len(board.get("uid") or "") > 40 or not re.fullmatch(r"[a-zA-Z0-9_-]*", board.get("uid") or ""):
            raise Refused(400, "uid contains illegal characters")
        if given.get("folderUid") not in here.folders:
            raise Refused(400, "folder not found")
        if board.get("id") is not None and board["uid"] not in here.boards:
            raise Refused(404, "Dashboard not found")
        if board["uid"] in here.boards and not given.get("overwrite"):
            raise Refused(412, "The dashboard has been changed by someone else")
        version = here.boards.get(board["uid"], {}).get("version", 0) + 1
        here.boards[board["uid"]] = {**board, "version": version}
        return {
            "id": len(here.boards),
            "uid": board["uid"],
            "url": f"/d/{board['uid']}/x",
            "status": "success",
            "version": version,
            "slug": "x",
            "title": board["title"],
            "folderUid": given["folderUid"],
        }

    def drop_board(self, org: int, names: list[str], _: Any, __: Any) -> Any:
        gone = self.organisations[org].boards.pop(names[0], None)
        if gone is None:
            raise Refused(404, "Dashboard not found")
        return {"message": f"Dashboard {gone['title']} deleted", "title": gone["title"], "uid": names[0]}

    def search(self, org: int, _: list[str], __: Any, query: dict[str, list[str]]) -> Any:
        tag = query.get("tag", [""])[0]
        return [
            {
                "id": 1,
                "uid": uid,
                "title": one["title"],
                "uri": "db/x",
                "url": f"/d/{uid}/x",
                "type": "dash-db",
                "tags": one.get("tags", []),
            }
            for uid, one in self.organisations[org].boards.items()
            if tag in one.get("tags", [])
        ]

    def prefer(self, org: int, _: list[str], given: Any, __: Any) -> Any:
        if given.get("homeDashboardUID") not in self.organisations[org].boards:
            raise Refused(404, "Dashboard not found")
        self.organisations[org].preferences.update(given)
        return {"message": "Preferences updated"}


ROUTES: dict[tuple[str, str], Callable[[FakeGrafana, int, list[str], Any, dict[str, list[str]]], Any]] = {
    ("GET", "/api/orgs/name/([^/]+)"): FakeGrafana.named,
    ("POST", "/api/orgs"): FakeGrafana.make,
    ("DELETE", r"/api/orgs/(\d+)"): FakeGrafana.remove,
    ("GET", "/api/datasources/uid/([^/]+)"): FakeGrafana.source,
    ("POST", "/api/datasources"): FakeGrafana.add_source,
    ("PUT", "/api/datasources/uid/([^/]+)"): FakeGrafana.change_source,
    ("GET", "/api/datasources/uid/([^/]+)/health"): FakeGrafana.health,
    ("GET", "/api/folders/([^/]+)"): FakeGrafana.folder,
    ("POST", "/api/folders"): FakeGrafana.add_folder,
    ("POST", "/api/dashboards/db"): FakeGrafana.put_board,
    ("DELETE", "/api/dashboards/uid/([^/]+)"): FakeGrafana.drop_board,
    ("GET", "/api/search"): FakeGrafana.search,
    ("PATCH", "/api/org/preferences"): FakeGrafana.prefer,
}


@contextmanager
def serving() -> Iterator[FakeGrafana]:
    """The stand-in on a port of its own."""
    fake = FakeGrafana()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, answer = 200, fake.answer(self.command, self.path, self.headers, body)
            except Refused as refused:
                status, answer = refused.status, {"message": refused.message}
                fake.strays += strays(ERROR, answer, self.path)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
