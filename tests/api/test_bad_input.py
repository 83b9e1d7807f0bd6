"""Bad input gets a clear problem and changes nothing."""

import socket
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from scrubjay.api.problems import Code

from tests.callers import Caller
from tests.servers.service import Service

LONG = "x" * 8_001
BODIES: dict[str, dict[str, Any]] = {
    "no content": {},
    "empty content": {"content": ""},
    "blank content": {"content": " \n\t "},
    "over-long content": {"content": LONG},
    "over-long content in bytes": {"content": "é" * 4_001},
    "content of another type": {"content": 5},
    "NUL": {"content": "a\0b"},
    "escape": {"content": "a\x1b[31mb"},
    "unknown type": {"content": "x", "memory_type": "secret"},
    "importance over 1": {"content": "x", "importance": 1.01},
    "importance under 0": {"content": "x", "importance": -0.1},
    "importance as text": {"content": "x", "importance": "0.5"},
    "importance as bool": {"content": "x", "importance": True},
    "unknown field": {"content": "x", "colour": "red"},
    "blank category": {"content": "x", "category": " "},
    "long category": {"content": "x", "category": "c" * 65},
    "category with a quote": {"content": "x", "category": 'a"b'},
    "time without zone": {"content": "x", "expires_at": "2030-01-01T00:00:00"},
    "time out of range": {"content": "x", "expires_at": "1066-01-01T00:00:00Z"},
    "metadata as list": {"content": "x", "metadata": [1]},
    "metadata with a bad key": {"content": "x", "metadata": {'a"b': 1}},
    "metadata with many keys": {"content": "x", "metadata": {str(number): 1 for number in range(33)}},
    "metadata too large": {"content": "x", "metadata": {"a": LONG}},
    "metadata too deep": {"content": "x", "metadata": {"a": [[[[[[[[[1]]]]]]]]]}},
    "metadata with a huge number": {"content": "x", "metadata": {"a": 2**63}},
    "user id with a quote": {"content": "x", "user_id": 'a"b'},
    "user id with a backslash": {"content": "x", "user_id": "a\\b"},
    "user id with a slash": {"content": "x", "user_id": "a/b"},
    "user id with a control character": {"content": "x", "user_id": "a\nb"},
    "blank user id": {"content": "x", "user_id": " "},
    "over-long user id": {"content": "x", "user_id": "u" * 129},
}
RAW = {
    "not JSON": (b"{", 400, "invalid_json"),
    "invalid UTF-8": (b'{"user_id": "u", "content": "\xff"}', 400, "invalid_json"),
    "a lone surrogate": (b'{"user_id": "u", "content": "\\ud800"}', 422, "invalid_input"),
    "a lone surrogate as a name": (b'{"user_id": "u", "content": "x", "\\ud800": 1}', 422, "invalid_input"),
    "NaN": (b'{"user_id": "u", "content": "x", "importance": NaN}', 422, "invalid_input"),
    "infinity": (b'{"user_id": "u", "content": "x", "importance": 1e999}', 422, "invalid_input"),
    "NaN in metadata": (b'{"user_id": "u", "content": "x", "metadata": {"a": NaN}}', 422, "invalid_input"),
    "a list": (b"[]", 422, "invalid_input"),
    "nothing": (b"", 422, "invalid_input"),
    "deep nesting": (b"[" * 100_000, 400, "invalid_json"),
}
QUERIES: dict[str, dict[str, Any]] = {
    "negative limit": {"limit": -1},
    "zero limit": {"limit": 0},
    "limit over the bound": {"limit": 101},
    "limit as text": {"limit": "many"},
    "wrong cursor": {"cursor": "abc"},
    "long cursor": {"cursor": "a" * 300},
    "unknown parameter": {"colour": "red"},
    "unknown type": {"memory_types": "secret"},
    "importance NaN": {"importance_min": "nan"},
    "time without zone": {"created_from": "2030-01-01T00:00:00"},
}


def is_problem(answer: httpx2.Response, status: int, code: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), body
    assert body["title"] == Code[code.upper()].title
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["detail"]


@pytest.fixture(autouse=True)
def unchanged(alice: Caller) -> Iterator[None]:
    """What is there before is all that is there afterwards."""
    alice.add("I live in New York")
    before = alice.memories()
    yield
    assert alice.memories() == before


@pytest.mark.parametrize("name", BODIES)
def test_a_bad_memory_is_refused(alice: Caller, name: str) -> None:
    body = {"user_id": alice.user} | BODIES[name]
    answer = alice.client.post("/memories", json=body)
    is_problem(answer, 422, "invalid_input")
    assert answer.json()["errors"][0]["pointer"].startswith("/")
    assert LONG not in answer.text
    batch = {"user_id": body.pop("user_id"), "memories": [{"content": "I like tea"}, body]}
    is_problem(alice.client.post("/memories/batch", json=batch), 422, "invalid_input")


