"""Errors as RFC 9457 problem details, from one closed table of codes."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from scrubjay_embeddings import EmbeddingError, EmbeddingInvalid, EmbeddingRejected, EmbeddingUnavailable
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from scrubjay import errors

RETRY_AFTER_S = 2
ERRORS_MAX = 20
POINTER_CHARS_MAX = 200
MEDIA_TYPE = "application/problem+json"

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Code(Enum):
    """Every code that an answer can carry, with its status and its title."""

    INVALID_JSON = (400, "The body is not JSON")
    UNAUTHORIZED = (401, "A valid API key is required")
    NOT_FOUND = (404, "There is nothing at this address")
    MEMORY_NOT_FOUND = (404, "There is no such memory")
    METHOD_NOT_ALLOWED = (405, "This address does not take this method")
    BODY_TOO_LARGE = (413, "The body is too large")
    UNSUPPORTED_MEDIA_TYPE = (415, "The body must be application/json")
    WRONG_HOST = (421, "This service answers on loopback only")
    INVALID_INPUT = (422, "The request has invalid values")
    INVALID_CURSOR = (422, "The cursor is not valid")
    INTERNAL_ERROR = (500, "Something went wrong on our side")
    STORE_ERROR = (500, "The store could not do what was asked")
    EMBEDDING_FAILED = (502, "The embedding provider did not give usable vectors")
    OVERLOADED = (503, "Too many requests wait")
    STORE_UNAVAILABLE = (503, "Milvus is away")
    EMBEDDING_UNAVAILABLE = (503, "The embedding provider is away")

    def __init__(self, status: int, title: str) -> None:
        self.status = status
        self.title = title

    @property
    def slug(self) -> str:
        return self.name.lower()


class FieldError(BaseModel):
    """What is wrong with one value. `pointer` is a JSON pointer into the body, or `?name` for a query parameter."""

    pointer: str
    detail: str


class Problem(BaseModel):
    """An error, as RFC 9457 has it, with a code from a closed table."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[FieldError] = []


_CODES: list[tuple[type[Exception], Code]] = [
    (errors.InvalidCursor, Code.INVALID_CURSOR),
    (errors.InvalidInput, Code.INVALID_INPUT),
    (errors.MemoryNotFound, Code.MEMORY_NOT_FOUND),
    (errors.Overloaded, Code.OVERLOADED),
    (errors.StoreUnavailable, Code.STORE_UNAVAILABLE),
    (errors.StoreError, Code.STORE_ERROR),
    (EmbeddingUnavailable, Code.EMBEDDING_UNAVAILABLE),
    (EmbeddingRejected, Code.EMBEDDING_FAILED),
    (EmbeddingInvalid, Code.EMBEDDING_FAILED),
]
_STATUS_CODES = {
    400: Code.INVALID_JSON,
    401: Code.UNAUTHORIZED,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.BODY_TOO_LARGE,
    415: Code.UNSUPPORTED_MEDIA_TYPE,
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": "; ".join(code.title for code in Code if code.status == status),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status in sorted({code.status for code in Code})
}


def problem(
    code: Code,
    detail: str,
    *,
    request_id: str,
    field_errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Build the answer. 503 says when to come back; 401 says how to authenticate."""
    body = Problem(
        type=f"urn:scrubjay:problem:{code.slug}",
        title=code.title,
        status=code.status,
        code=code.slug,
        detail=detail,
        request_id=request_id,
        errors=list(field_errors),
    )
    extra = dict(headers or {})
    if code.status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault("Retry-After", str(RETRY_AFTER_S))
    if code.status == HTTPStatus.UNAUTHORIZED:
        extra.setdefault("WWW-Authenticate", "Bearer")
    content = body.model_dump(exclude_defaults=True)
    return JSONResponse(content, status_code=code.status, headers=extra, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every expected error of the app a problem; `Edge` sees to the others."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(errors.ScrubjayError, _ours)
    app.add_exception_handler(EmbeddingError, _ours)


def document(app: FastAPI) -> None:
    """Add the problem's schema, which the error responses of every route refer to, to the OpenAPI document."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        schema = describe()
        reference = "#/components/schemas/{model}"
        problem_schema = Problem.model_json_schema(ref_template=reference)
        definitions: dict[str, Any] = problem_schema.pop("$defs", {})
        schema["components"]["schemas"] |= definitions | {"Problem": problem_schema}
        return schema

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's documented way to extend the document.


def _request_id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


def _ours(request: Request, error: Exception) -> JSONResponse:
    code = next((code for kind, code in _CODES if isinstance(error, kind)), Code.INTERNAL_ERROR)
    if code.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request_failed", code=code.slug, error=str(error))
    field_errors: list[FieldError] = []
    if isinstance(error, errors.InvalidInput) and error.pointer:
        field_errors = [FieldError(pointer=error.pointer, detail=str(error))]
    headers = {}
    if isinstance(error, EmbeddingUnavailable) and error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return problem(code, str(error), request_id=_request_id(request), field_errors=field_errors, headers=headers)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    items: Iterable[dict[str, Any]] = error.errors()
    if any(item["type"] == "json_invalid" for item in items):
        return problem(Code.INVALID_JSON, "The body could not be read as JSON.", request_id=_request_id(request))
    # Never the input: it can be a message, and it need not be encodable.
    field_errors = [
        FieldError(pointer=_pointer(item["loc"]), detail=item["msg"]) for item in itertools.islice(items, ERRORS_MAX)
    ]
    detail = "; ".join(f"{item.pointer}: {item.detail}" for item in field_errors[:3])
    return problem(Code.INVALID_INPUT, detail, request_id=_request_id(request), field_errors=field_errors)


def _pointer(location: Sequence[int | str]) -> str:
    source, *path = location
    if source == "query":
        return _encodable(f"?{'.'.join(map(str, path))}")
    return _encodable("/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path))


def _encodable(text: str) -> str:
    """An unknown field's name comes from the client, so it can be long or no Unicode text."""
    return text[:POINTER_CHARS_MAX].encode(errors="replace").decode()


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _STATUS_CODES.get(error.status_code, Code.INTERNAL_ERROR)
    return problem(code, f"{code.title}.", request_id=_request_id(request), headers=error.headers)
