"""What routes are given: the running service and the scope of the caller."""

import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from scrubjay.api.metrics import Metrics
from scrubjay.memory.memories import Memories
from scrubjay.ports import Embedder, MemoryStore


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running service."""

    memories: Memories
    store: MemoryStore
    embedder: Embedder


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _app_id(request: Request) -> str:
    app_id: str = request.state.app_id
    return app_id


def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


def now_ms() -> int:
    """The clock of the service: UTC milliseconds."""
    return time.time_ns() // 1_000_000


Running = Annotated[Services, Depends(_services)]
AppId = Annotated[str, Depends(_app_id)]
Measured = Annotated[Metrics, Depends(_metrics)]
