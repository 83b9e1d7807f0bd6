"""Decides whether a new statement says what a stored one says already. Pure functions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from scrubjay.model import Match

BYTES_PER_TOKEN_MAX = 3
"""A text of at most this many bytes a token of the model's window was read whole (a Chinese character: 3 bytes)."""

_WORD = re.compile(r"[^\W_]+(?:[.,:/'’-][^\W_]+)*")
_SENTENCE_BREAKS = frozenset('.!?:;\n"“(')
_FIRST_PERSON = frozenset(("i", "i'm", "i've", "i'll", "i'd"))
_NEGATION = re.compile(
    r"no|not|never|none|nobody|nothing|neither|nor|without|cannot|dislike[sd]?|hate[sd]?|avoid(?:s|ed)?|stopped|quit"
    r"|(?:ai|are|ca|could|did|do|does|had|has|have|is|must|need|should|was|were|wo|would)n'?t"
)
_NUMBERS = dict(
    zero="0", one="1", two="2", three="3", four="4", five="5", six="6", seven="7", eight="8", nine="9", ten="10",
    eleven="11", twelve="12",
)  # fmt: skip
_TIME = re.compile(
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|may|june|july|august|september|october"
    r"|november|december|morning|afternoon|evening|night|today|tomorrow|yesterday|daily|weekly|monthly|yearly"
)


@dataclass(frozen=True, slots=True)
class Sameness:
    """When two statements are the same: their cosine, and how many tokens the embedding model reads of a text."""

    similarity_min: float
    tokens_max: int

    def known(self, content: str, neighbours: Sequence[Match]) -> Match | None:
        """Return the most similar neighbour that says the same as `content`, or None.

        The same is: cosine at least `similarity_min`, nothing said that the neighbour does not say (a number, a
        day, a name), and the same polarity. Where the model reads only the start of a text, only equal texts are.
        """
        for match in sorted(neighbours, key=lambda match: -match.similarity):
            if match.similarity < self.similarity_min:
                return None
            stored = match.memory.content
            if stored == content or (self._read_whole(content, stored) and not says_more(content, stored)):
                return match
        return None

    def is_unclear(self, content: str, nearest: Sequence[Match]) -> bool:
        """Whether a neighbour is near but says something else, so that a further one may be the same."""
        near = any(match.similarity >= self.similarity_min for match in nearest)
        return near and self.known(content, nearest) is None

    def _read_whole(self, *contents: str) -> bool:
        return max(len(content.encode()) for content in contents) <= BYTES_PER_TOKEN_MAX * self.tokens_max


def says_more(new: str, stored: str) -> bool:
    """Whether `new` has a number, day or name that `stored` lacks, or the other polarity."""
    words, known_words = _words(new), _words(stored)
    if _negated(words) != _negated(known_words):
        return True
    vocabulary = set(known_words)
    return any(value not in vocabulary for value in _values(new, words))


def _words(text: str) -> list[str]:
    """Lower-case words, with small number words as digits and possessives cut."""
    words = (match.group().casefold().replace("’", "'").removesuffix("'s") for match in _WORD.finditer(text))
    return [_NUMBERS.get(word, word) for word in words]


def _negated(words: Sequence[str]) -> bool:
    """An odd number of negations; "I don't dislike tea" affirms."""
    count = sum(_NEGATION.fullmatch(word) is not None for word in words)
    return count % 2 == 1


def _values(text: str, words: Sequence[str]) -> set[str]:
    values = {word for word in words if any(map(str.isdigit, word)) or _TIME.fullmatch(word)}
    end = 0
    for number, (match, word) in enumerate(zip(_WORD.finditer(text), words, strict=True)):
        begins = number == 0 or not _SENTENCE_BREAKS.isdisjoint(text[end : match.start()])
        if match.group()[0].isupper() and not begins and word not in _FIRST_PERSON:
            values.add(word)
        end = match.end()
    return values
