"""How commands reach memories: a running service if there is one, else the service inside this process."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from scrubjay.api.keys import DEFAULT_APP, ApiKeys, new_key
from scrubjay.bootstrap import configure_logging, create_app
from scrubjay.cli.announce import announced_url
from scrubjay.errors import ScrubjayError, StoreLocked
from scrubjay.settings import Settings
from scrubjay.store.connection import is_locked

TIMEOUT_S = 60.0

Client = httpx2.AsyncClient


class CommandError(ScrubjayError):
    """The service answered with an error."""


@asynccontextmanager
async def connect(settings: Settings, app_name: str) -> AsyncIterator[Client]:
    """Open a client. In this process, the command acts as the app `app_name`; over HTTP, its key says which app."""
    url = settings.url or _owner(settings)
    if url:
        key = settings.api_key.get_secret_value()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with Client(base_url=url, headers=headers, timeout=TIMEOUT_S) as client:
            yield client
        return
    key, entry = new_key(app_name or DEFAULT_APP)
    app = create_app(settings, ApiKeys.parse([entry]))
    async with (
        app.router.lifespan_context(app),
        Client(
            transport=httpx2.ASGITransport(app=app),
            base_url="http://scrubjay",
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_S,
        ) as client,
    ):
        yield client


def run(command: Callable[[Client], Coroutine[Any, Any, Any]], settings: Settings, app_name: str) -> Any:
    """Run one command over a client and return what it returns. Raises `CommandError` or `ScrubjayError`."""
    configure_logging("warning")

    async def inside() -> Any:
        async with connect(settings, app_name) as client:
            return await command(client)

    try:
        return asyncio.run(inside())
    except httpx2.TransportError as error:
        raise CommandError(
            f"The service at {settings.url or _owner(settings)} does not answer. Is it running?"
        ) from error


async def call(client: Client, method: str, path: str, **options: Any) -> dict[str, Any]:
    """Send a request and return its JSON. Raises `CommandError` with what the service says."""
    response = await client.request(method, path, **options)
    try:
        body: dict[str, Any] = response.json()
    except ValueError as error:
        raise CommandError(f"{client.base_url} is not a Scrubjay service.") from error
    if response.is_error:
        hint = " Set SCRUBJAY_API_KEY." if response.status_code == 401 else ""
        raise CommandError(f"{body.get('title', response.status_code)}: {body.get('detail', '')}{hint}")
    return body


def _owner(settings: Settings) -> str | None:
    """Return the address of the service that owns the Lite folder, or None if it is free."""
    if not settings.is_lite or not is_locked(Path(settings.uri)):
        return None
    url = announced_url(settings)
    if url is None:
        raise StoreLocked(
            f"Another process owns {settings.uri} and does not say where it listens. Set SCRUBJAY_URL to its address."
        )
    return url
