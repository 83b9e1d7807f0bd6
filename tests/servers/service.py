"""A real Scrubjay service in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import httpx2

START_TIMEOUT_S = 120


class Service:
    """Runs `scrubjay serve` on a free port over `folder`; `client` talks to it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.settings = settings
        self.keys: dict[str, str] = {}
        self.log = folder / "service.log"
        self.url = ""
        self.client = httpx2.Client()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self.client.close()

    @property
    def environment(self) -> dict[str, str]:
        """What the service and the commands beside it run with."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SCRUBJAY_")}
        own = {"SCRUBJAY_DATA_DIR": str(self.folder / "data"), "SCRUBJAY_PORT": "0", "HF_HUB_OFFLINE": "1"}
        return clean | own | {f"SCRUBJAY_{name.upper()}": value for name, value in self.settings.items()}

    def start(self) -> None:
        command = [sys.executable, "-m", "scrubjay", "serve"]
        with self.log.open("ab") as log:
            offset = log.tell()
            self._process = subprocess.Popen(
                command, env=self.environment, cwd=self.folder, stderr=log, stdout=subprocess.DEVNULL
            )
        self.url = self._wait(offset)
        self.client.close()
        self.client = httpx2.Client(base_url=self.url, timeout=30)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def kill(self) -> None:
        """kill -9."""
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(30)
        self._process = None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def logged(self) -> list[dict[str, object]]:
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _wait(self, offset: int) -> str:
        assert self._process
        ends = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < ends and self._process.poll() is None:
            text = self.log.read_bytes()[offset:].decode()
            if "Scrubjay is ready on " in text:
                url = text.split("Scrubjay is ready on ")[1].split()[0]
                try:
                    if httpx2.get(f"{url}/livez", timeout=30).is_success:
                        return url
                except httpx2.TransportError:
                    pass
            time.sleep(0.05)
        raise AssertionError(f"The service did not start:\n{self.log.read_text()}")
