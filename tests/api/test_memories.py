"""The routes of memories, against a running service."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.callers import Caller

ROUTES = [
    ("GET", "/memories/{id}?user_id={user}", None),
    ("PATCH", "/memories/{id}?user_id={user}", {"importance": 0.1}),
    ("DELETE", "/memories/{id}?user_id={user}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=[route[0] for route in ROUTES])
@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_someone_else_sees_404(
    alice: Caller, bob: Caller, namesake: Caller, method: str, path: str, body: Any, prefix: str
) -> None:
    mine = alice.add("I live in New York")["memory"]
    for other in (bob, namesake):
        address = prefix + path.format(id=mine["id"], user=other.user)
        answer = other.client.request(method, address, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "memory_not_found")
    assert alice.memories() == [mine]


def test_someone_else_finds_and_lists_and_forgets_nothing(alice: Caller, bob: Caller, namesake: Caller) -> None:
    alice.add("I live in New York")
    for other in (bob, namesake):
        assert other.memories() == []
        assert other.search("Where do I live?") == []
        base = f"/users/{other.user}"
        assert other.client.get(f"{base}/memories/search", params={"query": "home"}).json() == {"matches": []}
        profile = other.client.get(f"{base}/profile").json()
        assert profile == {"facts": {}, "preferences": [], "tasks": []}
        assert other.client.get(f"{base}/context").json()["has_memories"] is False
        text = other.client.get(f"{base}/context/text").json()
        assert text == {"user_id": other.user, "context": "", "has_memories": False}
        assert other.client.delete(f"{base}/memories").json() == {"deleted": 0}
    assert len(alice.memories()) == 1


def test_a_memory_is_found_by_meaning(alice: Caller) -> None:
    alice.add("I love hiking in the mountains", memory_type="preference")
    home = alice.add("I live in New York", category="personal", importance=0.8)
    assert home["event"] == "ADD"
    address = f"/users/{alice.user}/memories/search"
    answer = alice.client.get(address, params={"query": "Where do I live?", "limit": 5}).json()
    first = answer["matches"][0]
    assert first["memory"]["content"] == "I live in New York"
    assert 0.4 < first["similarity"] < 1
    assert 0 < first["score"] <= 1


def test_what_is_known_is_not_stored_again(alice: Caller) -> None:
    first = alice.add("I live in New York", importance=0.5)
    again = alice.add("I live in New York.", importance=0.3)
    higher = alice.add("I live in New York", importance=0.9)
    assert [item["event"] for item in (first, again, higher)] == ["ADD", "SKIP", "UPDATE"]
    assert again["similarity"] > 0.9
    assert again["memory"]["id"] == higher["memory"]["id"] == first["memory"]["id"]
    [memory] = alice.memories()
    assert (memory["importance"], memory["access_count"]) == (0.9, 2)
    assert memory["last_accessed"] > first["memory"]["last_accessed"]
    assert memory["content"] == "I live in New York"


def test_the_status_says_whether_it_was_stored(alice: Caller) -> None:
    body = {"user_id": alice.user, "content": "I play chess"}
    assert [alice.client.post("/memories", json=body).status_code for _ in range(2)] == [201, 200]


def test_another_type_number_or_polarity_is_not_known(alice: Caller) -> None:
    contents = [("I have 3 cats", "fact"), ("I have 4 cats", "fact"), ("I don't have 3 cats", "fact")]
    contents.append(("I have 3 cats", "preference"))
    events = [alice.add(content, memory_type=memory_type)["event"] for content, memory_type in contents]
    assert events == ["ADD"] * 4


def test_near_duplicates_within_a_batch_are_recognised(alice: Caller) -> None:
    drafts = [
        {"content": "I live in New York", "importance": 0.2},
        {"content": "I like tea", "memory_type": "preference"},
        {"content": "I live in New York.", "importance": 0.7},
    ]
    answer = alice.client.post("/memories/batch", json={"user_id": alice.user, "memories": drafts}).json()
    assert [item["event"] for item in answer["results"]] == ["ADD", "ADD", "UPDATE"]
    assert answer["results"][0]["memory"] == answer["results"][2]["memory"]
    assert {memory["content"]: memory["importance"] for memory in alice.memories()} == {
        "I live in New York": 0.7,
        "I like tea": 0.5,
    }


def test_the_same_thing_sent_at_once_is_one_memory(alice: Caller) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: alice.add("I work as a nurse"), range(16)))
    assert sorted(answer["event"] for answer in answers) == ["ADD"] + ["SKIP"] * 15
    [memory] = alice.memories()
    assert memory["access_count"] == 15


def test_a_memory_is_returned_as_it_was_sent(alice: Caller) -> None:
    sent: dict[str, Any] = {
        "content": 'Line one\n"quoted" \\ 🦜',
        "memory_type": "task",
        "category": "garden",
        "importance": 0.1,
        "confidence": 0.9,
        "field": "likes",
        "value": "Parrots",
        "chat_id": "c1",
        "message_id": "m1",
        "expires_at": "2999-01-01T00:00:00+01:00",
        "metadata": {"a": [1, {"b": None}], "ok": True},
    }
    stored = alice.add(**sent)["memory"]
    assert stored.items() >= (sent | {"expires_at": "2998-12-31T23:00:00.000Z", "user_id": alice.user}).items()
    assert alice.client.get(f"/memories/{stored['id']}", params={"user_id": alice.user}).json() == stored


def test_a_change_changes_what_it_names(alice: Caller) -> None:
    stored = alice.add("I live in New York", category="personal", metadata={"a": 1})["memory"]
    address = f"/memories/{stored['id']}?user_id={alice.user}"
    changed = alice.client.patch(address, json={"content": "I live in Denver", "metadata": {"b": 2}}).json()
    assert changed["updated_at"] > stored["updated_at"]
    assert changed == stored | {
        "content": "I live in Denver",
        "metadata": {"b": 2},
        "updated_at": changed["updated_at"],
    }
    assert alice.search("Which city in Colorado?", similarity_min=0.3)[0]["memory"]["content"] == "I live in Denver"


def test_a_deleted_memory_is_gone(alice: Caller) -> None:
    stored = alice.add("I live in New York")["memory"]
    address = f"/memories/{stored['id']}?user_id={alice.user}"
    assert alice.client.delete(address).json() == {"deleted": 1}
    assert alice.client.get(address).status_code == 404
    assert alice.client.delete(address).status_code == 404
    assert alice.search("Where do I live?") == []
    assert alice.add("I live in New York")["event"] == "ADD"


def test_forgetting_a_user_deletes_everything(alice: Caller, bob: Caller) -> None:
    for content in ("I live in New York", "I like tea", "I have a dog"):
        alice.add(content)
    bob.add("I live in Rome")
    assert alice.client.delete(f"/users/{alice.user}/memories").json() == {"deleted": 3}
    assert alice.memories() == []
    assert len(bob.memories()) == 1


FACTS = [
    "I live in New York",
    "I work as a nurse",
    "I have a dog",
    "My car is red",
    "I was born in Ohio",
    "I run daily",
]


def test_a_list_is_paged_newest_first(alice: Caller) -> None:
    ids = [alice.add(content)["memory"]["id"] for content in FACTS]
    listed: list[str] = []
    cursor = None
    pages = 0
    while pages == 0 or cursor:
        query: dict[str, Any] = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = alice.client.get(f"/users/{alice.user}/memories", params=query).json()
        listed += [memory["id"] for memory in page["memories"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert (listed, pages) == (ids[::-1], 2)


def test_a_page_goes_on_where_the_last_ended_though_memories_come_and_go(alice: Caller) -> None:
    ids = [alice.add(content)["memory"]["id"] for content in FACTS]
    address = f"/users/{alice.user}/memories"
    page = alice.client.get(address, params={"limit": 2}).json()
    alice.client.delete(f"/memories/{ids[-2]}", params={"user_id": alice.user})
    alice.add("I collect stamps")
    rest = alice.client.get(address, params={"limit": 10, "cursor": page["next_cursor"]}).json()
    assert [memory["id"] for memory in rest["memories"]] == ids[:4][::-1]


def test_filters_narrow_lists_and_searches(alice: Caller) -> None:
    alice.add("I live in New York", category="personal", importance=0.9, metadata={"source": 'a"b'})
    alice.add("I work in New York", category="work", importance=0.2, metadata={"source": "other"})
    time.sleep(0.01)
    late = alice.add("Buy a map of New York", memory_type="task")["memory"]
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({"memory_types": ["task"]}, {"Buy a map of New York"}),
        ({"categories": ["work", "personal"]}, {"I live in New York", "I work in New York"}),
        ({"importance_min": 0.8}, {"I live in New York"}),
        ({"importance_max": 0.3}, {"I work in New York"}),
        ({"created_from": late["created_at"]}, {"Buy a map of New York"}),
        ({"created_to": late["created_at"]}, {"I live in New York", "I work in New York"}),
    ]
    for query, expected in cases:
        assert {memory["content"] for memory in alice.memories(**query)} == expected
        assert {match["memory"]["content"] for match in alice.search("New York", **query)} == expected
    [match] = alice.search("New York", metadata={"source": 'a"b'})
    assert match["memory"]["content"] == "I live in New York"


def test_search_explains_its_score(alice: Caller) -> None:
    alice.add("I live in New York", importance=1.0)
    [match] = alice.search("Where do I live?", weights={"similarity": 0.5, "importance": 0.5}, explain=True)
    parts = match["parts"]
    assert parts["relevance"] == pytest.approx(match["similarity"])
    assert parts["importance"] == 1.0
    assert match["score"] == pytest.approx((parts["relevance"] + parts["importance"]) / 2)
    assert alice.search("Where do I live?", similarity_min=0.99) == []


def test_what_has_expired_is_not_found(alice: Caller) -> None:
    alice.add("The code for the door is blue", expires_at="2020-01-01T00:00:00Z")
    assert alice.memories() == []
    assert alice.search("door code") == []


def test_a_search_counts_as_an_access_in_the_background(alice: Caller) -> None:
    stored = alice.add("I live in New York")["memory"]
    for _ in range(3):
        alice.search("Where do I live?")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and alice.memories()[0]["access_count"] < 3:
        time.sleep(0.05)
    [memory] = alice.memories()
    assert memory["access_count"] == 3
    assert memory["last_accessed"] > stored["last_accessed"]
    assert memory["updated_at"] == stored["updated_at"]


def test_profile_and_context_group_what_is_known(alice: Caller) -> None:
    alice.add("I live in New York", category="personal")
    alice.add("I work as a nurse", category="work")
    alice.add("I like tea", memory_type="preference")
    alice.add("Renew my passport", memory_type="task")
    base = f"/users/{alice.user}"
    profile = alice.client.get(f"{base}/profile").json()
    assert {category: len(items) for category, items in profile["facts"].items()} == {"personal": 1, "work": 1}
    assert profile["preferences"][0]["content"] == "I like tea"
    context = alice.client.get(f"{base}/context").json()
    assert context == {
        "user_id": alice.user,
        "context": {
            "facts": {"personal": ["I live in New York"], "work": ["I work as a nurse"]},
            "preferences": ["I like tea"],
            "tasks": ["Renew my passport"],
        },
        "has_memories": True,
    }
    query: dict[str, Any] = {"query": "What is my job?", "limit": 1}
    text = alice.client.get(f"{base}/context/text", params=query).json()["context"]
    assert "- I work as a nurse" in text.splitlines()
    assert "tea" not in text


def test_an_unknown_id_is_404(alice: Caller) -> None:
    answer = alice.client.get(f"/memories/{uuid4()}", params={"user_id": alice.user})
    assert (answer.status_code, answer.json()["code"]) == (404, "memory_not_found")
