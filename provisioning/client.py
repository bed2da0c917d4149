"""The hub as `anxinctl` sees it: its REST API, nothing else. What goes wrong becomes one of three errors, each tied to an exit code."""

import ipaddress
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from provisioning.errors import Detail, Exit, HubError

PREFIX = "/api/v1"
_SECONDS = 30.0
_PAGE = 500
_NOT_ALLOWED = (401, 403)
_BAD_INPUT = (400, 413, 415, 422)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Hub:
    """A session with one hub. Use it as a context manager; every method raises HubError."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        try:
            base = httpx.URL(url.rstrip("/").removesuffix(PREFIX) + PREFIX)
        except httpx.InvalidURL:
            raise HubError(f"{url!r} is no URL of a hub", Exit.BAD_INPUT) from None
        if base.scheme not in ("http", "https") or not base.host:
            raise HubError(f"{url!r} is no URL of a hub: it begins with http:// or https://", Exit.BAD_INPUT)
        if not token.isascii() or not token.isprintable():
            raise HubError("the token holds characters that no token has", Exit.BAD_INPUT)
        self._origin = f"{base.scheme}://{base.netloc.decode('ascii')}"
        self._http = httpx.Client(
            base_url=base,
            headers={"Authorization": f"Bearer {token}", "User-Agent": "anxinctl"},
            timeout=_SECONDS,
            # a hub on this machine is never behind the proxy that the environment names
            trust_env=not _is_loopback(base.host),
            transport=transport,
        )

    def __enter__(self) -> Self:
        """The session."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its connections."""
        self._http.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """What the hub says of `path`; parameters that are None are left out."""
        return self._ask("GET", path, parameters=parameters)

    def get_within(self, seconds: float, path: str, parameters: Mapping[str, Any]) -> Any:
        """The same of what takes longer than an answer usually does."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._send("GET", path, params=given, timeout=seconds)

    def post(self, path: str, content: Any = None, **parameters: Any) -> Any:
        """Hand `content` (JSON) to the hub."""
        return self._ask("POST", path, content, parameters)

    def put(self, path: str, content: Any) -> Any:
        """Put `content` (JSON) at `path`."""
        return self._ask("PUT", path, content)

    def put_bytes(self, path: str, content: bytes) -> None:
        """Put `content` as it is at `path`."""
        self._send("PUT", path, content=content, headers={"Content-Type": "application/octet-stream"})

    def post_bytes(self, path: str, content: bytes, within: float = _SECONDS, **parameters: Any) -> Any:
        """Hand `content` as it is to the hub, and wait so many seconds for its answer."""
        headers = {"Content-Type": "application/octet-stream"}
        return self._send("POST", path, params=parameters, content=content, headers=headers, timeout=within)

    def delete(self, path: str) -> None:
        """Take away what is at `path`."""
        self._ask("DELETE", path)

    def text(self, path: str) -> str:
        """What the hub says of `path` where that is no JSON: a page, a table."""
        return self._answer("GET", path).text

    def content(self, path: str, **parameters: Any) -> bytes:
        """A document as it is; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._answer("GET", path, params=given).content

    def items(self, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(path, **{"limit": _PAGE, **parameters, "cursor": cursor})
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def _ask(self, method: str, path: str, content: Any = None, parameters: dict[str, Any] | None = None) -> Any:
        given = {name: value for name, value in (parameters or {}).items() if value is not None}
        return self._send(method, path, params=given, json=content)

    def _send(self, method: str, path: str, **given: Any) -> Any:
        answer = self._answer(method, path, **given)
        return None if answer.status_code == httpx.codes.NO_CONTENT else _json(answer)

    def _answer(self, method: str, path: str, **given: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **given)
        except httpx.TimeoutException:
            raise HubError(f"the hub at {self._origin} does not answer", Exit.NOT_REACHABLE) from None
        except httpx.HTTPError as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            hint = "is it running, and do ANXIN_API or --api name it?"
            raise HubError(
                f"the hub at {self._origin} cannot be reached ({reason}): {hint}", Exit.NOT_REACHABLE
            ) from None
        if answer.is_success:
            return answer
        raise _refusal(answer)


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise HubError("what answers there is no hub: its answer is not JSON", Exit.NOT_REACHABLE) from None


def _refusal(answer: httpx.Response) -> HubError:
    status = answer.status_code
    try:
        problem = answer.json()
        message = str(problem["detail"])
        details = [Detail(str(row["pointer"]), str(row["detail"])) for row in problem.get("errors", ())]
    except (ValueError, KeyError, TypeError, AttributeError):
        message, details = f"the hub answered {status} without saying why", []
    if status == httpx.codes.UNAUTHORIZED:
        message = f"{message}: what ANXIN_TOKEN or --token-file gives is wrong, expired or revoked"
    if status in _NOT_ALLOWED:
        return HubError(message, Exit.NOT_ALLOWED)
    if status in _BAD_INPUT:
        return HubError(message, Exit.BAD_INPUT, details)
    if status >= 500:
        return HubError(message, Exit.NOT_REACHABLE)
    return HubError(message, Exit.REFUSED, details)