@pytest.mark.parametrize("name", RAW)
def test_a_bad_body_is_refused(alice: Caller, name: str) -> None:
    content, status, code = RAW[name]
    headers = {"Content-Type": "application/json"}
    is_problem(alice.client.post("/memories", content=content, headers=headers), status, code)


@pytest.mark.parametrize("name", QUERIES)
def test_a_bad_query_is_refused(alice: Caller, name: str) -> None:
    answer = alice.client.get(f"/users/{alice.user}/memories", params=QUERIES[name])
    is_problem(answer, 422, "invalid_cursor" if name == "wrong cursor" else "invalid_input")


@pytest.mark.parametrize("query", ["", " ", LONG, "a\0b"])
def test_a_bad_search_is_refused(alice: Caller, query: str) -> None:
    is_problem(alice.client.get(f"/users/{alice.user}/memories/search", params={"query": query}), 422, "invalid_input")
    body = {"user_id": alice.user, "query": query}
    is_problem(alice.client.post("/memories/search", json=body), 422, "invalid_input")


def test_a_bad_change_is_refused(alice: Caller) -> None:
    address = f"/memories/{alice.memories()[0]['id']}?user_id={alice.user}"
    for body in ({}, {"content": ""}, {"content": None}, {"importance": 2}, {"user_id": "bob"}, {"id": "x"}):
        is_problem(alice.client.patch(address, json=body), 422, "invalid_input")


@pytest.mark.parametrize("id_", ["x", "x'] or id != '' or id in ['x", '"', "\\", "1", "%00"])
def test_a_bad_memory_id_is_refused(alice: Caller, id_: str) -> None:
    path = httpx2.URL("http://x").copy_with(path=f"/memories/{id_}").raw_path.decode()
    for method in ("GET", "DELETE"):
        answer = alice.client.request(method, path, params={"user_id": alice.user})
        is_problem(answer, 422, "invalid_input")


@pytest.mark.parametrize("user", ["a'b", 'a"b', "a\\b", "a%00b", "..%20", "%20", "%FF", "u" * 129])
def test_a_bad_user_id_in_the_path_is_refused(alice: Caller, user: str) -> None:
    for method, path in (("GET", "memories"), ("DELETE", "memories"), ("GET", "profile"), ("GET", "context/text")):
        is_problem(alice.client.request(method, f"/users/{user}/{path}"), 422, "invalid_input")


def test_a_memory_needs_its_user(alice: Caller) -> None:
    is_problem(alice.client.get(f"/memories/{uuid4()}"), 422, "invalid_input")


def test_a_body_over_the_limit_is_refused(alice: Caller) -> None:
    big = b"x" * (4 * 1024 * 1024 + 1)
    headers = {"Content-Type": "application/json"}
    is_problem(alice.client.post("/memories", content=big, headers=headers), 413, "body_too_large")
    chunks = (big[start : start + 65536] for start in range(0, len(big), 65536))
    is_problem(alice.client.post("/memories", content=chunks, headers=headers), 413, "body_too_large")


def test_another_content_type_is_refused(alice: Caller) -> None:
    content = b'{"user_id": "u", "content": "x"}'
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {}):
        is_problem(alice.client.post("/memories", content=content, headers=headers), 415, "unsupported_media_type")


def test_an_unknown_route_or_method_is_refused(alice: Caller) -> None:
    is_problem(alice.client.get("/nowhere"), 404, "not_found")
    is_problem(alice.client.get("/users//memories"), 404, "not_found")
    is_problem(alice.client.put("/memories", json={}), 405, "method_not_allowed")


def test_a_wrong_key_is_refused(alice: Caller, service: Service) -> None:
    for header in ("", "Bearer", "Bearer wrong", f"Basic {service.keys['shop']}", "Bearer \xff"):
        for method, path in (("GET", f"/users/{alice.user}/memories"), ("POST", "/memories"), ("GET", "/nowhere")):
            headers = {b"Authorization": header.encode("latin-1"), b"Content-Type": b"application/json"}
            answer = httpx2.request(method, service.url + path, headers=headers, content=b"{")
            is_problem(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_request_id_is_taken_over_only_if_it_is_harmless(alice: Caller) -> None:
    assert alice.client.get("/livez", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    odd = alice.client.get("/livez", headers={"X-Request-ID": 'a"b c'}).headers["x-request-id"]
    assert len(odd) == 36


def test_a_false_content_length_is_refused(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    for length in (b"abc", b"-5", b"1e3", b"99999999999999999999999"):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(
                b"POST /memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Authorization: Bearer "
                + service.keys["shop"].encode()
                + b"\r\nContent-Length: "
                + length
                + b"\r\n\r\n{}"
            )
            status = connection.recv(4096).split(b" ")[1]
        assert status in {b"400", b"413"}
