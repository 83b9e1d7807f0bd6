"""The compose file and the Dockerfile, checked without an engine: form by schema and linter, contents here."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from scrubjay.settings import PREFIX, Settings

from tests.conftest import ROOT

COMPOSE = ROOT / "docker-compose.milvus.yml"


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


def test_the_compose_file_is_of_the_compose_specification(compose: dict[str, Any]) -> None:
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(compose)


def test_every_service_is_pinned_watched_and_restarted(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"etcd", "minio", "milvus", "scrubjay"}
    assert services["milvus"]["image"] == "milvusdb/milvus:v3.0.2"
    for name, service in services.items():
        assert service["restart"] == "unless-stopped"
        if name == "scrubjay":
            continue  # Its image and its health check come from the Dockerfile.
        assert re.search(r":(v\d|RELEASE\.)", service["image"])
        assert service["healthcheck"]["test"][0] == "CMD"
        for mount in service["volumes"]:
            assert mount.split(":")[0] in compose["volumes"]


def test_what_a_service_waits_for_exists_and_is_healthy_first(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in compose["services"]
            assert how == {"condition": "service_healthy"}


def test_ports_are_published_on_loopback_alone(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published == {"milvus": ["127.0.0.1:19530:19530"], "scrubjay": ["127.0.0.1:8000:8000"]}


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    text = COMPOSE.read_text()
    assert "minioadmin" not in text
    for variable in ("MINIO_ROOT_PASSWORD", "MILVUS_ROOT_PASSWORD", "SCRUBJAY_API_KEYS"):
        uses = re.findall(rf"\$\{{{variable}([^}}]*)\}}", text)
        assert uses
        assert all(use.startswith(":?") for use in uses)
    milvus, minio = compose["services"]["milvus"]["environment"], compose["services"]["minio"]["environment"]
    assert milvus["MINIO_ACCESS_KEY_ID"] == minio["MINIO_ROOT_USER"]
    assert milvus["MINIO_SECRET_ACCESS_KEY"] == minio["MINIO_ROOT_PASSWORD"]
    assert milvus["COMMON_SECURITY_AUTHORIZATIONENABLED"] == "true"


def test_the_service_gets_settings_that_exist(compose: dict[str, Any]) -> None:
    environment = compose["services"]["scrubjay"]["environment"]
    assert {name.removeprefix(PREFIX).lower() for name in environment} <= set(Settings.model_fields)
    Settings(_env_file=None, host=environment["SCRUBJAY_HOST"], milvus_uri=environment["SCRUBJAY_MILVUS_URI"])


def test_the_dockerfile_passes_its_linter() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    result = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")


def test_the_image_is_slim_not_root_and_has_what_it_copies() -> None:
    text = (ROOT / "Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert all("-slim" in stage for stage in stages)
    final = text.split("\nFROM ")[-1]
    assert "\nUSER 10001\n" in final
    assert "\nHEALTHCHECK " in final
    for line in re.findall(r"^COPY (?!--from)(.+)", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source}\n" in (ROOT / ".dockerignore").read_text()
