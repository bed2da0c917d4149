"""What Grafana's published API says of the requests that `hub.grafana` makes: fields, types and states of their answers.

Read from the OpenAPI document of Grafana 13.0.0 (public/api-merged.json, as grafana/grafana-openapi-client-go of 2026-07 has it), not recorded:
no Grafana can be had where this was written. The stand-in (grafana_server.py) holds every request and each of its own answers against it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Fields = Mapping[str, Any]
"""name to type; a nested object is a mapping of its own, `open` anything"""


class Call(NamedTuple):
    """One operation: what may be sent, what comes back (`*` before a name: always there), and with which states."""

    sent: Fields | None
    answered: Fields
    states: frozenset[int]


def _states(*more: int) -> frozenset[int]:
    return frozenset({200, 401, 403, 500, *more})


_SAID: Fields = {"message": str}
_SOURCE: Fields = {
    "access": str, "accessControl": dict, "basicAuth": bool, "basicAuthUser": str, "database": str, "id": int, "isDefault": bool,
    "jsonData": dict, "name": str, "orgId": int, "readOnly": bool, "secureJsonFields": dict, "type": str, "typeLogoUrl": str, "uid": str,
    "url": str, "user": str, "version": int, "withCredentials": bool,
}  # fmt: skip
_SOURCE_SENT: Fields = {
    "access": str, "basicAuth": bool, "basicAuthUser": str, "database": str, "isDefault": bool, "jsonData": dict, "name": str,
    "secureJsonData": dict, "type": str, "uid": str, "url": str, "user": str, "withCredentials": bool,
}  # fmt: skip
_SOURCE_KEPT: Fields = {"*datasource": _SOURCE, "*id": int, "*message": str, "*name": str}
_FOLDER: Fields = {
    "accessControl": dict, "canAdmin": bool, "canDelete": bool, "canEdit": bool, "canSave": bool, "created": str, "createdBy": str,
    "hasAcl": bool, "id": int, "managedBy": str, "orgId": int, "parentUid": str, "parents": list, "title": str, "uid": str, "updated": str,
    "updatedBy": str, "url": str, "version": int,
}  # fmt: skip
_ADDRESS: Fields = dict.fromkeys(("address1", "address2", "city", "country", "state", "zipCode"), str)
_HIT: Fields = {
    "description": str, "folderId": int, "folderTitle": str, "folderUid": str, "folderUrl": str, "id": int, "isDeleted": bool,
    "isStarred": bool, "orgId": int, "permanentlyDeleteDate": str, "slug": str, "sortMeta": int, "sortMetaName": str, "tags": list,
    "title": str, "type": str, "uid": str, "uri": str, "url": str,
}  # fmt: skip
_PREFERENCES: Fields = {
    "homeDashboardId": int, "homeDashboardUID": str, "language": str, "navbar": dict, "queryHistory": dict, "regionalFormat": str,
    "theme": str, "timezone": str, "weekStart": str,
}  # fmt: skip
_BOARD_SENT: Fields = {
    "UpdatedAt": str, "dashboard": dict, "folderId": int, "folderUid": str, "isFolder": bool, "message": str, "overwrite": bool, "userId": int,
}  # fmt: skip
ERROR: Fields = {"*message": str, "error": str, "status": str}

CALLS: Mapping[tuple[str, str], Call] = {
    # the document forgets that an organisation may not be there; Grafana's handler answers 404 for it
    ("GET", "/api/orgs/name/([^/]+)"): Call(None, {"id": int, "name": str, "address": _ADDRESS}, _states(404)),
    ("POST", "/api/orgs"): Call({"name": str}, {"*message": str, "*orgId": int}, _states(409)),
    ("DELETE", r"/api/orgs/(\d+)"): Call(None, _SAID, _states(400, 404)),
    ("GET", "/api/datasources/uid/([^/]+)"): Call(None, _SOURCE, _states(400, 404)),
    ("POST", "/api/datasources"): Call(_SOURCE_SENT, _SOURCE_KEPT, _states(400, 409)),
    ("PUT", "/api/datasources/uid/([^/]+)"): Call({**_SOURCE_SENT, "version": int}, _SOURCE_KEPT, _states(400, 404, 409)),
    # the document has the message only; Grafana's handler adds the state of the check
    ("GET", "/api/datasources/uid/([^/]+)/health"): Call(None, {"message": str, "status": str}, _states(400, 404)),
    ("GET", "/api/folders/([^/]+)"): Call(None, _FOLDER, _states(404)),
    ("POST", "/api/folders"): Call({"description": str, "parentUid": str, "title": str, "uid": str}, _FOLDER, _states(400, 409)),
    ("POST", "/api/dashboards/db"): Call(
        _BOARD_SENT,
        {"folderUid": str, "*id": int, "*status": str, "*title": str, "*uid": str, "*url": str, "*version": int, "slug": str},
        _states(400, 404, 412, 422),
    ),
    ("DELETE", "/api/dashboards/uid/([^/]+)"): Call(None, {"*message": str, "*title": str, "*uid": str}, _states(404)),
    ("GET", "/api/search"): Call(None, _HIT, _states(422)),
    ("PATCH", "/api/org/preferences"): Call(_PREFERENCES, _SAID, _states(400)),
}  # fmt: skip
"""Each operation by its method and the pattern of its path. Of a search the answer is a list of such."""


def strays(fields: Fields, value: Any, where: str) -> Iterator[str]:
    """What of a JSON value the document does not know, or misses."""
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is no object"
        return
    known = {name.removeprefix("*"): kind for name, kind in fields.items()}
    for name in fields:
        if name.startswith("*") and name[1:] not in value:
            yield f"{where}: no {name[1:]}"
    for name, one in value.items():
        kind = known.get(name)
        if kind is None:
            yield f"{where}: {name} is not known"
        elif isinstance(kind, Mapping):
            yield from strays(kind, one, f"{where}.{name}")
        elif not isinstance(one, kind) or (kind is int and isinstance(one, bool)):
            yield f"{where}: {name} is {one!r}"
