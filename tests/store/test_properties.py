"""Properties that hold for any text: filters find exactly what they say, and scopes never mix."""

import asyncio
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scrubjay.errors import InvalidInput
from scrubjay.model import Filter, Scope, Status
from scrubjay.store import filters
from scrubjay.store.milvus import MilvusStore

from tests.store.test_contract import bump, ids, record

# What breaks quoting, and any other text. NUL and lone surrogates never reach a store.
NASTY = [
    '"',
    "'",
    "\\",
    '\\"',
    "\n",
    "\r\n",
    "\t",
    '" or id != "" or id == "',
    "%",
    "_",
    "{x}",
    "$",
    "`",
    "\u2028",
    "🦜",
]
TEXT = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.lists(st.sampled_from(NASTY), min_size=1, max_size=4).map("".join),
)
TEXTS = st.lists(TEXT, min_size=1, max_size=8, unique=True)
ANY = Filter(statuses=())

relaxed = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@relaxed
@example(texts=NASTY)
@given(texts=TEXTS)
def test_a_filter_finds_exactly_the_rows_with_that_text(
    sync_store: MilvusStore, runner: asyncio.Runner, texts: list[str]
) -> None:
    scope = Scope(f"app-{uuid4()}", "user")
    records = [record(scope, seed=seed, category=text, metadata={"k": text}) for seed, text in enumerate(texts)]

    async def check() -> None:
        await sync_store.insert(scope, records)
        assert [memory.category for memory in await sync_store.get(scope, ids(records))] == texts
        for item, text in zip(records, texts, strict=True):
            for where in (Filter(categories=(text,)), Filter(metadata={"k": text})):
                assert [key.id for key in await sync_store.keys(scope, where=where)] == [item.memory.id]

    runner.run(check())


@relaxed
@example(users=NASTY, attacker='" or user_id != "')
@given(users=TEXTS, attacker=TEXT)
def test_no_operation_crosses_a_scope(
    sync_store: MilvusStore, runner: asyncio.Runner, users: list[str], attacker: str
) -> None:
    app = f"app-{uuid4()}"
    scopes = [Scope(app, user) for user in users if user != attacker]
    stranger = Scope(app, attacker)
    namesake = Scope(f"{app}-2", users[0])

    async def check() -> None:
        owned = {scope: record(scope, seed=seed) for seed, scope in enumerate(scopes)}
        for scope, item in owned.items():
            await sync_store.insert(scope, [item])
        everything = ids(list(owned.values()))
        for foreign in (stranger, namesake):
            assert await sync_store.get(foreign, everything) == []
            assert await sync_store.keys(foreign, where=ANY) == []
            assert await sync_store.update({foreign: dict.fromkeys(everything, bump)}) == []
            assert await sync_store.delete(foreign, everything) == 0
            assert await sync_store.forget(foreign) == 0
        for scope, item in owned.items():
            assert [key.id for key in await sync_store.keys(scope, where=ANY)] == [item.memory.id]
            [matches] = await sync_store.search(scope, item.embedding[None], where=Filter(), limit=100)
            assert [match.memory for match in matches] == [item.memory]

    runner.run(check())


@given(text=st.text())
def test_a_literal_is_one_line_and_closes_its_quote(text: str) -> None:
    literal = filters.quoted(text)
    assert literal[0] == literal[-1] == '"'
    inner = literal[1:-1].replace("\\\\", "").replace('\\"', "")
    assert '"' not in inner
    assert not set("\n\r\t") & set(inner)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(InvalidInput, match="surrogate"):
        filters.quoted("\ud800")


def test_a_status_filter_without_statuses_means_any_status() -> None:
    assert "status" not in filters.of_filter(Scope("a", "u"), ANY)
    assert '"active"' in filters.of_filter(Scope("a", "u"), Filter(statuses=(Status.ACTIVE,)))
