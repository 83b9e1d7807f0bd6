"""Orders matches by similarity, recency and importance. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass

from scrubjay.model import Match, Memory

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each part counts. Only their ratios matter; at least one is over 0."""

    similarity: float = 0.8
    recency: float = 0.1
    importance: float = 0.1


@dataclass(frozen=True, slots=True)
class Ranked:
    """A match with its score in [0, 1] and the parts that it is made of, each in [0, 1]."""

    memory: Memory
    similarity: float
    score: float
    relevance: float
    recency: float
    importance: float


def rank(matches: Sequence[Match], *, weights: Weights, half_life_days: float, now: int) -> list[Ranked]:
    """Return the matches with their scores, best first.

    The score is the weighted mean of relevance (the cosine, negative as 0), recency (halved every
    `half_life_days` since the last access) and importance: the sum of Park et al., "Generative Agents", 2023,
    section 4.1, made a mean so that it stays in [0, 1].
    """
    ranked = [_scored(match, weights, half_life_days, now) for match in matches]
    return sorted(ranked, key=lambda item: (-item.score, -item.similarity, item.memory.id))


def _scored(match: Match, weights: Weights, half_life_days: float, now: int) -> Ranked:
    relevance = min(1.0, max(0.0, match.similarity))
    age_days = max(0, now - match.memory.last_accessed) / DAY_MS
    recency = 0.5 ** (age_days / half_life_days)
    importance = match.memory.importance
    total = weights.similarity + weights.recency + weights.importance
    score = weights.similarity * relevance + weights.recency * recency + weights.importance * importance
    return Ranked(match.memory, match.similarity, score / total, relevance, recency, importance)
