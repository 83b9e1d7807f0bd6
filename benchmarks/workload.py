"""Data to measure on, and percentiles."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from scrubjay.model import Memory, MemoryType, Scope
from scrubjay.ports import Record
from scrubjay_embeddings import EmbeddingSpec
from uuid_utils.compat import uuid7

SEED = 20_261_121
WHO = ["I", "My sister", "My brother", "My boss", "My neighbour", "My mother", "My friend", "My colleague"]
WHAT = ["like", "sell", "collect", "repair", "study", "paint", "avoid", "want", "need", "own", "design", "photograph"]
THING = [
    "old bicycles", "jazz records", "tomato plants", "stone houses", "wooden boats", "spicy noodles", "mystery novels",
    "desert cacti", "board games", "winter coats", "film cameras", "mountain huts", "paper maps", "clay pots",
    "garden birds", "steam trains", "chess sets", "silk scarves", "radio plays", "rye bread",
]  # fmt: skip
WHERE = [
    "in Lisbon", "near the harbour", "at the weekend", "with great care", "for a living", "since childhood",
    "in spring",
    "on the balcony", "at night", "for the school", "in the village", "because of the weather", "on long journeys",
    "before breakfast", "for charity", "in the old town", "by the river", "after work", "at the market", "for fun",
    "in secret", "with friends", "for the family", "every summer", "near Oslo", "in the attic", "under the bridge",
]  # fmt: skip


def sentences() -> Iterator[str]:
    """Yield 51,840 different statements, in an order that mixes them."""
    every = [" ".join(parts) for parts in itertools.product(WHO, WHAT, THING, WHERE)]
    order = np.random.default_rng(SEED).permutation(len(every))
    return (every[index] for index in order)


def records(scopes: Sequence[Scope], count: int, spec: EmbeddingSpec) -> list[Record]:
    """Return `count` records over the scopes in turn, with random unit vectors."""
    random = np.random.default_rng(SEED)
    made = []
    for number, content in zip(range(count), itertools.cycle(sentences()), strict=False):
        vector = random.normal(size=spec.dimension).astype(np.float32)
        scope = scopes[number % len(scopes)]
        memory = Memory(
            id=str(uuid7()),
            app_id=scope.app_id,
            user_id=scope.user_id,
            content=content,
            content_hash=hashlib.sha256(content.encode()).hexdigest(),
            memory_type=MemoryType.FACT,
            category="other",
            importance=0.5,
            confidence=1.0,
            created_at=1_700_000_000_000 + number,
            updated_at=1_700_000_000_000,
            last_accessed=1_700_000_000_000,
            embedding_model=spec.model,
        )
        made.append(Record(memory, vector / np.linalg.norm(vector)))
    return made


def percentiles(times_s: Sequence[float]) -> tuple[float, float]:
    """Return p50 and p95 in milliseconds."""
    p50, p95 = np.percentile(times_s, [50, 95]) * 1000
    return float(p50), float(p95)
