"""Run the measurements and print their table: `make bench`, or `make bench ARGS="--only lite bulk"`."""

import argparse
import asyncio
import logging
import platform
import sys
import tempfile
from pathlib import Path

import structlog
from scrubjay_embeddings import LocalEmbedder

from benchmarks.bulk import bulk
from benchmarks.report import HEADER, Figure
from benchmarks.search import lite, standalone
from benchmarks.start import start
from tests.servers.standalone import milvus_standalone

SECTIONS = ["lite", "standalone", "bulk", "start"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="sections to run")
    chosen = parser.parse_args().only
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    model = asyncio.run(LocalEmbedder.load())
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="scrubjay-bench-") as name:
        for section in chosen:
            print(f"measuring {section} ...", file=sys.stderr)
            folder = Path(name) / section
            for part in (folder, folder / "empty", folder / "full"):
                part.mkdir()
            figures += run(section, folder, model)
    asyncio.run(model.aclose())
    print(f"{platform.machine()}, Python {platform.python_version()}\n\n{HEADER}")
    print("\n".join(figure.row() for figure in figures))
    return 0 if all(figure.kept for figure in figures) else 1


def run(section: str, folder: Path, model: LocalEmbedder) -> list[Figure]:
    match section:
        case "lite":
            return lite(folder, model.spec)
        case "standalone":
            with milvus_standalone(folder / "server") as uri:
                return standalone(folder, model.spec, uri)
        case "bulk":
            return bulk(folder, model)
        case _:
            return start(folder, model.spec)


if __name__ == "__main__":
    sys.exit(main())
