"""Checks everything that the service needs and says what to fix."""

import asyncio
import importlib.metadata
import json
import platform
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import httpx2
import typer
from scrubjay_embeddings import EmbeddingError, EmbeddingSpec

from scrubjay.bootstrap import configure_logging, milvus_options, open_provider, read_keys, require_safe_host
from scrubjay.cli.announce import announced_url
from scrubjay.errors import ScrubjayError
from scrubjay.settings import Settings, unknown_variables
from scrubjay.store.connection import is_locked
from scrubjay.store.milvus import MilvusStore

DISK_FREE_MIN = 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check; `fix` says what to do where it is not ok."""

    check: str
    ok: bool
    detail: str
    fix: str = ""


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Check the model, Milvus, versions, dimension and disk, and say what to fix. Exit code 1 if something is wrong.

    Example: scrubjay doctor --json
    """
    configure_logging("error")
    findings = asyncio.run(examine(Settings()))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{'ok   ' if finding.ok else 'WRONG'}  {finding.check:10}  {finding.detail}")
            if finding.fix:
                typer.echo(f"       {'':10}  -> {finding.fix}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


async def examine(settings: Settings) -> list[Finding]:
    """Run every check, the later ones also if an earlier one fails."""
    findings = [_versions(), _settings(settings), _disk(settings)]
    spec: EmbeddingSpec | None = None

    async def model() -> Finding:
        nonlocal spec
        began = time.perf_counter()
        provider = await open_provider(settings)
        try:
            vectors = await provider.embed(["a memory"], kind="document")
        finally:
            await provider.aclose()
        spec = provider.spec
        took = time.perf_counter() - began
        return Finding("model", True, f"{spec.model}, dimension {vectors.shape[1]}, loaded in {took:.1f} s")

    findings.append(await _guarded("model", model))
    if spec is not None:
        needed = spec
        findings.append(await _guarded("milvus", lambda: _milvus(settings, needed)))
    return findings


async def _guarded(check: str, run: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await run()
    except (ScrubjayError, EmbeddingError) as error:
        return Finding(check, False, type(error).__name__, str(error))


async def _milvus(settings: Settings, spec: EmbeddingSpec) -> Finding:
    if settings.is_lite and is_locked(Path(settings.uri)):
        return await _owned(settings)
    store = await MilvusStore.open(milvus_options(settings), spec)
    try:
        defect = store.capabilities.defect or ""
        detail = f"{store.capabilities} at {settings.uri if settings.is_lite else 'the server'}, collection verified"
        return Finding("milvus", not defect, detail, defect)
    finally:
        await store.aclose()


async def _owned(settings: Settings) -> Finding:
    url = announced_url(settings)
    if url is None:
        fix = "Stop the process that owns it, or choose another SCRUBJAY_DATA_DIR."
        return Finding("milvus", False, f"{settings.uri} is owned by another process", fix)
    try:
        async with httpx2.AsyncClient(timeout=5.0) as client:
            healthy = (await client.get(f"{url}/readyz")).is_success
    except httpx2.TransportError:
        healthy = False
    detail = f"{settings.uri} is owned by the service at {url}"
    return Finding("milvus", healthy, detail, "" if healthy else "The service does not answer; restart it.")


def _versions() -> Finding:
    names = ("scrubjay", "pymilvus", "milvus-lite", "sentence-transformers", "torch", "openai")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    ok = sys.version_info >= (3, 11)
    fix = "" if ok else "Use Python 3.11 or later."
    return Finding("versions", ok, f"Python {platform.python_version()}, {versions}", fix)


def _settings(settings: Settings) -> Finding:
    if unknown := unknown_variables():
        return Finding("settings", False, f"unknown: {', '.join(unknown)}", "See .env.example for the names.")
    try:
        keys = read_keys(settings)
        require_safe_host(settings, keys)
    except ScrubjayError as error:
        return Finding("settings", False, type(error).__name__, str(error))
    return Finding("settings", True, f"{settings.host}:{settings.port}, {len(keys.apps)} API keys")


def _disk(settings: Settings) -> Finding:
    folder = settings.data_dir.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1024**3:.1f} GiB free for {settings.data_dir}"
    ok = free >= DISK_FREE_MIN
    return Finding("disk", ok, detail, "" if ok else "Free some disk: Milvus wants at least 1 GiB.")
