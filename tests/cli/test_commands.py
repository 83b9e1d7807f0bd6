"""The command line, run as a user runs it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.callers import Caller
from tests.servers.service import Service


class Shell:
    """Runs commands in a folder of its own, or beside a running service."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment = environment | {"COLUMNS": "200"}
        self.folder = folder

    def run(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "scrubjay", *arguments],
            env=self.environment,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def json(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SCRUBJAY_")}
    return Shell(clean | {"SCRUBJAY_DATA_DIR": str(tmp_path / "data"), "HF_HUB_OFFLINE": "1"}, tmp_path)


def test_without_a_service_commands_work_on_the_folder(shell: Shell) -> None:
    added = shell.run("add", "-u", "alice", "I live in New York", "I like tea", "I live in New York.")
    assert [line.split()[0] for line in added.stdout.splitlines()] == ["event", "ADD", "ADD", "SKIP"]
    found = shell.json("search", "-u", "alice", "Where do I live?", "--limit", "1")
    assert found["matches"][0]["memory"]["content"] == "I live in New York"
    assert shell.json("list", "-u", "alice", "--app", "other") == {"memories": []}
    assert "nothing found" in shell.run("list", "-u", "bob").stdout
    assert shell.run("forget", "-u", "alice", "--all", "--yes").stdout == "deleted 2\n"


def test_with_a_service_commands_talk_to_it(service: Service, alice: Caller) -> None:
    shell = Shell(service.environment, service.folder)
    shell.json("add", "-u", alice.user, "I live in New York")
    [memory] = alice.memories()
    assert shell.json("list", "-u", alice.user) == {"memories": [memory]}
    table = shell.run("search", "-u", alice.user, "Where do I live?").stdout
    assert "I live in New York" in table
    assert shell.json("forget", "-u", alice.user, memory["id"]) == {"deleted": 1}
    assert alice.memories() == []
    again = shell.run("forget", "-u", alice.user, memory["id"])
    assert (again.returncode, again.stdout) == (1, "")
    assert "There is no such memory" in again.stderr
    wrong = Shell(service.environment | {"SCRUBJAY_API_KEY": "wrong"}, service.folder)
    assert "SCRUBJAY_API_KEY" in wrong.run("list", "-u", alice.user).stderr


def test_forgetting_everything_asks_first(service: Service, alice: Caller) -> None:
    shell = Shell(service.environment, service.folder)
    alice.add("I live in New York")
    assert shell.run("forget", "-u", alice.user, "--all", stdin="n\n").returncode == 1
    assert len(alice.memories()) == 1
    assert shell.run("forget", "-u", alice.user).returncode == 2


def test_a_service_that_does_not_answer_is_named(shell: Shell) -> None:
    shell.environment["SCRUBJAY_URL"] = "http://127.0.0.1:9"
    result = shell.run("list", "-u", "alice")
    assert result.returncode == 1
    assert "http://127.0.0.1:9 does not answer" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_memory_cannot_drive_the_terminal(service: Service, alice: Caller) -> None:
    alice.add("first line\n[red]second[/red] \u202egnp")
    table = Shell(service.environment, service.folder).run("list", "-u", alice.user).stdout
    assert "[red]second[/red]" in table
    assert "\u202e" not in table
    assert len(table.splitlines()) == 2


def test_doctor_says_what_is_well_and_what_to_fix(service: Service, shell: Shell) -> None:
    well = {finding["check"]: finding for finding in Shell(service.environment, service.folder).json("doctor")}
    assert all(finding["ok"] for finding in well.values())
    assert "all-MiniLM-L6-v2, dimension 384" in well["model"]["detail"]
    assert service.url in well["milvus"]["detail"]
    shell.environment |= {"SCRUBJAY_MILVUS_URI": "http://127.0.0.1:9", "SCRUBJAY_HOST": "0.0.0.0"}
    ill = shell.run("doctor")
    assert ill.returncode == 1
    assert "Check SCRUBJAY_MILVUS_URI" in ill.stdout
    assert "scrubjay key --app" in ill.stdout


def test_a_key_is_shown_with_its_entry(shell: Shell) -> None:
    lines = dict(line.split(":", 1) for line in shell.run("key", "--app", "shop").stdout.splitlines())
    secret, entry = lines["key"].strip(), lines["entry"].strip()
    assert entry == f"shop:{hashlib.sha256(secret.encode()).hexdigest()}"
    assert shell.run("key", "--app", "a:b").returncode == 1


@pytest.mark.parametrize("command", ["serve", "add", "search", "list", "forget", "doctor", "key"])
def test_help_shows_an_example(shell: Shell, command: str) -> None:
    assert "Example: " in shell.run(command, "--help").stdout


def test_a_wrong_setting_is_one_line(shell: Shell) -> None:
    shell.environment["SCRUBJAY_PORT"] = "many"
    result = shell.run("serve")
    assert result.returncode == 1
    assert result.stderr.startswith("scrubjay: SCRUBJAY_PORT: ")
    assert len(result.stderr.splitlines()) == 1
