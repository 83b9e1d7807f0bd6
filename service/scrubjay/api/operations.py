"""Routes for operators: is it alive, is it ready, how is it doing."""

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from scrubjay.api.services import Measured, Running

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    status: str
    timestamp: str
    service: str


@router.get("/health")
async def health(services: Running) -> Health:
    """Say whether the service and Milvus answer. 503 if Milvus is away."""
    await services.store.ping()
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Health(status="healthy", timestamp=now, service="scrubjay")


@router.get("/livez")
async def livez() -> dict[str, str]:
    """Say that the process answers, whatever the state of Milvus."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(services: Running) -> dict[str, str]:
    """Say whether requests can be served. 503 if Milvus is away."""
    await services.store.ping()
    return {"status": "ready"}


@router.get("/metrics", include_in_schema=False)
async def metrics(measured: Measured) -> Response:
    """Prometheus metrics."""
    return Response(measured.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
