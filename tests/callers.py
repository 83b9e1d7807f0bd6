"""A running service with the real model, one for the whole session, and who talks to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from scrubjay.api.keys import new_key

from tests.servers.service import Service


@dataclass
class Caller:
    """An app with a key and one of its users."""

    client: httpx2.Client
    user: str

    def add(self, content: str, **parts: Any) -> dict[str, Any]:
        answer = self.client.post("/memories", json={"user_id": self.user, "content": content, **parts})
        assert answer.is_success, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def memories(self, **query: Any) -> list[dict[str, Any]]:
        answer = self.client.get(f"/users/{self.user}/memories", params=query)
        assert answer.is_success, answer.text
        listed: list[dict[str, Any]] = answer.json()["memories"]
        return listed

    def search(self, query: str, **body: Any) -> list[dict[str, Any]]:
        answer = self.client.post("/memories/search", json={"user_id": self.user, "query": query, **body})
        assert answer.is_success, answer.text
        matches: list[dict[str, Any]] = answer.json()["matches"]
        return matches


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two apps; `keys` holds their keys."""
    keys = {app: new_key(app) for app in ("shop", "bank")}
    settings = {"api_keys": ",".join(entry for _, entry in keys.values()), "access_flush_s": "0.2"}
    with Service(tmp_path_factory.mktemp("service"), **settings) as running:
        running.settings["api_key"] = keys["shop"][0]
        running.keys = {app: key for app, (key, _) in keys.items()}
        yield running


def _client(service: Service, app: str) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {service.keys[app]}"}
    return httpx2.Client(base_url=service.url, headers=headers, timeout=30)


@pytest.fixture
def alice(service: Service) -> Iterator[Caller]:
    """A new user of the app `shop`."""
    with _client(service, "shop") as client:
        yield Caller(client, f"alice-{uuid4()}")


@pytest.fixture
def bob(alice: Caller) -> Caller:
    """Another user of the same app."""
    return Caller(alice.client, f"bob-{uuid4()}")


@pytest.fixture
def namesake(service: Service, alice: Caller) -> Iterator[Caller]:
    """A user of another app with the same id as `alice`."""
    with _client(service, "bank") as client:
        yield Caller(client, alice.user)
