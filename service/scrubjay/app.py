"""The service for ASGI servers: `uvicorn --factory scrubjay.app:app`."""

from fastapi import FastAPI

from scrubjay.bootstrap import configure_logging, create_app
from scrubjay.settings import Settings


def app() -> FastAPI:
    """Build the service from the environment."""
    settings = Settings()
    configure_logging(settings.log_level)
    return create_app(settings)
