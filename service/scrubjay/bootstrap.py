"""Puts the service together. The only module that names adapters."""

import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, FastAPI
from scrubjay_embeddings import (
    AzureOptions,
    BatchingEmbedder,
    CachingEmbedder,
    LocalEmbedder,
    OpenAIEmbedder,
    RetryingEmbedder,
)

from scrubjay import __version__
from scrubjay.api import memories, operations, problems, users
from scrubjay.api.edge import Edge, Gate
from scrubjay.api.keys import ApiKeys
from scrubjay.api.metrics import Metrics, TimedEmbedder
from scrubjay.api.services import Services, now_ms
from scrubjay.errors import SettingsError
from scrubjay.memory.memories import Memories, Policy
from scrubjay.memory.ranking import Weights
from scrubjay.ports import Embedder
from scrubjay.settings import Settings
from scrubjay.store.collections import ProfileName
from scrubjay.store.connection import MilvusOptions
from scrubjay.store.milvus import MilvusStore

REMOTE_BATCHES = 8
"""Batches under way at once to a remote provider; a model in this process runs one."""

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def create_app(settings: Settings, keys: ApiKeys | None = None) -> FastAPI:
    """Build the service. It opens the model and Milvus when its lifespan begins.

    `keys` replaces those of the settings. Raises `SettingsError` if there are no keys and the host is not loopback.
    """
    keys = read_keys(settings) if keys is None else keys
    require_safe_host(settings, keys)
    measured = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings, measured) as services:
            app.state.services = services
            yield

    app = FastAPI(
        title="Scrubjay",
        version=__version__,
        summary="A semantic memory service for AI assistants on Milvus",
        lifespan=lifespan,
        responses=problems.RESPONSES,
        redirect_slashes=False,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.metrics = measured
    for router in (operations.router, memories.router, users.router):
        _include(app, router)
    problems.install(app)
    problems.document(app)
    app.add_middleware(Edge, gate=Gate(keys, settings.body_bytes_max), metrics=measured)
    return app


@asynccontextmanager
async def open_services(settings: Settings, measured: Metrics) -> AsyncIterator[Services]:
    """Load the model, open Milvus, and close both in order. Says what it opens and how long it took."""
    async with AsyncExitStack() as stack:
        began = time.perf_counter()
        log.info("model_loading", provider=settings.embedding_provider, model=settings.embedding_model or "default")
        embedder = await open_embedder(settings, measured)
        stack.push_async_callback(embedder.aclose)
        loaded = time.perf_counter()
        spec = embedder.spec
        log.info("model_ready", model=spec.model, dimension=spec.dimension, seconds=round(loaded - began, 3))
        store = await MilvusStore.open(milvus_options(settings), spec)
        stack.push_async_callback(store.aclose)
        parts = {f"{name}_s": round(took, 3) for name, took in store.timings_s.items()}
        log.info("store_ready", milvus=str(store.capabilities), **parts)
        if defect := store.capabilities.defect:
            log.warning("milvus_defect", detail=defect)
        policy = Policy(
            dedup_similarity=settings.dedup_similarity,
            weights=Weights(
                settings.rank_similarity_weight, settings.rank_recency_weight, settings.rank_importance_weight
            ),
            half_life_days=settings.rank_half_life_days,
            access_flush_s=settings.access_flush_s,
        )
        domain = Memories(store, embedder, now_ms, policy)
        domain.start()
        stack.push_async_callback(domain.aclose)
        log.info("ready", seconds=round(time.perf_counter() - began, 3))
        yield Services(domain, store, embedder)


async def open_embedder(settings: Settings, measured: Metrics) -> Embedder:
    """Open the configured provider inside its wrappers: cache over batches over retries over the provider."""
    provider = await open_provider(settings)
    remote = settings.embedding_provider != "local"
    if remote:
        provider = RetryingEmbedder(
            provider, attempts=settings.embedding_attempts, deadline_s=settings.embedding_deadline_s
        )
    batching = BatchingEmbedder(
        provider,
        batch_max=settings.embedding_batch_max,
        wait_s=settings.embedding_batch_wait_ms / 1000,
        workers=REMOTE_BATCHES if remote else 1,
    )
    return TimedEmbedder(CachingEmbedder(batching, entries_max=settings.embedding_cache_entries), measured)


async def open_provider(settings: Settings) -> Embedder:
    """Open the bare provider. Raises `EmbeddingError`."""
    if settings.embedding_provider == "local":
        return await LocalEmbedder.load(
            **({"model": settings.embedding_model} if settings.embedding_model else {}),
            revision=settings.embedding_revision or None,
            device=settings.embedding_device,
            threads=settings.embedding_threads,
        )
    azure = settings.embedding_provider == "azure"
    return await OpenAIEmbedder.connect(
        **({"model": settings.embedding_model} if settings.embedding_model else {}),
        api_key=settings.embedding_api_key.get_secret_value(),
        base_url=None if azure else settings.embedding_base_url or None,
        azure=AzureOptions(settings.embedding_base_url, settings.embedding_azure_api_version) if azure else None,
        dimensions=settings.embedding_dimensions,
        timeout_s=settings.embedding_timeout_s,
    )


def milvus_options(settings: Settings) -> MilvusOptions:
    """Return the Milvus part of the settings, with the profile chosen by the address where it says `auto`."""
    return MilvusOptions(
        uri=settings.uri,
        token=settings.milvus_token.get_secret_value(),
        database=settings.milvus_database,
        collection=settings.milvus_collection,
        profile=_profile(settings),
        consistency=settings.milvus_consistency,
        timeout_s=settings.milvus_timeout_s,
        threads=settings.milvus_threads,
        ca_file=str(settings.milvus_ca_file or ""),
        client_cert_file=str(settings.milvus_client_cert_file or ""),
        client_key_file=str(settings.milvus_client_key_file or ""),
        server_name=settings.milvus_server_name,
    )


def _profile(settings: Settings) -> ProfileName:
    if settings.milvus_profile != "auto":
        return settings.milvus_profile
    if settings.is_lite:
        return "lite"
    host = urlsplit(settings.uri).hostname or ""
    return "cluster" if host.endswith((".zillizcloud.com", ".zilliz.com.cn")) else "standalone"


def read_keys(settings: Settings) -> ApiKeys:
    """Read the API keys from the settings and from their file. Raises `SettingsError`."""
    lines = settings.api_keys.get_secret_value().split(",")
    if settings.api_keys_file:
        try:
            lines += settings.api_keys_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"The API keys file {settings.api_keys_file} cannot be read.") from error
    return ApiKeys.parse(lines)


def require_safe_host(settings: Settings, keys: ApiKeys) -> None:
    """Raise `SettingsError` if memories would be served to the network without a key."""
    if not keys and not settings.is_loopback:
        raise SettingsError(
            f"Refusing to listen on {settings.host} without API keys: anyone who reaches it could read every memory. "
            "Make a key with `scrubjay key --app NAME` and set SCRUBJAY_API_KEYS, or use SCRUBJAY_HOST=127.0.0.1."
        )


def configure_logging(level: str) -> None:
    """Log one JSON object a line to stderr, our own events and the libraries' alike."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpx2", "httpcore2", "openai", "urllib3", "sentence_transformers", "transformers"):
        # Their lower levels quote addresses and texts.
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _include(app: FastAPI, router: APIRouter) -> None:
    app.include_router(router)
    app.include_router(router, prefix="/v1", include_in_schema=False)
