"""The service as a whole: health, logs, restarts, and what happens when a part is away."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from pydantic import SecretStr
from scrubjay.api.edge import Edge, Gate
from scrubjay.api.keys import ApiKeys, new_key
from scrubjay.api.metrics import Metrics
from scrubjay.bootstrap import configure_logging, read_keys
from scrubjay.errors import SettingsError
from scrubjay.settings import Settings
from starlette.types import Receive, Scope, Send

from tests.api.test_bad_input import is_problem
from tests.callers import Caller
from tests.servers.forwarder import Forwarder
from tests.servers.openai_server import Answer, OpenAIServer
from tests.servers.service import Service


def test_health_needs_no_key(service: Service) -> None:
    health = httpx2.get(f"{service.url}/health").json()
    assert (health["status"], health["service"]) == ("healthy", "scrubjay")
    assert httpx2.get(f"{service.url}/livez").json() == {"status": "alive"}
    assert httpx2.get(f"{service.url}/v1/readyz").json() == {"status": "ready"}


def test_metrics_count_without_naming_anyone(service: Service, alice: Caller) -> None:
    alice.add("I live in New York")
    text = httpx2.get(f"{service.url}/metrics").text
    assert 'scrubjay_memories_added_total{event="ADD"}' in text
    assert 'route="/users/{user_id}/memories"' in text or 'route="/memories"' in text
    assert "scrubjay_embedding_seconds_bucket" in text
    assert alice.user not in text


def test_an_answer_says_where_its_time_went(alice: Caller) -> None:
    answer = alice.client.get(f"/users/{alice.user}/memories/search", params={"query": "a new question"})
    parts = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
    assert 0 < float(parts["embed"]) < float(parts["total"])


def test_logs_hold_no_content_and_no_user(service: Service, alice: Caller) -> None:
    marker = "zebrafish"
    stored = alice.add(f"I keep a {marker}", metadata={"k": marker})["memory"]
    alice.search(f"Who keeps a {marker}?")
    alice.client.get(f"/users/{alice.user}/memories/search", params={"query": marker})
    alice.client.post("/memories", json={"user_id": alice.user, "content": marker, marker: 1})
    alice.client.delete(f"/memories/{stored['id']}", params={"user_id": alice.user})
    log = service.log.read_text()
    assert "/users/{user_id}/memories/search" in log
    assert marker not in log
    assert alice.user not in log
    assert service.keys["shop"] not in log


def test_openapi_describes_every_route_with_its_errors(service: Service, alice: Caller) -> None:
    document = alice.client.get("/openapi.json").json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) >= 14
    for operation in operations:
        problem = operation["responses"]["422"]["content"]["application/problem+json"]
        assert problem["schema"]["$ref"] == "#/components/schemas/Problem"
        assert operation["summary"]
        assert operation["description"]
    assert "Problem" in document["components"]["schemas"]
    examples = document["paths"]["/memories"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    for example in examples.values():
        body = example["value"] | {"user_id": alice.user}
        assert alice.client.post("/memories", json=body).is_success


@pytest.fixture
def plain(tmp_path: Path) -> Service:
    """A service without keys, on Milvus Lite, with a small provider behind a local server."""
    return Service(tmp_path)


def test_a_restart_and_a_kill_keep_everything(plain: Service) -> None:
    with plain:
        caller = Caller(plain.client, "alice")
        first = caller.add("I live in New York")["memory"]
        caller.search("Where do I live?")
        plain.stop()
        plain.start()
        caller = Caller(plain.client, "alice")
        [kept] = caller.memories()
        assert kept["access_count"] == 1  # Counted in the background, written on the way out.
        assert kept["id"] == first["id"]
        second = caller.add("I have a dog")["memory"]
        plain.kill()
        plain.start()
        assert [memory["id"] for memory in Caller(plain.client, "alice").memories()] == [second["id"], first["id"]]


def test_without_keys_only_this_machine_is_served(plain: Service) -> None:
    with plain:
        answer = plain.client.get("/users/alice/memories", headers={"Host": "evil.example"})
        is_problem(answer, 421, "wrong_host")
        assert plain.client.get("/users/alice/memories", headers={"Host": "localhost:1"}).is_success


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_without_keys_another_host_is_refused(plain: Service, host: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "scrubjay", "serve", "--host", host],
        env=plain.environment,
        cwd=plain.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert "scrubjay key" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_second_service_on_the_same_folder_gets_the_plain_message(service: Service) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "scrubjay", "serve"],
        env=service.environment,
        cwd=service.folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode != 0
    assert "Another process owns" in result.stderr
    assert "Traceback" not in result.stderr
    assert httpx2.get(f"{service.url}/readyz").is_success


def test_a_misspelt_setting_is_refused(plain: Service) -> None:
    plain.settings["milvus_url"] = "http://localhost:19530"
    result = subprocess.run(
        [sys.executable, "-m", "scrubjay", "serve"],
        env=plain.environment,
        cwd=plain.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "SCRUBJAY_MILVUS_URL" in result.stderr
    assert result.returncode == 1


def test_with_the_provider_away_nothing_is_half_stored(plain: Service) -> None:
    with OpenAIServer() as provider:
        plain.settings |= {
            "embedding_provider": "openai",
            "embedding_model": "test-embedding",
            "embedding_api_key": provider.key,
            "embedding_base_url": provider.base_url,
            "embedding_dimensions": "16",
            "embedding_attempts": "1",
        }
        with plain:
            caller = Caller(plain.client, "alice")
            kept = caller.add("I live in New York")["memory"]
            body = {"user_id": "alice", "content": "I have a dog"}
            provider.script.append(Answer(status=503))
            answer = plain.client.post("/memories", json=body)
            is_problem(answer, 503, "embedding_unavailable")
            assert int(answer.headers["retry-after"]) > 0
            provider.script.append(Answer(status=429, headers={"Retry-After": "7"}))
            assert plain.client.post("/memories", json=body).headers["retry-after"] == "7"
            provider.script.append(Answer(dimension=8))
            is_problem(plain.client.post("/memories", json=body), 502, "embedding_failed")
            provider.script.append(Answer(status=503))
            address = f"/memories/{kept['id']}?user_id=alice"
            is_problem(plain.client.patch(address, json={"content": "x"}), 503, "embedding_unavailable")
            assert caller.memories() == [kept]


def test_with_milvus_away_the_service_says_when_to_come_back(plain: Service, standalone_uri: str) -> None:
    address = urlsplit(standalone_uri)
    assert address.hostname
    assert address.port
    forwarder = Forwarder((address.hostname, address.port))
    plain.settings |= {
        "milvus_uri": f"http://127.0.0.1:{forwarder.port}",
        "milvus_collection": "t_service",
        "milvus_timeout_s": "3",
    }
    with plain:
        caller = Caller(plain.client, "alice")
        kept = caller.add("I live in New York")["memory"]
        assert caller.search("Where do I live?")[0]["memory"]["id"] == kept["id"]
        forwarder.cut()
        for answer in (
            plain.client.post("/memories", json={"user_id": "alice", "content": "I have a dog"}),
            plain.client.get("/users/alice/memories"),
            plain.client.get("/users/alice/memories/search", params={"query": "home"}),
            plain.client.delete("/users/alice/memories"),
            plain.client.get("/readyz"),
            plain.client.get("/health"),
        ):
            is_problem(answer, 503, "store_unavailable")
            assert int(answer.headers["retry-after"]) > 0
        assert plain.client.get("/livez").is_success
        forwarder.open()
        for _ in range(60):
            if plain.client.get("/readyz").is_success:
                break
            time.sleep(0.5)
        assert [memory["id"] for memory in caller.memories()] == [kept["id"]]
        plain.client.delete("/users/alice/memories")
    forwarder.cut()


def test_settings_that_contradict_each_other_are_refused() -> None:
    for bad in (
        {"milvus_uri": "memories.sqlite"},
        {"milvus_uri": "http://x:1", "milvus_profile": "lite"},
        {"embedding_provider": "openai"},
        {"embedding_provider": "azure", "embedding_api_key": "x"},
        {"rank_similarity_weight": 0, "rank_recency_weight": 0, "rank_importance_weight": 0},
    ):
        with pytest.raises(ValueError, match="1 validation error"):
            Settings(_env_file=None, **bad)


def test_keys_come_from_the_settings_and_from_a_file(tmp_path: Path) -> None:
    (first, one), (second, two) = new_key("shop"), new_key("bank")
    file = tmp_path / "keys"
    file.write_text(f"# keys\n\n{two}  # the bank\n")
    keys = read_keys(Settings(_env_file=None, api_keys=SecretStr(one), api_keys_file=file))
    assert (keys.app_of(first), keys.app_of(second), keys.app_of("sj_x")) == ("shop", "bank", None)
    for bad in ("shop", "shop:abc", f"a b:{one[-64:]}"):
        with pytest.raises(SettingsError, match="scrubjay key"):
            read_keys(Settings(_env_file=None, api_keys=SecretStr(bad)))
    with pytest.raises(SettingsError, match="cannot be read"):
        read_keys(Settings(_env_file=None, api_keys_file=tmp_path / "none"))


def test_secrets_are_masked() -> None:
    secret, entry = new_key("shop")
    settings = Settings(
        _env_file=None, api_key=secret, api_keys=entry, milvus_token="root:pw", embedding_api_key="sk-1"
    )
    for hidden in (secret, entry, "root:pw", "sk-1"):
        assert hidden not in repr(settings)
    assert "SCRUBJAY_API_KEY" not in os.environ


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("the secret is zebrafish")


@pytest.mark.anyio
async def test_an_unexpected_error_is_a_problem_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    edge = Edge(broken, Gate(ApiKeys(), 1024), Metrics())
    configure_logging("info")
    logging.getLogger().addHandler(caplog.handler)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=edge), base_url="http://localhost") as client:
        answer = await client.get("/users/alice/memories")
    is_problem(answer, 500, "internal_error")
    assert "unexpected_error" in caplog.text
    assert "ValueError" in caplog.text
    assert "zebrafish" not in answer.text + caplog.text
