"""A local HTTP server that speaks OpenAI's embeddings protocol, well or badly on command."""

import base64
import hashlib
import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import numpy as np


@dataclass
class Answer:
    """How to answer one request, in place of a good answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay_s: float = 0.0
    dimension: int | None = None


def vector(text: str, dimension: int) -> list[float]:
    """A vector that depends on the text alone; not of length 1, as compatible servers may answer."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    return [float(number) for number in np.random.default_rng(seed).normal(size=dimension)]


class OpenAIServer:
    """Answers at `base_url`; `script` holds answers for the next requests, `requests` what came."""

    def __init__(self, *, dimension: int = 16) -> None:
        self.dimension = dimension
        self.script: deque[Answer] = deque()
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.key = "sk-test"
        self.arrived = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server.serve(self)

            def log_message(self, format: str, *arguments: object) -> None:
                """Quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.requests.append(body)
        self.arrived.set()
        self.paths.append(handler.path)
        answer = self.script.popleft() if self.script else Answer()
        time.sleep(answer.delay_s)
        key = handler.headers.get("Authorization", "").removeprefix("Bearer ") or handler.headers.get("api-key")
        if key != self.key:
            answer = Answer(status=401)
        content = answer.body if answer.body is not None else self._content(body, answer)
        try:
            handler.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # The client has timed out.

    def _content(self, body: dict[str, Any], answer: Answer) -> bytes:
        if answer.status != 200:
            return json.dumps({"error": {"message": "no", "type": "test", "code": None}}).encode()
        dimension = answer.dimension or body.get("dimensions") or self.dimension
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        data = []
        for index, text in enumerate(texts):
            embedding: Any = vector(text, dimension)
            if body.get("encoding_format") == "base64":
                embedding = base64.b64encode(np.asarray(embedding, dtype=np.float32).tobytes()).decode()
            data.append({"object": "embedding", "index": index, "embedding": embedding})
        data.reverse()  # The protocol promises an index, not an order.
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return json.dumps({"object": "list", "data": data, "model": body["model"], "usage": usage}).encode()
