"""Every error leaves as a problem document (RFC 9457): the AnxinError tree, validation, and what nobody expected.

A problem holds `type`, `title` (Chinese first), `status`, `detail`, `code`, and for bad input `errors`: a JSON pointer (RFC 6901)
or the name of a parameter, with the reason. It never holds the input, a stack trace or a secret.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from hub.errors import AnxinError, BadInput, Conflict, Forbidden, LinkDown, NotFound

MEDIA_TYPE = "application/problem+json"
TITLES: Mapping[int, str] = {
    400: "请求有误 · Bad request",
    401: "未认证 · Not authenticated",
    403: "无权操作 · Not allowed",
    404: "没有找到 · Not found",
    405: "不支持该方法 · Method not allowed",
    408: "请求超时 · Request took too long",
    409: "与当前状态冲突 · Conflict with the present state",
    410: "已不再保留 · No longer kept",
    413: "请求过大 · Request too large",
    415: "不支持该类型 · Media type not supported",
    422: "输入无效 · Invalid input",
    500: "内部错误 · Internal error",
    503: "服务暂不可用 · Not available for now",
}
_MAX_ERRORS = 100
_OURS = "Value error, "
"""what pydantic puts before a sentence of our own"""
_log = structlog.get_logger(__name__)


class FieldError(BaseModel):
    """What is wrong, and where."""

    pointer: str = Field(description="JSON pointer into the body (`#/name`), or `query/limit`, `path/id`, `header/…`")
    detail: str


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="`urn:anxin:problem:<code>`")
    title: str
    status: int
    detail: str
    code: str = Field(description="short and machine-readable")
    errors: list[FieldError] = Field(default_factory=list)


def response(
    status: int,
    detail: str,
    code: str,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as a response."""
    title = TITLES.get(status, "错误 · Error")
    problem = Problem(
        type=f"urn:anxin:problem:{code}",
        title=title,
        status=status,
        detail=_printable(detail),
        code=code,
        errors=[FieldError(pointer=_printable(e.pointer), detail=_printable(e.detail)) for e in errors],
    )
    return JSONResponse(problem.model_dump(), status, dict(headers or {}), MEDIA_TYPE)


def _printable(text: str) -> str:
    # what a client sent may be quoted in a reason; a lone surrogate could not be encoded, NUL upsets readers
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "�")


def pointer(location: Sequence[int | str]) -> str:
    """FastAPI's location tuple as a JSON pointer into the body, or `query/…`, `path/…`, `header/…`."""
    place, *rest = location or ("body",)
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in rest]
    return "#" + "".join(f"/{part}" for part in parts) if place == "body" else "/".join([str(place), *parts])


def of_error(error: AnxinError) -> Response:
    """The problem that belongs to one of our errors."""
    if isinstance(error, BadInput):
        field = [FieldError(pointer=error.where, detail=error.reason)] if error.where else []
        return response(422, str(error), error.code, field)
    if isinstance(error, NotFound):
        return response(404, str(error), "not-found")
    if isinstance(error, Forbidden):
        return response(403, str(error), "forbidden")
    if isinstance(error, Conflict):
        return response(409, str(error), "conflict")
    if isinstance(error, LinkDown):
        return response(503, "the database cannot be reached: try again", "unavailable", headers={"Retry-After": "1"})
    _log.error("api_error", error=type(error).__name__)
    return response(500, "an error inside the hub", "internal")


async def _on_anxin(_: Request, error: Exception) -> Response:
    assert isinstance(error, AnxinError)
    return of_error(error)


async def _on_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [
        FieldError(pointer=pointer(one["loc"]), detail=str(one["msg"]).removeprefix(_OURS))
        for one in error.errors()[:_MAX_ERRORS]
    ]
    first = found[0]
    return response(422, f"{first.pointer}: {first.detail}", "validation", found)


async def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {401: "unauthenticated", 403: "forbidden", 404: "not-found", 405: "method", 410: "gone", 413: "too-large"}
    return response(
        error.status_code, str(error.detail), codes.get(error.status_code, "http"), headers=error.headers or {}
    )


async def _on_anything(request: Request, error: Exception) -> Response:
    # Starlette raises it again afterwards, so that the server's log has the trace; the client learns nothing
    _log.error("api_failed", method=request.method, path=request.url.path, error=type(error).__name__)
    return response(500, "an error inside the hub", "internal")


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(AnxinError, _on_anxin)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_anything)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's responses for these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": TITLES[status], "content": content} for status in statuses}


def describe(app: FastAPI) -> None:
    """Put the shape of a problem into the OpenAPI document, where `documented` points to it."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:
            shape = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= {**shape.pop("$defs", {}), "Problem": shape}
        return document

    app.openapi = openapi  # type: ignore[method-assign]
