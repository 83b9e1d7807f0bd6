"""The demo: start the service on Milvus Lite with the local model, store memories over HTTP, find them by meaning."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

START_TIMEOUT_S = 180

MEMORIES: list[dict[str, str | float]] = [
    {"content": "I live in New York", "category": "personal", "importance": 0.8},
    {"content": "I work as a nurse in a children's hospital", "category": "work", "importance": 0.7},
    {"content": "I love hiking in the mountains on weekends", "memory_type": "preference", "category": "hobby"},
    {"content": "I'm allergic to peanuts", "category": "health", "importance": 0.9},
    {"content": "Renew my passport before May", "memory_type": "task", "category": "personal"},
    {"content": "I live in New York.", "category": "personal"},
]
QUESTIONS = ["Where do I live?", "What do I do for a living?", "What should I not eat?", "What do I do for fun?"]


@contextmanager
def service(folder: Path) -> Iterator[httpx2.Client]:
    """Run `scrubjay serve` on a free port until it is ready, and stop it afterwards."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCRUBJAY_")}
    environment |= {"SCRUBJAY_DATA_DIR": str(folder), "SCRUBJAY_PORT": "0", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "scrubjay", "serve"]
    with (folder / "service.log").open("w+") as log:
        process = subprocess.Popen(command, env=environment, stderr=log, cwd=folder)
        try:
            address = ready(process, folder)
            with httpx2.Client(base_url=address, timeout=30) as client:
                yield client
        except BaseException:
            log.seek(0)
            print(log.read(), file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(30)


def ready(process: "subprocess.Popen[bytes]", folder: Path) -> str:
    """Wait until the service announces its address and answers there."""
    ends = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise SystemExit(f"The service ended with code {process.returncode}.")
        try:
            address = str(json.loads((folder / "memories.service.json").read_text())["url"])
            httpx2.get(f"{address}/readyz", timeout=5).raise_for_status()
        except (OSError, ValueError, httpx2.HTTPError):
            time.sleep(0.1)
        else:
            return address
    raise SystemExit("The service did not become ready.")


def play(client: httpx2.Client) -> None:
    """Store, recognise and find."""
    print("\nStore what a user said (POST /memories):")
    for memory in MEMORIES:
        answer = client.post("/memories", json={"user_id": "alice", **memory}).raise_for_status().json()
        known = f"   known already, similarity {answer['similarity']:.2f}" if answer["event"] != "ADD" else ""
        print(f"  {answer['event']:4} {memory['content']}{known}")
    print("\nFind it by meaning (GET /users/alice/memories/search):")
    for question in QUESTIONS:
        found = client.get("/users/alice/memories/search", params={"query": question, "limit": 1}).raise_for_status()
        match = found.json()["matches"][0]
        print(f"  {question:28} -> {match['memory']['content']}   (similarity {match['similarity']:.2f})")
    print("\nText for a prompt (GET /users/alice/context/text):")
    text = client.get("/users/alice/context/text").raise_for_status().json()["context"]
    print("\n".join(f"  {line}" for line in text.splitlines()))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="scrubjay-demo-") as name:
        folder = Path(name)
        print("Starting Scrubjay on Milvus Lite with the local model all-MiniLM-L6-v2 ...")
        began = time.perf_counter()
        with service(folder) as client:
            print(f"ready at {client.base_url} after {time.perf_counter() - began:.1f} s")
            play(client)
        print("\nStop the service and start it again: the memories are still there.")
        with service(folder) as client:
            memories = client.get("/users/alice/memories").raise_for_status().json()["memories"]
            print(f"  {len(memories)} memories after the restart")
    print("\nThe demo's data is gone. To keep a service running: make serve")


if __name__ == "__main__":
    main()
