"""The embedding port and the one check that every vector passes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubjay_embeddings.errors import EmbeddingInvalid

Kind = Literal["query", "document"]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EmbeddingSpec:
    """What identifies the vectors of a model. Two specs that differ give vectors that cannot be compared."""

    model: str
    dimension: int
    revision: str
    tokens_max: int
    """Tokens that the model reads of a text. What follows does not change the vector."""


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def spec(self) -> EmbeddingSpec: ...

    async def embed(self, texts: Sequence[str], *, kind: Kind) -> FloatArray:
        """Return unit vectors, float32, of shape (len(texts), spec.dimension), in the order of `texts`.

        Raises `EmbeddingUnavailable`, `EmbeddingRejected` or `EmbeddingInvalid`.
        """
        ...

    async def ping(self) -> None:
        """Raise an `EmbeddingError` if the provider cannot serve."""
        ...

    async def aclose(self) -> None: ...


def unit_vectors(raw: ArrayLike, *, count: int, dimension: int) -> FloatArray:
    """Return `raw` as float32 rows of length 1.

    Raises `EmbeddingInvalid` if the shape is not (count, dimension), or a row is zero or not finite.
    """
    if not count:
        return np.empty((0, dimension), dtype=np.float32)
    try:
        vectors = np.asarray(raw, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise EmbeddingInvalid(f"The model did not answer with {count} rows of numbers.") from error
    if vectors.shape != (count, dimension):
        raise EmbeddingInvalid(f"Expected vectors of shape {(count, dimension)}, got {vectors.shape}.")
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        raise EmbeddingInvalid("The model answered with a vector that is not finite (NaN or infinity).")
    if not norms.min() > 0:
        raise EmbeddingInvalid("The model answered with a zero vector, which has no direction.")
    unit: FloatArray = (vectors / norms).astype(np.float32)
    return unit
