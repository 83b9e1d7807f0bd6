"""Memories as Milvus rows and back."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from scrubjay.errors import InvalidInput
from scrubjay.model import Memory, MemoryType, Status
from scrubjay.ports import Record
from scrubjay.store.collections import load_fields

Row = dict[str, Any]
"""A Milvus row: field names to values, as pymilvus takes and gives them."""

_NAMES = [field.name for field in fields(Memory)]


def to_row(record: Record) -> Row:
    """Return the row to write. Raises `InvalidInput` if a text has more bytes than its field holds."""
    row: Row = {name: getattr(record.memory, name) for name in _NAMES}
    row["memory_type"] = str(row["memory_type"])
    row["status"] = str(row["status"])
    row["metadata"] = dict(row["metadata"])
    row["embedding"] = record.embedding
    for name, bytes_max in load_fields().bytes_max.items():
        if len(row[name].encode()) > bytes_max:
            raise InvalidInput(f"{name} has more than {bytes_max} bytes.", pointer=f"/{name}")
    return row


def to_memory(row: Mapping[str, Any]) -> Memory:
    values = {name: row[name] for name in _NAMES}
    values["memory_type"] = MemoryType(values["memory_type"])
    values["status"] = Status(values["status"])
    return Memory(**values)


def to_record(row: Mapping[str, Any]) -> Record:
    return Record(to_memory(row), np.asarray(row["embedding"], dtype=np.float32))
