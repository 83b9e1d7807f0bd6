"""A model of what users did, held against the domain on a real Milvus Lite with the real embedding model."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from scrubjay.errors import MemoryNotFound
from scrubjay.memory.memories import Memories, Patch, Policy
from scrubjay.model import Draft, Event, Filter, Memory, Scope
from scrubjay.store.connection import MilvusOptions
from scrubjay.store.milvus import MilvusStore
from scrubjay_embeddings import CachingEmbedder, LocalEmbedder

# Statements that differ from each other, each with a wording that is known when the other is.
STATEMENTS = {
    "I live in New York": "I live in New York.",
    "I work as a nurse": "I work as a nurse.",
    "I have 3 cats": "I have three cats",
    "I have 4 cats": "I have four cats",
    "I like tea": "I like tea.",
    "I don't like tea": "I don't like tea.",
}
SCOPES = [Scope("app", "alice"), Scope("app", "bob"), Scope("other", "alice")]
CONTENTS = st.sampled_from([*STATEMENTS, *STATEMENTS.values()])
IMPORTANCES = st.sampled_from([0.1, 0.5, 0.9])


def base(content: str) -> str:
    """The statement that a wording belongs to."""
    return next(statement for statement, wording in STATEMENTS.items() if content in (statement, wording))


class Machine(RuleBasedStateMachine):
    """Each user has at most one memory a statement, with the highest importance and every access counted."""

    embedder: CachingEmbedder

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="scrubjay-stateful-")
        self.now = 1_700_000_000_000
        self.model: dict[Scope, dict[str, tuple[str, float, int]]] = {scope: {} for scope in SCOPES}
        self.open()

    def open(self) -> None:
        options = MilvusOptions(uri=str(Path(self.folder.name) / "memories.db"))
        self.store = self.runner.run(MilvusStore.open(options, self.embedder.spec))
        self.memories = Memories(self.store, self.embedder, self.clock, Policy())

    def close(self) -> None:
        self.runner.run(self.memories.aclose())
        self.runner.run(self.store.aclose())

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.close()
            self.runner.close()
            self.folder.cleanup()

    def clock(self) -> int:
        self.now += 1
        return self.now

    def listed(self, scope: Scope) -> list[Memory]:
        page = self.runner.run(self.memories.page(scope, where=Filter(), limit=100))
        assert page.next_cursor is None
        return page.memories

    @rule(scope=st.sampled_from(SCOPES), drafts=st.lists(st.tuples(CONTENTS, IMPORTANCES), min_size=1, max_size=4))
    def add(self, scope: Scope, drafts: list[tuple[str, float]]) -> None:
        made = [Draft(content, importance=importance) for content, importance in drafts]
        results = self.runner.run(self.memories.add(scope, made))
        known = self.model[scope]
        for (content, importance), result in zip(drafts, results, strict=True):
            statement = base(content)
            if statement not in known:
                assert result.event == Event.ADD
                known[statement] = (result.memory.id, importance, 0)
                continue
            id_, highest, count = known[statement]
            assert result.event == (Event.UPDATE if importance > highest else Event.SKIP)
            assert result.memory.id == id_
            known[statement] = (id_, max(highest, importance), count + 1)

    @rule(scope=st.sampled_from(SCOPES), content=CONTENTS, importance=IMPORTANCES)
    def update(self, scope: Scope, content: str, importance: float) -> None:
        known = self.model[scope].get(base(content))
        if known:
            id_, _, count = known
            changed = self.runner.run(self.memories.update(scope, id_, Patch(importance=importance)))
            assert changed.importance == importance
            self.model[scope][base(content)] = (id_, importance, count)

    @rule(owner=st.sampled_from(SCOPES), other=st.sampled_from(SCOPES), content=CONTENTS)
    def delete(self, owner: Scope, other: Scope, content: str) -> None:
        known = self.model[owner].get(base(content))
        if known and owner != other:
            with pytest.raises(MemoryNotFound):
                self.runner.run(self.memories.delete(other, known[0]))
        elif known:
            self.runner.run(self.memories.delete(owner, known[0]))
            del self.model[owner][base(content)]

    @rule(scope=st.sampled_from(SCOPES))
    def forget(self, scope: Scope) -> None:
        assert self.runner.run(self.memories.forget(scope)) == len(self.model[scope])
        self.model[scope] = {}

    @rule(scope=st.sampled_from(SCOPES), content=CONTENTS)
    def search(self, scope: Scope, content: str) -> None:
        found = self.runner.run(self.memories.search(scope, content, where=Filter(), limit=10))
        known = self.model[scope]
        assert {item.memory.id for item in found} == {id_ for id_, _, _ in known.values()}
        for statement, (id_, importance, count) in known.items():
            known[statement] = (id_, importance, count + 1)
        if base(content) in known:
            most_similar = max(found, key=lambda item: item.similarity)
            assert base(most_similar.memory.content) == base(content)

    @rule()
    def restart(self) -> None:
        self.close()
        self.open()

    @invariant()
    def what_is_listed_is_what_was_said(self) -> None:
        if not hasattr(self, "memories"):
            return
        self.runner.run(self.memories._accesses.flush())
        for scope, known in self.model.items():
            listed = {base(memory.content): memory for memory in self.listed(scope)}
            assert {
                statement: (memory.id, memory.importance, memory.access_count) for statement, memory in listed.items()
            } == known
            assert len(self.listed(scope)) == len(known)


def test_the_domain_does_what_the_model_says(model: LocalEmbedder) -> None:
    machine: Any = type("Run", (Machine,), {"embedder": CachingEmbedder(model)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
