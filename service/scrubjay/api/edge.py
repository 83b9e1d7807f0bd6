"""The first and last code that a request meets: identity, limits, timing and the log line."""

import re
import time
import traceback
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

from scrubjay.api.keys import DEFAULT_APP, ApiKeys
from scrubjay.api.metrics import Metrics, stages
from scrubjay.api.problems import Code, problem

_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
_LOOPBACK = re.compile(r"^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$", re.IGNORECASE)
_OPEN_PATHS = re.compile(r"^(/v1)?/(health|livez|readyz|metrics|docs|openapi\.json)$")
_BODY_METHODS = {"POST", "PUT", "PATCH"}

log: structlog.stdlib.BoundLogger = structlog.get_logger("scrubjay.access")


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may come in. Without keys, whoever reaches loopback is the default app."""

    keys: ApiKeys
    body_bytes_max: int

    def app_of(self, headers: Headers) -> str | None:
        if not self.keys:
            return DEFAULT_APP
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return self.keys.app_of(key.strip()) if scheme.lower() == "bearer" else None

    def refusal(self, scope: Scope, headers: Headers, app_id: str | None) -> tuple[Code, str] | None:
        """Say why a request is not served, from its head alone."""
        if not self.keys and not _LOOPBACK.match(headers.get("host", "")):
            # A page in a browser that points its own name at 127.0.0.1 would otherwise read every memory.
            return Code.WRONG_HOST, "Without API keys only localhost and 127.0.0.1 are served."
        if not _OPEN_PATHS.match(scope["path"]) and app_id is None:
            return Code.UNAUTHORIZED, "Send a valid key as: Authorization: Bearer <key>."
        if int(headers.get("content-length", "0")) > self.body_bytes_max:
            return Code.BODY_TOO_LARGE, f"The body may have {self.body_bytes_max} bytes."
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] in _BODY_METHODS and media_type != "application/json":
            return Code.UNSUPPORTED_MEDIA_TYPE, "Send the body with: Content-Type: application/json."
        return None


class Edge:
    """ASGI middleware around the whole service."""

    def __init__(self, app: ASGIApp, gate: Gate, metrics: Metrics) -> None:
        self._app = app
        self._gate = gate
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked = headers.get("x-request-id", "")
        request_id = asked if _REQUEST_ID.match(asked) else str(uuid7())
        visit = _Visit(scope, send, request_id)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        token = stages.set(visit.stages)
        try:
            app_id = self._gate.app_of(headers)
            refusal = self._gate.refusal(scope, headers, app_id)
            if refusal:
                code, detail = refusal
                response: Response = problem(code, detail, request_id=request_id)
                await response(scope, receive, visit.send)
                return
            scope.setdefault("state", {}).update(request_id=request_id, app_id=app_id)
            await self._app(scope, _bounded(receive, self._gate.body_bytes_max), visit.send)
        except Exception as error:
            await visit.fail(error, receive)
        finally:
            stages.reset(token)
            visit.report(self._metrics)


class _Visit:
    """One request on its way through: adds the headers, notes the status, writes the log line."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._began = time.perf_counter()
        self._status = 499  # The client went away before an answer began.
        self._started = False
        self.stages: dict[str, float] = {}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._started = message["status"], True
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._request_id
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Cache-Control"] = "no-store"
            timings = {**self.stages, "total": time.perf_counter() - self._began}
            headers["Server-Timing"] = ", ".join(f"{name};dur={took * 1000:.3f}" for name, took in timings.items())
        await self._send(message)

    async def fail(self, error: Exception, receive: Receive) -> None:
        """Answer an error that nobody expected. Its text can quote content, so the log says its type and place."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        log.error("unexpected_error", error=type(error).__name__, at=f"{place.filename}:{place.lineno}")
        if not self._started:
            detail = "Please report it with the request id."
            response = problem(Code.INTERNAL_ERROR, detail, request_id=self._request_id)
            await response(self._scope, receive, self.send)

    def report(self, metrics: Metrics) -> None:
        took = time.perf_counter() - self._began
        # The template, not the path: a path holds a user id, and a query string what the user asked.
        route = getattr(self._scope.get("route"), "path", "unmatched")
        method = self._scope["method"] if route != "unmatched" else "any"
        metrics.requests.labels(method, route, str(self._status)).inc()
        metrics.seconds.labels(route).observe(took)
        state: dict[str, Any] = self._scope.get("state", {})
        log.info(
            "request",
            method=method,
            route=route,
            status=self._status,
            ms=round(took * 1000, 1),
            app=state.get("app_id"),
        )


def _bounded(receive: Receive, bytes_max: int) -> Receive:
    """Count the body as it comes, for a body without a length or with a false one."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > bytes_max:
            raise HTTPException(413)
        return message

    return counted
