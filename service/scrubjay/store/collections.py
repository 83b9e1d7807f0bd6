"""Reads the collection's fields and index profiles. No other module opens these files."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pymilvus import CollectionSchema, DataType, FieldSchema
from scrubjay_embeddings import EmbeddingSpec

from scrubjay.errors import CollectionDrift

IDENTITY_PROPERTY = "scrubjay.identity"
ProfileName = Literal["lite", "standalone", "cluster"]


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    max_length: int = 0
    primary: bool = False
    partition_key: bool = False


@dataclass(frozen=True, slots=True)
class Fields:
    version: int
    all: tuple[Field, ...]

    @property
    def scalars(self) -> list[str]:
        """The names of all fields but the vector: what a read returns."""
        return [field.name for field in self.all if field.type != "FLOAT_VECTOR"]

    @property
    def bytes_max(self) -> dict[str, int]:
        return {field.name: field.max_length for field in self.all if field.max_length}


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    index_type: str
    metric: str
    index_params: Mapping[str, int]
    search_params: Mapping[str, int]
    partitions: int
    shards: int


@cache
def load_fields() -> Fields:
    """Read the fields of `memory.toml`."""
    table = _read("memory.toml")
    return Fields(table["version"], tuple(Field(**field) for field in table["fields"]))


@cache
def load_profile(name: ProfileName) -> Profile:
    """Read an index profile."""
    table = _read(f"profiles/{name}.toml")
    index, collection = table["index"], table["collection"]
    return Profile(
        name,
        index["type"],
        index["metric"],
        index["params"],
        index["search_params"],
        collection["partitions"],
        collection["shards"],
    )


def schema_of(fields: Fields, spec: EmbeddingSpec) -> CollectionSchema:
    """Build the Milvus schema; its description says which model filled the collection."""
    columns = []
    for field in fields.all:
        options: dict[str, Any] = {"max_length": field.max_length} if field.max_length else {}
        if field.type == "FLOAT_VECTOR":
            options["dim"] = spec.dimension
        columns.append(
            FieldSchema(
                field.name,
                DataType[field.type],
                is_primary=field.primary,
                is_partition_key=field.partition_key,
                **options,
            )
        )
    return CollectionSchema(columns, description=identity_of(fields, spec), enable_dynamic_field=False)


def identity_of(fields: Fields, spec: EmbeddingSpec) -> str:
    """Return what is stored with a collection to recognise it: in its description and, for Lite, as a property."""
    return json.dumps({"schema": fields.version, **asdict(spec)})


def verify(described: Mapping[str, Any], metric: str, fields: Fields, profile: Profile, spec: EmbeddingSpec) -> None:
    """Raise `CollectionDrift` if a collection, as Milvus describes it, is not the one that is needed."""
    name = described["collection_name"]
    there = {field["name"]: field for field in described["fields"]}
    stored = _identity(described)
    keep = "To keep these memories, run: SCRUBJAY_EMBEDDING_"
    if stored.get("model") != spec.model:
        raise _drift(
            name,
            f"it was filled with the embedding model {stored.get('model')!r}, the settings say {spec.model!r}",
            f"{keep}MODEL={stored.get('model')} scrubjay serve . ",
        )
    dimension = int(there.get("embedding", {}).get("params", {}).get("dim", 0))
    if dimension != spec.dimension:
        raise _drift(
            name,
            f"its vectors have {dimension} dimensions, the model {spec.model!r} gives {spec.dimension}",
            f"{keep}DIMENSIONS={dimension} scrubjay serve . ",
        )
    if stored.get("revision") != spec.revision:
        raise _drift(
            name,
            f"it was filled with revision {stored.get('revision')!r} of {spec.model!r}, loaded is {spec.revision!r}",
            f"{keep}REVISION={stored.get('revision')} scrubjay serve . ",
        )
    for field in fields.all:
        if problem := _field_drift(field, there.get(field.name)):
            raise _drift(name, problem, "")
    if metric != profile.metric:
        raise _drift(name, f"its index uses the metric {metric}, the profile needs {profile.metric}", "")


def _field_drift(field: Field, there: Mapping[str, Any] | None) -> str | None:
    if there is None:
        return f"the field {field.name!r} is missing"
    if there["type"] != DataType[field.type]:
        return f"the field {field.name!r} is {DataType(there['type']).name}, needed is {field.type}"
    length = int(there["params"].get("max_length", 0))
    if length < field.max_length:
        return f"the field {field.name!r} holds {length} bytes, needed are {field.max_length}"
    if field.partition_key and not there.get("is_partition_key"):
        return f"the field {field.name!r} is not the partition key"
    return None


def _drift(collection: str, difference: str, remedy: str) -> CollectionDrift:
    afresh = "To start afresh beside it, run: SCRUBJAY_MILVUS_COLLECTION=<new name> scrubjay serve"
    return CollectionDrift(f"The collection {collection!r} differs: {difference}. {remedy}{afresh}")


def _identity(described: Mapping[str, Any]) -> dict[str, Any]:
    # Milvus Lite keeps properties but no description; every server keeps a description.
    text = described.get("description") or described.get("properties", {}).get(IDENTITY_PROPERTY, "")
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _read(name: str) -> dict[str, Any]:
    # An installed wheel carries the folder inside the package; a checkout has it at the top.
    here = Path(__file__).resolve()
    for folder in (here.parents[1] / "collections", here.parents[3] / "collections"):
        if (folder / name).is_file():
            return tomllib.loads((folder / name).read_text(encoding="utf-8"))
    raise FileNotFoundError(f"collections/{name} is missing from this installation")
