"""What a memory is, and the bounds of every part of it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CONTENT_BYTES_MAX: Final = 8_000
ID_BYTES_MAX: Final = 128
"""Of an app id, a user id, a chat id and a message id."""
CATEGORY_CHARS_MAX: Final = 64
FIELD_CHARS_MAX: Final = 64
VALUE_BYTES_MAX: Final = 1_000
METADATA_BYTES_MAX: Final = 8_000
METADATA_KEYS_MAX: Final = 32
METADATA_KEY_CHARS_MAX: Final = 64

Scalar = str | int | float | bool
JSON = Scalar | None | list["JSON"] | dict[str, "JSON"]


class MemoryType(StrEnum):
    FACT = "fact"
    PREFERENCE = "preference"
    TASK = "task"


class Status(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"
    SUPERSEDED = "superseded"


class Event(StrEnum):
    """What adding a memory did."""

    ADD = "ADD"
    """It was new and is stored."""
    SKIP = "SKIP"
    """It was known; the known memory counts one more access."""
    UPDATE = "UPDATE"
    """It was known, and the known memory's importance rose as well."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose memories: a user of an app. Nothing is read or written without it."""

    app_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory to add. `importance` and `confidence` are in [0, 1]; `expires_at` is in UTC ms, 0 for never."""

    content: str
    memory_type: MemoryType = MemoryType.FACT
    category: str = "other"
    importance: float = 0.5
    confidence: float = 1.0
    field: str = ""
    value: str = ""
    chat_id: str = ""
    message_id: str = ""
    expires_at: int = 0
    metadata: Mapping[str, JSON] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Memory:
    """A stored memory. All times are UTC milliseconds, 0 for none."""

    id: str
    app_id: str
    user_id: str
    content: str
    content_hash: str
    memory_type: MemoryType
    category: str
    importance: float
    confidence: float
    created_at: int
    updated_at: int
    last_accessed: int
    embedding_model: str
    access_count: int = 0
    field: str = ""
    value: str = ""
    chat_id: str = ""
    message_id: str = ""
    status: Status = Status.ACTIVE
    superseded_by: str = ""
    decayed_at: int = 0
    valid_from: int = 0
    valid_to: int = 0
    expires_at: int = 0
    metadata: Mapping[str, JSON] = dataclasses.field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        return Scope(self.app_id, self.user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which memories of a scope: every part that is set must hold. Times are UTC ms, from inclusive, to exclusive."""

    memory_types: tuple[MemoryType, ...] = ()
    categories: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = (Status.ACTIVE,)
    importance_min: float | None = None
    importance_max: float | None = None
    created_from: int | None = None
    created_to: int | None = None
    metadata: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)
    """Keys of the metadata's top level that must equal these values."""
    expired_before: int | None = None
    """Leave out memories whose `expires_at` has passed at this time."""


@dataclass(frozen=True, slots=True)
class Match:
    """A memory found by meaning. `similarity` is the cosine, in [-1, 1]."""

    memory: Memory
    similarity: float
