"""OpenAI embeddings, and every server that speaks the same protocol (Azure, vLLM, Ollama, llama.cpp, TEI)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import openai

from scrubjay_embeddings.base import EmbeddingSpec, FloatArray, Kind, unit_vectors
from scrubjay_embeddings.errors import EmbeddingInvalid, EmbeddingRejected, EmbeddingUnavailable
from scrubjay_embeddings.presets import prefixes_of

DEFAULT_MODEL = "text-embedding-3-small"
BATCH_MAX = 256
TOKENS_MAX = 8191
TEXT_BYTES_MAX = TOKENS_MAX
"""A token is at least one byte, so a text of this many bytes never exceeds the model's input."""

_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
_TRANSIENT_STATUS = {408, 409, 429}


@dataclass(frozen=True, slots=True)
class AzureOptions:
    """An Azure OpenAI resource. The model's name is the name of the deployment."""

    endpoint: str
    api_version: str = "2024-10-21"


class OpenAIEmbedder:
    """A client of the embeddings endpoint. It never retries: wrap it in `RetryingEmbedder`."""

    def __init__(self, client: openai.AsyncOpenAI, spec: EmbeddingSpec, *, dimensions: int | None) -> None:
        self._client = client
        self._spec = spec
        self._dimensions = dimensions
        self._prefixes = prefixes_of(spec.model)

    @classmethod
    async def connect(
        cls,
        model: str = DEFAULT_MODEL,
        *,
        api_key: str,
        base_url: str | None = None,
        azure: AzureOptions | None = None,
        dimensions: int | None = None,
        timeout_s: float = 10.0,
    ) -> "OpenAIEmbedder":
        """Build a client. For a model whose dimension is not known, ask the server for one vector.

        `dimensions` is sent with each request and must come back. Raises `EmbeddingError` where the server has
        to be asked and does not answer well.
        """
        client = _client(api_key, base_url, azure, timeout_s)
        spec = EmbeddingSpec(model, dimensions or _DIMENSIONS.get(model, 0), "", TOKENS_MAX)
        embedder = cls(client, spec, dimensions=dimensions)
        if not spec.dimension:
            try:
                [vector] = await embedder._request(["dimension"])
            except BaseException:
                await embedder.aclose()
                raise
            embedder._spec = replace(spec, dimension=len(vector))
        return embedder

    @property
    def spec(self) -> EmbeddingSpec:
        return self._spec

    async def embed(self, texts: Sequence[str], *, kind: Kind) -> FloatArray:
        prefix = self._prefixes.query if kind == "query" else self._prefixes.document
        inputs = [_bounded(prefix + text) for text in texts]
        rows: list[list[float]] = []
        for start in range(0, len(inputs), BATCH_MAX):
            rows.extend(await self._request(inputs[start : start + BATCH_MAX]))
        return unit_vectors(rows, count=len(inputs), dimension=self._spec.dimension)

    async def _request(self, inputs: list[str]) -> list[list[float]]:
        try:
            answer = await self._client.embeddings.create(
                model=self._spec.model,
                input=inputs,
                dimensions=self._dimensions if self._dimensions is not None else openai.omit,
            )
        except openai.APIStatusError as error:
            raise _translated(error) from error
        except openai.APIConnectionError as error:
            raise EmbeddingUnavailable("The embedding provider cannot be reached or did not answer in time.") from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise EmbeddingInvalid("The embedding provider's answer is not of the OpenAI protocol.") from error
        if len(answer.data or []) != len(inputs):
            raise EmbeddingInvalid(f"Sent {len(inputs)} texts and got {len(answer.data or [])} vectors.")
        return [item.embedding for item in sorted(answer.data, key=lambda item: item.index)]

    async def ping(self) -> None:
        await self._request(["ping"])

    async def aclose(self) -> None:
        await self._client.close()


def _client(api_key: str, base_url: str | None, azure: AzureOptions | None, timeout_s: float) -> openai.AsyncOpenAI:
    if azure:
        return openai.AsyncAzureOpenAI(
            api_key=api_key,
            azure_endpoint=azure.endpoint,
            api_version=azure.api_version,
            timeout=timeout_s,
            max_retries=0,
        )
    return openai.AsyncOpenAI(api_key=api_key, base_url=base_url, timeout=timeout_s, max_retries=0)


def _bounded(text: str) -> str:
    return text.encode()[:TEXT_BYTES_MAX].decode(errors="ignore")


def _translated(error: openai.APIStatusError) -> EmbeddingUnavailable | EmbeddingRejected:
    # The provider's text may quote the input, so only the status goes into the message.
    status = error.status_code
    if status in _TRANSIENT_STATUS or status >= 500:
        return EmbeddingUnavailable(
            f"The embedding provider answered {status}.",
            retry_after_s=_seconds(error.response.headers.get("retry-after")),
        )
    if status in (401, 403):
        return EmbeddingRejected(f"The embedding provider answered {status}: check the API key.")
    if status == 404:
        return EmbeddingRejected("The embedding provider answered 404: check the model's name and the base URL.")
    return EmbeddingRejected(f"The embedding provider refused the request with status {status}.")


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None  # An HTTP date: the ordinary backoff serves.
