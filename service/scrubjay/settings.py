"""Everything that can be set, read once from the environment and from `.env`."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "SCRUBJAY_"

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Each field is the environment variable SCRUBJAY_<FIELD>; `.env.example` lists them all."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    # The service
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    data_dir: Path = Path(".scrubjay")
    api_keys: SecretStr = SecretStr("")
    """Comma-separated `app:sha256-of-key`, as `scrubjay key` prints them."""
    api_keys_file: Path | None = None
    """A file with one `app:sha256-of-key` a line."""
    body_bytes_max: int = Field(4 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    # Milvus
    milvus_uri: str = ""
    """A path that ends in `.db` for Milvus Lite, or the http(s) address of a server; empty for Lite in data_dir."""
    milvus_token: SecretStr = SecretStr("")
    milvus_database: str = "default"
    milvus_profile: Literal["auto", "lite", "standalone", "cluster"] = "auto"
    milvus_collection: str = Field("scrubjay_memories", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")
    milvus_consistency: Literal["Session", "Strong"] = "Session"
    milvus_timeout_s: Seconds = 5.0
    milvus_threads: int = Field(16, ge=1, le=128)
    milvus_ca_file: Path | None = None
    milvus_client_cert_file: Path | None = None
    milvus_client_key_file: Path | None = None
    milvus_server_name: str = ""

    # Embeddings
    embedding_provider: Literal["local", "openai", "azure"] = "local"
    embedding_model: str = ""
    embedding_revision: str = ""
    embedding_dimensions: int | None = Field(None, ge=1, le=32_768)
    embedding_device: str = "cpu"
    embedding_threads: int = Field(1, ge=1, le=256)
    embedding_api_key: SecretStr = SecretStr("")
    embedding_base_url: str = ""
    embedding_azure_api_version: str = "2024-10-21"
    embedding_timeout_s: Seconds = 10.0
    embedding_deadline_s: Seconds = 20.0
    embedding_attempts: int = Field(4, ge=1, le=20)
    embedding_batch_max: int = Field(32, ge=1, le=2048)
    embedding_batch_wait_ms: float = Field(1.0, ge=0, le=1000)
    embedding_cache_entries: int = Field(10_000, ge=1, le=10_000_000)

    # Memory
    dedup_similarity: Fraction = 0.9
    rank_similarity_weight: Fraction = 0.8
    rank_recency_weight: Fraction = 0.1
    rank_importance_weight: Fraction = 0.1
    rank_half_life_days: float = Field(30.0, gt=0, le=36_500, allow_inf_nan=False)
    access_flush_s: Seconds = 5.0

    # The command line and other clients
    url: str = ""
    """A running service that the commands should talk to; empty to find it."""
    api_key: SecretStr = SecretStr("")

    @field_validator(
        "embedding_dimensions",
        "api_keys_file",
        "milvus_ca_file",
        "milvus_client_cert_file",
        "milvus_client_key_file",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.milvus_uri and not (self.is_lite or "://" in self.milvus_uri):
            raise ValueError(
                f"milvus_uri {self.milvus_uri!r} is neither a path that ends in .db nor an address with ://"
            )
        if (self.milvus_profile == "lite") is not self.is_lite and self.milvus_profile != "auto":
            raise ValueError(f"milvus_profile {self.milvus_profile!r} does not fit milvus_uri {self.uri!r}")
        if self.embedding_provider != "local" and not self.embedding_api_key.get_secret_value():
            raise ValueError("embedding_api_key is required (any text will do for a server that needs none)")
        if self.embedding_provider == "azure" and not self.embedding_base_url:
            raise ValueError("embedding_base_url must be the endpoint of the Azure resource")
        if not self.rank_similarity_weight + self.rank_recency_weight + self.rank_importance_weight > 0:
            raise ValueError("at least one of the rank weights must be over 0")
        return self

    @property
    def uri(self) -> str:
        """The Milvus address in force."""
        return self.milvus_uri or str(self.data_dir / "memories.db")

    @property
    def is_lite(self) -> bool:
        return "://" not in self.uri and self.uri.endswith(".db")

    @property
    def is_loopback(self) -> bool:
        """Whether the service listens to this machine alone."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def unknown_variables() -> list[str]:
    """Return the SCRUBJAY_ environment variables that no setting reads: most likely misspelt."""
    known = {(PREFIX + name).upper() for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
