"""Commands that run the service."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
import uvicorn

from scrubjay.api.keys import new_key
from scrubjay.bootstrap import configure_logging, create_app
from scrubjay.cli.announce import announced
from scrubjay.errors import SettingsError
from scrubjay.settings import Settings, unknown_variables

SHUTDOWN_S = 10


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on; else SCRUBJAY_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free port; else SCRUBJAY_PORT.")] = None,
) -> None:
    """Run the service until it is interrupted.

    Example: SCRUBJAY_MILVUS_URI=http://localhost:19530 scrubjay serve --port 8080
    """
    settings = Settings()
    given = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
    settings = settings.model_copy(update=given)
    configure_logging(settings.log_level)
    if unknown := unknown_variables():
        raise SettingsError(f"Unknown setting {unknown[0]}. The settings are listed in .env.example.")
    app = create_app(settings)
    listener = _listen(settings)
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=SHUTDOWN_S,
    )

    async def run() -> None:
        # Opened here and not by uvicorn, so that an error at the start is one plain line.
        async with app.router.lifespan_context(app):
            with announced(settings, url), _signals_end_serving():
                typer.echo(f"Scrubjay is ready on {url} (docs at {url}/docs)", err=True)
                await uvicorn.Server(config).serve(sockets=[listener])

    with listener, asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())


@contextmanager
def _signals_end_serving() -> Iterator[None]:
    """Let uvicorn end on SIGINT and SIGTERM without ending the process: it raises them again when it has ended."""
    previous = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def key(
    app: Annotated[str, typer.Option("--app", help="The name of the app that the key is for.")],
) -> None:
    """Make an API key for an app. The key is shown once; the entry goes into SCRUBJAY_API_KEYS or the keys file.

    Example: scrubjay key --app shop
    """
    secret, entry = new_key(app)
    typer.echo(f"key:   {secret}\nentry: {entry}")


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Choose another SCRUBJAY_PORT."
        ) from error
    return listener
