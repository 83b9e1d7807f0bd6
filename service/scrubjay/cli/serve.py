"""Commands that run the service."""

import socket
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
    bound = listener.getsockname()[1]
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    with announced(settings, f"http://{shown}:{bound}"):
        typer.echo(f"Scrubjay starts on http://{shown}:{bound} (docs at /docs)", err=True)
        uvicorn.Server(config).run(sockets=[listener])


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
