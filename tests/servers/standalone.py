"""A real Milvus Standalone for as long as it is needed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import milvus_standalone as program

ROOT = Path(__file__).parents[2]


@contextmanager
def milvus_standalone(folder: Path) -> Iterator[str]:
    """Yield the address of a server: the one of SCRUBJAY_TEST_MILVUS_URI, or one started in `folder`."""
    if given := os.environ.get("SCRUBJAY_TEST_MILVUS_URI"):
        yield given
        return
    python = os.environ.get("SCRUBJAY_TEST_MILVUS_PYTHON", str(ROOT / ".venv-milvus/bin/python"))
    if not Path(python).exists():
        raise RuntimeError("No Milvus Standalone: run `make test`, or set SCRUBJAY_TEST_MILVUS_URI to one.")
    folder.mkdir(parents=True, exist_ok=True)
    command = [python, program.__file__, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr) as process:
        assert process.stdin
        assert process.stdout
        port = process.stdout.readline().decode().strip()
        if not port:
            raise RuntimeError("Milvus Standalone did not start.")
        yield f"http://127.0.0.1:{port}"
        process.stdin.close()
        process.wait(30)
