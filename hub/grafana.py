"""Grafana's HTTP API through grafana-client: an organisation with its data source for each scope, and the boards in it.

Whoever calls has a server administrator's name and password: organisations cannot be made by a token. It must not know what a board shows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from hub.errors import AccessDenied, BadInput, Conflict, EngineUnavailable, LinkDown, NotFound

T = TypeVar("T")
FOLDER = "anxin"
FOLDER_TITLE = "安心 Anxin"
TAG = "anxin"
TIMEOUT_SECONDS = 20.0


class Grafana:
    """One server. Every method raises LinkDown where it does not answer, AccessDenied where it lets us not in, Conflict or BadInput where it refuses."""

    def __init__(self, url: str, user: str, password: str) -> None:
        try:
            from grafana_client import GrafanaApi
        except ImportError:
            raise EngineUnavailable("this needs grafana-client: install anxin-hub with its extra `grafana`") from None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise BadInput(
                "Grafana's address is written http(s)://host:port/path, without a password in it",
                f"{url.rpartition('@')[2]}",
            )

        def api(organisation: int | None = None) -> Any:
            prefix = parts.path.strip("/")
            return GrafanaApi(
                (user, password),
                host=str(parts.hostname),
                port=parts.port,
                protocol=parts.scheme,
                url_path_prefix=f"{prefix}/" if prefix else "",
                timeout=TIMEOUT_SECONDS,
                user_agent="anxin-hub",
                organization_id=organisation,
            )

        self._api: Callable[[int | None], Any] = api

    def organisation(self, name: str) -> int:
        """The id of the organisation with this name, which is made where there is none."""
        found = self._find(name)
        if found is not None:
            return found
        return int(self._ask(lambda: self._api(None).organization.create_organization({"name": name}))["orgId"])

    def _find(self, name: str) -> int | None:
        try:
            return int(self._ask(lambda: self._api(None).organization.find_organization(quote(name, safe="")))["id"])
        except NotFound:
            return None

    def remove_organisation(self, name: str) -> bool:
        """Remove it with its boards, data source and the memberships of its users; False where there is none."""
        found = self._find(name)
        if found is None:
            return False
        self._ask(lambda: self._api(None).organizations.delete_organization(found))
        return True

    def data_source(self, organisation: int, source: Mapping[str, Any]) -> None:
        """Make the data source in this organisation, or bring the one with its uid to this; Grafana then tries it."""
        api, uid = self._api(organisation), str(source["uid"])
        try:
            self._ask(lambda: api.datasource.get_datasource_by_uid(uid))
        except NotFound:
            self._ask(lambda: api.datasource.create_datasource(dict(source)))
        else:
            self._ask(lambda: api.datasource.update_datasource_by_uid(uid, dict(source)))
        health = self._ask(lambda: api.datasource.health(uid))
        if health.get("status") != "OK":
            raise Conflict(
                f"Grafana does not reach the database by {uid!r} ({source['user']}): {health.get('message', '')}"
            )

    def boards(self, organisation: int, boards: Sequence[Mapping[str, Any]], home: str) -> tuple[int, int]:
        """Bring the organisation's folder to exactly these boards, with `home` as the first that one sees; how many stand and how many went."""
        api = self._api(organisation)
        try:
            self._ask(lambda: api.folder.get_folder(FOLDER))
        except NotFound:
            self._ask(lambda: api.folder.create_folder(FOLDER_TITLE, FOLDER))
        for board in boards:
            # with `id` null and `overwrite`, what has this uid becomes this board and everything else stays
            asked = {
                "dashboard": {**board, "id": None},
                "folderUid": FOLDER,
                "overwrite": True,
                "message": "anxin dashboards push",
            }
            self._ask(lambda asked=asked: api.dashboard.update_dashboard(asked))  # type: ignore[misc]
        wanted = {board["uid"] for board in boards}
        found = self._ask(lambda: api.search.search_dashboards(tag=TAG, type_="dash-db", limit=5000))
        gone = [one["uid"] for one in found if one["uid"].startswith("anxin-") and one["uid"] not in wanted]
        for uid in gone:
            self._ask(lambda uid=uid: api.dashboard.delete_dashboard(uid))  # type: ignore[misc]
        from grafana_client.model import PersonalPreferences

        preferred = PersonalPreferences(homeDashboardUID=home, timezone="Asia/Shanghai")
        self._ask(lambda: api.organization.patch_preferences(preferred))
        return len(wanted), len(gone)

    def _ask(self, ask: Callable[[], T]) -> T:
        with _translated():
            return ask()


def source(role: str, password: str, address: str, database: str, ssl_mode: str = "disable") -> dict[str, Any]:
    """The data source of a role, as Grafana's API takes it and as the boards name it (uid `anxin` in every organisation)."""
    return {
        "uid": "anxin",
        "name": "安心 Anxin Hub",
        "type": "grafana-postgresql-datasource",
        "access": "proxy",
        "url": address,
        "user": role,
        "isDefault": True,
        "jsonData": {
            "database": database,
            "sslmode": ssl_mode,
            "postgresVersion": 1700,
            "timescaledb": True,
            "maxOpenConns": 10,
            "maxIdleConns": 2,
            "connMaxLifetime": 14400,
        },
        "secureJsonData": {"password": password},
    }


@contextmanager
def _translated() -> Iterator[None]:
    import requests
    from grafana_client.client import GrafanaClientError, GrafanaException

    try:
        yield
    except requests.exceptions.RequestException as error:
        # its text may hold the address with what stands in it: only the kind of failure is passed on
        raise LinkDown(f"Grafana does not answer: {type(error).__name__}") from None
    except GrafanaClientError as error:
        text = _message(error)
        if error.status_code in (401, 403):
            raise AccessDenied(f"Grafana lets us not in: {text}") from None
        if error.status_code == 404:
            raise NotFound(f"Grafana: {text}") from None
        if error.status_code in (409, 412):
            raise Conflict(f"Grafana: {text}") from None
        raise BadInput(f"{error.status_code}: {text}", "Grafana") from None
    except GrafanaException as error:
        raise LinkDown(f"Grafana failed ({error.status_code}): {_message(error)}") from None


def _message(error: Any) -> str:
    answer = error.response
    return str(answer.get("message", answer) if isinstance(answer, dict) else answer)[:200]
