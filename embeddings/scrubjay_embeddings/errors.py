"""What can go wrong when text is embedded. A class's docstring is what the user reads."""


class EmbeddingError(Exception):
    """Text could not be embedded."""


class EmbeddingUnavailable(EmbeddingError):
    """The embedding provider is away, slow or over its rate limit. The same call may succeed later."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EmbeddingRejected(EmbeddingError):
    """The embedding provider refused the request: a wrong key, an unknown model or an input it does not take."""


class EmbeddingInvalid(EmbeddingError):
    """The provider answered with vectors that cannot be stored: NaN, zero, or of another dimension."""


class ModelNotFound(EmbeddingError):
    """The local embedding model could not be loaded."""
