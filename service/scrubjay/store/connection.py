"""Opens and closes Milvus, embedded or remote, and prepares the collection."""

import fcntl
import hashlib
import logging
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import structlog
from milvus_lite.server_manager import server_manager_instance
from pymilvus import MilvusClient
from pymilvus.exceptions import ConnectionConfigException, MilvusException
from scrubjay_embeddings import EmbeddingSpec

from scrubjay.errors import StoreError, StoreLocked, StoreUnavailable
from scrubjay.store import collections
from scrubjay.store.capabilities import Capabilities, detect
from scrubjay.store.collections import Profile, ProfileName

# pymilvus logs each failed call with a traceback that can quote the filter, and so what a memory says. It sets its
# loggers up when it is imported. The gRPC server inside Milvus Lite reports each method that Lite lacks as an error.
for _noisy in ("pymilvus", "pymilvus.milvus_client", "milvus_lite", "grpc"):
    logging.getLogger(_noisy).setLevel(logging.CRITICAL + 1)

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

RECONNECT = {"grpc.initial_reconnect_backoff_ms": 200, "grpc.max_reconnect_backoff_ms": 2_000}
"""gRPC's own default waits up to two minutes before it tries a server again that was away for long."""

_open_folders: set[str] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class MilvusOptions:
    """Where Milvus is and how to talk to it. `uri` is a path that ends in `.db`, or a server's address."""

    uri: str
    token: str = field(default="", repr=False)
    database: str = "default"
    collection: str = "scrubjay_memories"
    """The alias that all calls use; the collection behind it is named after the model too."""
    profile: ProfileName = "lite"
    consistency: Literal["Session", "Strong"] = "Session"
    timeout_s: float = 5.0
    threads: int = 16
    ca_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    server_name: str = ""

    @property
    def is_lite(self) -> bool:
        return "://" not in self.uri


class Connection:
    """An open client, its prepared collection and what the server can do. All methods block."""

    def __init__(self, client: MilvusClient, options: MilvusOptions, capabilities: Capabilities, profile: Profile):
        self.client = client
        self.options = options
        self.capabilities = capabilities
        self.profile = profile
        self.timings_s: dict[str, float] = {}

    @classmethod
    def open(cls, options: MilvusOptions, spec: EmbeddingSpec) -> Self:
        """Connect, create what is missing, verify what is there, and load it.

        Raises `StoreLocked`, `StoreUnavailable`, `CollectionDrift` or `StoreError`.
        """
        began = time.perf_counter()
        client = _open_lite(options) if options.is_lite else _open_server(options)
        try:
            capabilities = detect(client.get_server_version(timeout=options.timeout_s), is_lite=options.is_lite)
            connection = cls(client, options, capabilities, collections.load_profile(options.profile))
            connected = time.perf_counter()
            connection._prepare(spec)
            prepared = time.perf_counter()
            connection.load()
            loaded = time.perf_counter()
        except BaseException:
            _close(client, options)
            raise
        connection.timings_s = {
            "connect": connected - began,
            "verify": prepared - connected,
            "load": loaded - prepared,
        }
        return connection

    @property
    def alias(self) -> str:
        return self.options.collection

    def load(self) -> None:
        """Load the collection; Milvus refuses to search one that is not (code 101)."""
        self.client.load_collection(self.alias, timeout=max(self.options.timeout_s, 60.0))

    def close(self) -> None:
        _close(self.client, self.options)

    def describe(self) -> dict[str, Any]:
        """Return the collection as Milvus describes it."""
        described: dict[str, Any] = self.client.describe_collection(self.alias, timeout=self.options.timeout_s)
        return described

    def _prepare(self, spec: EmbeddingSpec) -> None:
        """Create the collection and its alias if they are missing, and verify them. Safe to run twice, or by two."""
        timeout = self.options.timeout_s
        if not self.client.has_collection(self.alias, timeout=timeout):
            physical = physical_name(self.alias, spec)
            if not self.client.has_collection(physical, timeout=timeout):
                self._create(physical, spec)
            self._ignore_existing(lambda: self.client.create_alias(physical, self.alias, timeout=timeout))
        index = self.client.describe_index(self.alias, "embedding", timeout=timeout) or {}
        fields = collections.load_fields()
        collections.verify(self.describe(), str(index.get("metric_type", "none")), fields, self.profile, spec)

    def _create(self, physical: str, spec: EmbeddingSpec) -> None:
        profile = self.profile
        fields = collections.load_fields()
        lite = self.options.is_lite
        properties = {collections.IDENTITY_PROPERTY: collections.identity_of(fields, spec)} if lite else {}
        index = self.client.prepare_index_params()
        index.add_index(
            "embedding", index_type=profile.index_type, metric_type=profile.metric, params=dict(profile.index_params)
        )
        self._ignore_existing(
            lambda: self.client.create_collection(
                physical,
                schema=collections.schema_of(fields, spec),
                properties=properties,
                index_params=index,
                num_partitions=profile.partitions,
                num_shards=profile.shards,
                consistency_level=self.options.consistency,
                timeout=max(self.options.timeout_s, 60.0),
            )
        )
        log.info("collection_created", collection=physical, index=profile.index_type, dimension=spec.dimension)

    def _ignore_existing(self, create: Any) -> None:
        try:
            create()
        except MilvusException as error:
            if "exist" not in str(error).lower():
                raise
            # Another process was faster; the verification that follows judges what it made.


