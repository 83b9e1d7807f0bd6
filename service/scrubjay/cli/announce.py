"""Says beside a Milvus Lite folder which service owns it, so that commands can find that service."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scrubjay.settings import Settings


def _path(settings: Settings) -> Path:
    return Path(settings.uri).with_suffix(".service.json")


@contextmanager
def announced(settings: Settings, url: str) -> Iterator[None]:
    """Write the address for as long as the service runs. A file left by a crash is overwritten or ignored."""
    if not settings.is_lite:
        yield
        return
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def announced_url(settings: Settings) -> str | None:
    """Return the address of the service that says it owns the folder, or None."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(_path(settings).read_text(encoding="utf-8"))["url"])
    return None
