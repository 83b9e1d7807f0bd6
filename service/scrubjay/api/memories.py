"""Routes of typed memories."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from scrubjay.api.schemas import (
    AddedManyOut,
    AddedOut,
    AddIn,
    AddManyIn,
    DeletedOut,
    MatchesOut,
    MatchOut,
    MemoryOut,
    PatchIn,
    SearchIn,
    UserParameters,
)
from scrubjay.api.services import AppId, Measured, Running
from scrubjay.api.values import MemoryId
from scrubjay.model import Event, Scope

router = APIRouter(tags=["memories"])

_ADD = {
    "fact": {
        "summary": "A fact",
        "value": {"user_id": "alice", "content": "I live in New York", "category": "personal", "importance": 0.8},
    },
    "preference": {
        "summary": "A preference with a field",
        "value": {
            "user_id": "alice",
            "content": "I like Python",
            "memory_type": "preference",
            "category": "work",
            "field": "likes",
            "value": "Python",
            "metadata": {"source": "onboarding"},
        },
    },
}
_ADD_MANY = {
    "two": {
        "summary": "Two memories",
        "value": {
            "user_id": "alice",
            "memories": [
                {"content": "I work as a nurse", "category": "work"},
                {"content": "Renew the passport in May", "memory_type": "task"},
            ],
        },
    }
}
_SEARCH = {
    "explained": {
        "summary": "With filters and explanation",
        "value": {
            "user_id": "alice",
            "query": "Where do I live?",
            "memory_types": ["fact"],
            "importance_min": 0.3,
            "weights": {"similarity": 1.0, "recency": 0.2},
            "explain": True,
        },
    }
}


@router.post("/memories", status_code=201, responses={200: {"model": AddedOut, "description": "It was known"}})
async def add_memory(
    body: Annotated[AddIn, Body(openapi_examples=_ADD)],
    app_id: AppId,
    services: Running,
    metrics: Measured,
    response: Response,
) -> AddedOut:
    """Store a memory, or recognise that it is known. 201 with `ADD`, 200 with `SKIP` or `UPDATE`."""
    [added] = await services.memories.add(Scope(app_id, body.user_id), [body.to_draft()])
    metrics.added.labels(added.event).inc()
    if added.event != Event.ADD:
        response.status_code = 200
    return AddedOut.of(added)


@router.post("/memories/batch")
async def add_memories(
    body: Annotated[AddManyIn, Body(openapi_examples=_ADD_MANY)], app_id: AppId, services: Running, metrics: Measured
) -> AddedManyOut:
    """Store up to 1,000 memories of a user. Near-duplicates within the batch are recognised too."""
    results = await services.memories.add(Scope(app_id, body.user_id), [draft.to_draft() for draft in body.memories])
    for added in results:
        metrics.added.labels(added.event).inc()
    return AddedManyOut(results=list(map(AddedOut.of, results)))


@router.post("/memories/search")
async def search_memories(
    body: Annotated[SearchIn, Body(openapi_examples=_SEARCH)], app_id: AppId, services: Running
) -> MatchesOut:
    """Find memories by meaning, with filters, weights and, if asked, the parts of each score."""
    found = await services.memories.search(
        Scope(app_id, body.user_id),
        body.query,
        where=body.to_filter(),
        limit=body.limit,
        similarity_min=body.similarity_min,
        weights=body.weights.to_weights() if body.weights else None,
    )
    return MatchesOut(matches=[MatchOut.of(item, explain=body.explain) for item in found])


@router.get("/memories/{memory_id}")
async def get_memory(memory_id: MemoryId, query: UserParameters, app_id: AppId, services: Running) -> MemoryOut:
    """Return one memory of a user."""
    return MemoryOut.of(await services.memories.get(Scope(app_id, query.user_id), str(memory_id)))


@router.patch("/memories/{memory_id}")
async def update_memory(
    memory_id: MemoryId, query: UserParameters, body: PatchIn, app_id: AppId, services: Running
) -> MemoryOut:
    """Change parts of a memory. New content is embedded again."""
    scope = Scope(app_id, query.user_id)
    return MemoryOut.of(await services.memories.update(scope, str(memory_id), body.to_patch()))


@router.delete("/memories/{memory_id}")
async def delete_memory(memory_id: MemoryId, query: UserParameters, app_id: AppId, services: Running) -> DeletedOut:
    """Delete one memory of a user for good."""
    await services.memories.delete(Scope(app_id, query.user_id), str(memory_id))
    return DeletedOut(deleted=1)
