"""Opaque cursors for lists: the place of the last memory given out, tied to the filter of the list."""

import base64
import hashlib
import json
from dataclasses import replace

from scrubjay.errors import InvalidCursor
from scrubjay.model import Filter, Scope
from scrubjay.ports import Key

CURSOR_CHARS_MAX = 256


def encode(key: Key, scope: Scope, where: Filter) -> str:
    text = json.dumps([key.created_at, key.id, _fingerprint(scope, where)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, scope: Scope, where: Filter) -> Key:
    """Return the key in `cursor`. Raises `InvalidCursor` if it is not one of this scope's list with this filter."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
        created_at, id_, fingerprint = json.loads(text)
    except (ValueError, TypeError) as error:
        raise InvalidCursor("The cursor is not one that this list gave out.", pointer="/cursor") from error
    if not (isinstance(created_at, int) and isinstance(id_, str) and fingerprint == _fingerprint(scope, where)):
        raise InvalidCursor("The cursor belongs to another list or filter.", pointer="/cursor")
    return Key(created_at, id_)


def _fingerprint(scope: Scope, where: Filter) -> str:
    timeless = replace(where, expired_before=None, metadata=dict(sorted(where.metadata.items())))
    return hashlib.sha256(repr((scope, timeless)).encode()).hexdigest()[:16]
