"""Routes of one user's memories."""

from fastapi import APIRouter

from scrubjay.api.schemas import (
    ContextGroups,
    ContextOut,
    ContextParameters,
    ContextTextOut,
    DeletedOut,
    ListParameters,
    MatchesOut,
    MatchOut,
    MemoryOut,
    PageOut,
    ProfileOut,
    SearchParameters,
)
from scrubjay.api.services import AppId, Running, Services
from scrubjay.api.values import UserId
from scrubjay.memory.context import Profile, profile_of, text_of
from scrubjay.memory.memories import LIMIT_MAX
from scrubjay.model import Filter, Scope

router = APIRouter(prefix="/users/{user_id}", tags=["users"])


@router.get("/memories")
async def list_memories(user_id: UserId, query: ListParameters, app_id: AppId, services: Running) -> PageOut:
    """List a user's active memories, newest first."""
    page = await services.memories.page(
        Scope(app_id, user_id), where=query.to_filter(), limit=query.limit, cursor=query.cursor
    )
    return PageOut(memories=list(map(MemoryOut.of, page.memories)), next_cursor=page.next_cursor)


@router.get("/memories/search")
async def search_user_memories(
    user_id: UserId, query: SearchParameters, app_id: AppId, services: Running
) -> MatchesOut:
    """Find a user's memories by meaning."""
    found = await services.memories.search(
        Scope(app_id, user_id), query.query, where=query.to_filter(), limit=query.limit
    )
    return MatchesOut(matches=list(map(MatchOut.of, found)))


@router.delete("/memories")
async def forget_user(user_id: UserId, app_id: AppId, services: Running) -> DeletedOut:
    """Delete every memory of a user for good."""
    return DeletedOut(deleted=await services.memories.forget(Scope(app_id, user_id)))


@router.get("/profile")
async def get_profile(user_id: UserId, app_id: AppId, services: Running) -> ProfileOut:
    """Return what is known about a user by type and category: the newest 100 memories, the more important first."""
    return ProfileOut.of(await _recent(services, Scope(app_id, user_id), LIMIT_MAX))


@router.get("/context")
async def get_context(user_id: UserId, query: ContextParameters, app_id: AppId, services: Running) -> ContextOut:
    """Return the contents of a user's memories by group: those relevant to `query`, or else the newest."""
    profile = await _relevant(services, Scope(app_id, user_id), query.query, query.limit)
    return ContextOut(user_id=user_id, context=ContextGroups.of(profile), has_memories=_any(profile))


@router.get("/context/text")
async def get_context_text(
    user_id: UserId, query: ContextParameters, app_id: AppId, services: Running
) -> ContextTextOut:
    """Return the same as text for a system prompt, fenced as data."""
    profile = await _relevant(services, Scope(app_id, user_id), query.query, query.limit)
    return ContextTextOut(user_id=user_id, context=text_of(profile), has_memories=_any(profile))


async def _relevant(services: Services, scope: Scope, query: str | None, limit: int) -> Profile:
    if query is None:
        return await _recent(services, scope, limit)
    found = await services.memories.search(scope, query, where=Filter(), limit=limit)
    return profile_of(item.memory for item in found)


async def _recent(services: Services, scope: Scope, limit: int) -> Profile:
    page = await services.memories.page(scope, where=Filter(), limit=limit)
    return profile_of(page.memories)


def _any(profile: Profile) -> bool:
    return bool(profile.facts or profile.preferences or profile.tasks)
