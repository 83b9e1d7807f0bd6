"""Model presets by language, and the prefixes that model families were trained with."""

from typing import NamedTuple

DEFAULT_MODEL = "all-MiniLM-L6-v2"

PRESETS = {
    "english": DEFAULT_MODEL,
    "chinese": "BAAI/bge-small-zh-v1.5",
    "multilingual": "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
}
"""Chosen so that a cosine over 0.9 means "the same statement": the E5 family packs all its cosines above 0.7."""


class Prefixes(NamedTuple):
    query: str = ""
    document: str = ""


_E5 = Prefixes("query: ", "passage: ")
_FAMILIES = {
    # Matched against the lower-case model name, first hit wins. Sources: the model cards.
    "bge-m3": Prefixes(),
    "bge-small-zh": Prefixes("为这个句子生成表示以用于检索相关文章："),
    "bge-base-zh": Prefixes("为这个句子生成表示以用于检索相关文章："),
    "bge-large-zh": Prefixes("为这个句子生成表示以用于检索相关文章："),
    "bge-small-en": Prefixes("Represent this sentence for searching relevant passages: "),
    "bge-base-en": Prefixes("Represent this sentence for searching relevant passages: "),
    "bge-large-en": Prefixes("Represent this sentence for searching relevant passages: "),
    "e5-small": _E5,
    "e5-base": _E5,
    "e5-large": _E5,
    "nomic-embed-text": Prefixes("search_query: ", "search_document: "),
}


def prefixes_of(model: str) -> Prefixes:
    """Return what the model expects before a query and before a document; empty for most models."""
    name = model.lower()
    if "instruct" in name:
        return Prefixes()
    return next((prefixes for family, prefixes in _FAMILIES.items() if family in name), Prefixes())
