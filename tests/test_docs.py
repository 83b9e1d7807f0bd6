"""What the documents say is what the code does."""

import re
import sys
import tomllib
import zipfile
from pathlib import Path
from subprocess import run

import pytest
from pydantic import SecretStr
from scrubjay.api.problems import Code
from scrubjay.settings import PREFIX, Settings
from scrubjay.store.collections import load_fields

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_env_example_lists_every_setting_with_its_default() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    listed = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert list(listed) == [(PREFIX + name).upper() for name in Settings.model_fields]
    defaults = Settings(_env_file=None)
    for name in Settings.model_fields:
        value = getattr(defaults, name)
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        assert listed[(PREFIX + name).upper()] == ("" if plain is None else str(plain))


def test_a_copy_of_env_example_is_valid(tmp_path: Path) -> None:
    copy = tmp_path / ".env"
    copy.write_text((ROOT / ".env.example").read_text())
    assert Settings(_env_file=copy) == Settings(_env_file=None)


def test_the_table_of_errors_is_the_table_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+?) \|", (ROOT / "docs/API.md").read_text(), re.MULTILINE)
    assert [(code, int(status), title) for code, status, title in rows] == [
        (code.slug, code.status, code.title) for code in Code
    ]


def test_every_make_command_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        assert set(re.findall(r"`make ([a-z]+)", document.read_text())) <= targets
    assert {"demo", "test", "serve", "bench"} <= set(re.findall(r"make ([a-z]+)", README))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert "://" in target or (document.parent / target).exists()


def test_the_schema_describes_a_memory_as_the_model_does() -> None:
    names = {field["name"] for field in tomllib.loads((ROOT / "collections/memory.toml").read_text())["fields"]}
    assert names == {field.name for field in load_fields().all}
    assert {path.suffix for path in (ROOT / "collections").rglob("*") if path.is_file()} == {".toml"}


def test_the_wheel_carries_the_collections(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    run(command, check=True, timeout=120)
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"scrubjay/collections/memory.toml", "scrubjay/collections/profiles/lite.toml"} <= names
    assert {"scrubjay/py.typed", "scrubjay_embeddings/local.py"} <= names
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)
