"""Embedding providers: text in, unit vectors out. This package knows nothing of Scrubjay."""

from scrubjay_embeddings.base import Embedder, EmbeddingSpec, FloatArray, Kind, unit_vectors
from scrubjay_embeddings.batching import BatchingEmbedder
from scrubjay_embeddings.caching import CachingEmbedder
from scrubjay_embeddings.errors import (
    EmbeddingError,
    EmbeddingInvalid,
    EmbeddingRejected,
    EmbeddingUnavailable,
    ModelNotFound,
)
from scrubjay_embeddings.local import LocalEmbedder
from scrubjay_embeddings.openai import AzureOptions, OpenAIEmbedder
from scrubjay_embeddings.presets import PRESETS, Prefixes, prefixes_of
from scrubjay_embeddings.retrying import RetryingEmbedder

__all__ = [
    "PRESETS",
    "AzureOptions",
    "BatchingEmbedder",
    "CachingEmbedder",
    "Embedder",
    "EmbeddingError",
    "EmbeddingInvalid",
    "EmbeddingRejected",
    "EmbeddingSpec",
    "EmbeddingUnavailable",
    "FloatArray",
    "Kind",
    "LocalEmbedder",
    "ModelNotFound",
    "OpenAIEmbedder",
    "Prefixes",
    "RetryingEmbedder",
    "prefixes_of",
    "unit_vectors",
]
