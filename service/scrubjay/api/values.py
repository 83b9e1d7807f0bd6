"""The values that requests are made of, with their bounds. Errors say what is allowed and never quote the input."""

import json
import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer
from pydantic_core import PydanticCustomError

from scrubjay import model

_ID_FORBIDDEN = frozenset("\"'`\\/")
# Unicode category Cc, and Cs. A regular expression, because contents are long and come by the thousand.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
"""What a server puts in the place of bytes in a path that are no UTF-8."""
_NEWLINES = "\n\r\t"
_METADATA_DEPTH_MAX = 8
_INT_MAX = 2**63 - 1
_TIME_MAX = datetime(9999, 1, 1, tzinfo=UTC)
_TIME_MIN = datetime(1970, 1, 1, tzinfo=UTC)


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("bounds", "{message}", {"message": message})


def _printable(value: str, *, allowed: str = "") -> str:
    if _SURROGATES.search(value):
        raise _wrong("must be valid Unicode, without lone surrogates")
    if any(character not in allowed for character in _CONTROLS.findall(value)):
        raise _wrong("must not hold control characters")
    return value


def _text(value: str, bytes_max: int) -> str:
    value = _printable(value, allowed=_NEWLINES).strip()
    if not value:
        raise _wrong("must not be empty or blank")
    if len(value.encode()) > bytes_max:
        raise _wrong(f"must have at most {bytes_max} bytes")
    return value


def _id(value: str) -> str:
    _printable(value)
    if not value or value != value.strip() or value in {".", ".."}:
        raise _wrong("must not be empty, '.' or '..', nor begin or end with a space")
    if _ID_FORBIDDEN & set(value):
        raise _wrong("must not hold quotes, slashes or backslashes")
    if _REPLACEMENT in value:
        raise _wrong("must be valid UTF-8")
    if len(value.encode()) > model.ID_BYTES_MAX:
        raise _wrong(f"must have at most {model.ID_BYTES_MAX} bytes")
    return value


def _label(value: str) -> str:
    value = _printable(value).strip().lower()
    if not value or len(value) > model.CATEGORY_CHARS_MAX:
        raise _wrong(f"must have 1 to {model.CATEGORY_CHARS_MAX} characters")
    if _ID_FORBIDDEN & set(value):
        raise _wrong("must not hold quotes, slashes or backslashes")
    return value


def _optional(value: str, bytes_max: int) -> str:
    return _text(value, bytes_max) if value.strip() else ""


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    if len(value) > model.METADATA_KEYS_MAX:
        raise _wrong(f"must have at most {model.METADATA_KEYS_MAX} keys")
    _tree(value, 0)
    for key in value:
        _metadata_key(key)
    if len(json.dumps(value, ensure_ascii=False).encode()) > model.METADATA_BYTES_MAX:
        raise _wrong(f"must have at most {model.METADATA_BYTES_MAX} bytes as JSON")
    return value


def _tree(value: object, depth: int) -> None:
    if depth > _METADATA_DEPTH_MAX:
        raise _wrong(f"must not be nested deeper than {_METADATA_DEPTH_MAX}")
    match value:
        case dict():
            for key, item in value.items():
                _printable(key, allowed=_NEWLINES)
                _tree(item, depth + 1)
        case list():
            for item in value:
                _tree(item, depth + 1)
        case _:
            _scalar(value)


def _scalar(value: object) -> object:
    if isinstance(value, str):
        _printable(value, allowed=_NEWLINES)
    elif isinstance(value, float) and not math.isfinite(value):
        raise _wrong("must not hold NaN or infinity")
    elif isinstance(value, int) and not -_INT_MAX <= value <= _INT_MAX:
        raise _wrong("must not hold integers beyond 64 bits")
    return value


def _metadata_key(key: str) -> str:
    if not 0 < len(key) <= model.METADATA_KEY_CHARS_MAX or not key.replace("_", "a").replace("-", "a").isalnum():
        raise _wrong(f"keys must have 1 to {model.METADATA_KEY_CHARS_MAX} letters, digits, dashes or underscores")
    return key


def _metadata_filter(value: dict[str, Any]) -> dict[str, Any]:
    if len(value) > model.METADATA_KEYS_MAX:
        raise _wrong(f"must have at most {model.METADATA_KEYS_MAX} keys")
    for key, item in value.items():
        _metadata_key(key)
        if not isinstance(item, str | int | float | bool):
            raise _wrong("values must be text, numbers or booleans")
        _scalar(item)
        if len(str(item).encode()) > model.VALUE_BYTES_MAX:
            raise _wrong(f"values must have at most {model.VALUE_BYTES_MAX} bytes")
    return value


def _time(value: datetime) -> datetime:
    if not _TIME_MIN <= value <= _TIME_MAX:
        raise _wrong("must be between the years 1970 and 9999")
    return value


def to_ms(value: datetime | None) -> int | None:
    """Return UTC milliseconds."""
    return None if value is None else round(value.timestamp() * 1000)


def _from_ms(value: object) -> object:
    return datetime.fromtimestamp(value / 1000, UTC) if isinstance(value, int) and value else value or None


def _rfc3339(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Content = Annotated[str, AfterValidator(lambda value: _text(value, model.CONTENT_BYTES_MAX))]
Query = Annotated[str, AfterValidator(lambda value: _text(value, model.CONTENT_BYTES_MAX))]
UserId = Annotated[str, AfterValidator(_id)]
MemoryId = Annotated[UUID, Field(description="The id that the service gave.")]
OptionalId = Annotated[str, AfterValidator(lambda value: _id(value) if value else "")]
Category = Annotated[str, AfterValidator(_label)]
FieldName = Annotated[str, AfterValidator(lambda value: _label(value) if value else "")]
FieldValue = Annotated[str, AfterValidator(lambda value: _optional(value, model.VALUE_BYTES_MAX))]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
StrictFraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]
Metadata = Annotated[dict[str, Any], AfterValidator(_metadata)]
MetadataFilter = Annotated[dict[str, Any], AfterValidator(_metadata_filter)]
Time = Annotated[AwareDatetime, AfterValidator(_time)]
TimeOut = Annotated[datetime | None, BeforeValidator(_from_ms), PlainSerializer(_rfc3339)]