def physical_name(alias: str, spec: EmbeddingSpec) -> str:
    """Name a collection after its alias, model and dimension, in the characters that Milvus allows."""
    slug = re.sub(r"[^a-z0-9]+", "_", spec.model.lower()).strip("_")
    digest = hashlib.sha256(spec.revision.encode()).hexdigest()[:6] if spec.revision else ""
    return "_".join(filter(None, [alias, slug[:80], str(spec.dimension), digest]))


def _open_server(options: MilvusOptions) -> MilvusClient:
    tls = {
        "server_pem_path": options.ca_file,
        "client_pem_path": options.client_cert_file,
        "client_key_path": options.client_key_file,
        "server_name": options.server_name,
    }
    try:
        return MilvusClient(
            uri=options.uri,
            token=options.token,
            db_name=options.database,
            timeout=options.timeout_s,
            grpc_options=RECONNECT,
            **{name: value for name, value in tls.items() if value},
        )
    except MilvusException as error:
        raise StoreUnavailable(
            f"Milvus at {_address(options.uri)} cannot be reached. Check SCRUBJAY_MILVUS_URI and the token."
        ) from error


def _open_lite(options: MilvusOptions) -> MilvusClient:
    path = Path(options.uri).resolve()
    if path.is_file():
        raise StoreError(f"{path} is a file of Milvus Lite 2.x, which this version cannot open. Choose another path.")
    if str(path) in _open_folders:
        raise StoreLocked(f"{path} is open in this process already; Milvus Lite takes one owner.")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # Memories are for their owner alone.
    if is_locked(path):
        raise StoreLocked(
            f"Another process owns {path}. Talk to the service that runs on it (SCRUBJAY_URL), stop that service, "
            "or choose another SCRUBJAY_DATA_DIR."
        )
    try:
        client = MilvusClient(str(path), timeout=options.timeout_s)
    except (ConnectionConfigException, MilvusException) as error:
        raise StoreError(f"Milvus Lite cannot open {path}. It must be a folder that you may write.") from error
    _open_folders.add(str(path))
    return client


def is_locked(path: Path) -> bool:
    """Whether a process owns this Milvus Lite folder."""
    try:
        with (path / "LOCK").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _close(client: MilvusClient, options: MilvusOptions) -> None:
    client.close()
    if options.is_lite:
        path = str(Path(options.uri).resolve())
        # Closing the client leaves the embedded server running and the folder locked.
        server_manager_instance.release_server(path)
        _open_folders.discard(path)


def _address(uri: str) -> str:
    """The address without what may be a user name and a password in it."""
    return re.sub(r"//[^@/]*@", "//", uri)
