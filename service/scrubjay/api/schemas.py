"""The bodies of requests and answers."""

from typing import Annotated, Any, Self

from fastapi import Query as InQuery
from pydantic import BaseModel, ConfigDict, Field, StrictInt, model_validator

from scrubjay.api import values
from scrubjay.api.values import to_ms
from scrubjay.memory.context import Profile
from scrubjay.memory.cursor import CURSOR_CHARS_MAX
from scrubjay.memory.intake import Added
from scrubjay.memory.memories import DRAFTS_MAX, LIMIT_MAX, Patch
from scrubjay.memory.ranking import Ranked, Weights
from scrubjay.model import Draft, Event, Filter, Memory, MemoryType, Status


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DraftIn(_In):
    """A memory to add."""

    content: Annotated[values.Content, Field(description="One statement, at most 8,000 bytes.")]
    memory_type: MemoryType = MemoryType.FACT
    category: Annotated[values.Category, Field(description="personal, work, health, hobby, other, or your own")] = (
        "other"
    )
    importance: values.StrictFraction = 0.5
    confidence: values.StrictFraction = 1.0
    field: Annotated[values.FieldName, Field(description="A structured attribute such as likes.")] = ""
    value: values.FieldValue = ""
    chat_id: values.OptionalId = ""
    message_id: values.OptionalId = ""
    expires_at: values.Time | None = None
    metadata: values.Metadata = {}

    def to_draft(self) -> Draft:
        parts = {name: getattr(self, name) for name in type(self).model_fields if name in Draft.__slots__}
        return Draft(**parts | {"expires_at": to_ms(self.expires_at) or 0})


class AddIn(DraftIn):
    """A memory to add for a user."""

    user_id: values.UserId

    def to_draft(self) -> Draft:
        return super().to_draft()


class AddManyIn(_In):
    """Memories to add for a user."""

    user_id: values.UserId
    memories: Annotated[list[DraftIn], Field(min_length=1, max_length=DRAFTS_MAX)]


class PatchIn(_In):
    """New values for parts of a memory. What is left out stays; `metadata` replaces all of it."""

    content: values.Content | None = None
    memory_type: MemoryType | None = None
    category: values.Category | None = None
    importance: values.StrictFraction | None = None
    confidence: values.StrictFraction | None = None
    field: values.FieldName | None = None
    value: values.FieldValue | None = None
    expires_at: Annotated[values.Time | None, Field(description="null for never")] = None
    metadata: values.Metadata | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name at least one part to change")
        if nulls := [name for name in self.model_fields_set - {"expires_at"} if getattr(self, name) is None]:
            raise ValueError(f"{sorted(nulls)[0]} must not be null")
        return self

    def to_patch(self) -> Patch:
        parts: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        if "expires_at" in parts:
            parts["expires_at"] = to_ms(self.expires_at) or 0
        return Patch(**parts)


class FilterIn(_In):
    """Which memories: every part that is set must hold. Times are RFC 3339 with a zone."""

    memory_types: list[MemoryType] = Field(default=[], max_length=len(MemoryType))
    categories: list[values.Category] = Field(default=[], max_length=20)
    importance_min: values.Fraction | None = None
    importance_max: values.Fraction | None = None
    created_from: Annotated[values.Time | None, Field(description="inclusive")] = None
    created_to: Annotated[values.Time | None, Field(description="exclusive")] = None

    def to_filter(self) -> Filter:
        return Filter(
            memory_types=tuple(sorted(set(self.memory_types))),
            categories=tuple(sorted(set(self.categories))),
            importance_min=self.importance_min,
            importance_max=self.importance_max,
            created_from=to_ms(self.created_from),
            created_to=to_ms(self.created_to),
        )


class ListQuery(FilterIn):
    """The query of a list."""

    limit: int = Field(default=50, ge=1, le=LIMIT_MAX)
    cursor: str | None = Field(default=None, min_length=1, max_length=CURSOR_CHARS_MAX)


class SearchQuery(FilterIn):
    """The query of a search."""

    query: values.Query
    limit: int = Field(default=5, ge=1, le=LIMIT_MAX)


class ContextQuery(_In):
    """The query of a context: with `query`, what is relevant to it; else what is most important."""

    query: values.Query | None = None
    limit: int = Field(default=20, ge=1, le=LIMIT_MAX)


class UserQuery(_In):
    """Whose memory an id is looked up in."""

    user_id: values.UserId


class WeightsIn(_In):
    """How much each part of the score counts; only the ratios matter."""

    similarity: values.StrictFraction = 1.0
    recency: values.StrictFraction = 0.0
    importance: values.StrictFraction = 0.0

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.similarity + self.recency + self.importance > 0:
            raise ValueError("at least one weight must be over 0")
        return self

    def to_weights(self) -> Weights:
        return Weights(self.similarity, self.recency, self.importance)


class SearchIn(FilterIn):
    """A search with filters, weights and explanation."""

    user_id: values.UserId
    query: values.Query
    limit: Annotated[StrictInt, Field(ge=1, le=LIMIT_MAX)] = 5
    similarity_min: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False, strict=True)] = -1.0
    metadata: Annotated[values.MetadataFilter, Field(description="top-level keys that must equal these values")] = {}
    weights: WeightsIn | None = None
    explain: bool = False

    def to_filter(self) -> Filter:
        parts = super().to_filter()
        return Filter(**{name: getattr(parts, name) for name in Filter.__slots__} | {"metadata": self.metadata})


class MemoryOut(BaseModel):
    """A memory."""

    id: str
    user_id: str
    content: str
    memory_type: MemoryType
    category: str
    field: str | None
    value: str | None
    importance: float
    confidence: float
    access_count: int
    status: Status
    created_at: values.TimeOut
    updated_at: values.TimeOut
    last_accessed: values.TimeOut
    expires_at: values.TimeOut
    chat_id: str | None
    message_id: str | None
    metadata: dict[str, Any]

    @classmethod
    def of(cls, memory: Memory) -> Self:
        parts = {name: getattr(memory, name) for name in cls.model_fields}
        return cls(**parts | {name: parts[name] or None for name in ("field", "value", "chat_id", "message_id")})


class AddedOut(BaseModel):
    """What became of a memory: ADD stored it; SKIP and UPDATE knew it, and `memory` is the known one."""

    event: Event
    memory: MemoryOut
    similarity: float | None = Field(description="to the known memory, for SKIP and UPDATE")

    @classmethod
    def of(cls, added: Added) -> Self:
        return cls(event=added.event, memory=MemoryOut.of(added.memory), similarity=added.similarity)


class AddedManyOut(BaseModel):
    results: list[AddedOut]


class PartsOut(BaseModel):
    """The parts of a score, each in [0, 1]."""

    relevance: float
    recency: float
    importance: float


class MatchOut(BaseModel):
    """A memory found: `similarity` is the cosine in [-1, 1], `score` the rank in [0, 1]."""

    memory: MemoryOut
    similarity: float
    score: float
    parts: PartsOut | None = None

    @classmethod
    def of(cls, ranked: Ranked, *, explain: bool = False) -> Self:
        parts = PartsOut(relevance=ranked.relevance, recency=ranked.recency, importance=ranked.importance)
        return cls(
            memory=MemoryOut.of(ranked.memory),
            similarity=ranked.similarity,
            score=ranked.score,
            parts=parts if explain else None,
        )


class MatchesOut(BaseModel):
    matches: list[MatchOut]


class PageOut(BaseModel):
    """A page of a list, newest first. `next_cursor` is null on the last page."""

    memories: list[MemoryOut]
    next_cursor: str | None


class DeletedOut(BaseModel):
    deleted: int


class ProfileOut(BaseModel):
    """What is known about a user; the more important comes first."""

    facts: dict[str, list[MemoryOut]]
    preferences: list[MemoryOut]
    tasks: list[MemoryOut]

    @classmethod
    def of(cls, profile: Profile) -> Self:
        return cls(
            facts={category: list(map(MemoryOut.of, items)) for category, items in profile.facts.items()},
            preferences=list(map(MemoryOut.of, profile.preferences)),
            tasks=list(map(MemoryOut.of, profile.tasks)),
        )


class ContextOut(BaseModel):
    """The contents of memories, grouped, for a program."""

    user_id: str
    context: "ContextGroups"
    has_memories: bool


class ContextGroups(BaseModel):
    facts: dict[str, list[str]]
    preferences: list[str]
    tasks: list[str]

    @classmethod
    def of(cls, profile: Profile) -> Self:
        return cls(
            facts={category: [memory.content for memory in items] for category, items in profile.facts.items()},
            preferences=[memory.content for memory in profile.preferences],
            tasks=[memory.content for memory in profile.tasks],
        )


class ContextTextOut(BaseModel):
    """The context as text for a prompt, fenced as data; empty if nothing is known."""

    user_id: str
    context: str
    has_memories: bool


ListParameters = Annotated[ListQuery, InQuery()]
SearchParameters = Annotated[SearchQuery, InQuery()]
ContextParameters = Annotated[ContextQuery, InQuery()]
UserParameters = Annotated[UserQuery, InQuery()]
