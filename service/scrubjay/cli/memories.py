"""Commands on memories."""

import json
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from scrubjay.cli.client import Client, call, run
from scrubjay.model import MemoryType
from scrubjay.settings import Settings

PAGE = 100

User = Annotated[str, typer.Option("--user", "-u", help="Whose memories.")]
App = Annotated[str, typer.Option(help="The app, where no service runs; over HTTP the API key says it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Type = Annotated[MemoryType | None, typer.Option("--type", help="Only memories of this type.")]
Category = Annotated[str | None, typer.Option(help="Only memories of this category.")]


def add(
    content: Annotated[list[str], typer.Argument(help="One or more statements, each in quotes.")],
    user: User,
    memory_type: Annotated[MemoryType, typer.Option("--type", help="What kind of memory.")] = MemoryType.FACT,
    category: Annotated[str, typer.Option(help="personal, work, health, hobby, other, or your own.")] = "other",
    importance: Annotated[float, typer.Option(min=0, max=1, help="From 0 to 1.")] = 0.5,
    app: App = "",
    as_json: Json = False,
) -> None:
    """Add memories, or recognise them.

    Example: scrubjay add -u alice "I live in New York" "I work as a nurse" --category personal
    """
    parts = {"memory_type": memory_type, "category": category, "importance": importance}
    body = {"user_id": user, "memories": [{"content": text, **parts} for text in content]}

    async def command(client: Client) -> dict[str, Any]:
        return await call(client, "POST", "/v1/memories/batch", json=body)

    answer = run(command, Settings(), app)
    if as_json:
        _print_json(answer)
        return
    rows = [(item["event"], item["memory"]["id"], item["memory"]["content"]) for item in answer["results"]]
    _print_table(["event", "id", "memory"], rows)


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    user: User,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 5,
    memory_type: Type = None,
    category: Category = None,
    app: App = "",
    as_json: Json = False,
) -> None:
    """Find memories by meaning.

    Example: scrubjay search -u alice "Where do I live?"
    """
    parameters: dict[str, Any] = {"query": query, "limit": limit, **_filter(memory_type, category)}

    async def command(client: Client) -> dict[str, Any]:
        return await call(client, "GET", f"/v1/users/{quote(user, safe='')}/memories/search", params=parameters)

    answer = run(command, Settings(), app)
    if as_json:
        _print_json(answer)
        return
    rows = [
        (f"{item['score']:.2f}", f"{item['similarity']:.2f}", item["memory"]["id"], item["memory"]["content"])
        for item in answer["matches"]
    ]
    _print_table(["score", "similarity", "id", "memory"], rows)


def list_(
    user: User,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = PAGE,
    memory_type: Type = None,
    category: Category = None,
    app: App = "",
    as_json: Json = False,
) -> None:
    """List memories, newest first.

    Example: scrubjay list -u alice --type preference --json
    """
    parameters = _filter(memory_type, category)

    async def command(client: Client) -> list[dict[str, Any]]:
        memories: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next_cursor": None}
        while len(memories) < limit:
            ask = parameters | {"limit": min(PAGE, limit - len(memories))}
            ask |= {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
            page = await call(client, "GET", f"/v1/users/{quote(user, safe='')}/memories", params=ask)
            memories += page["memories"]
            if not page["next_cursor"]:
                break
        return memories

    memories = run(command, Settings(), app)
    if as_json:
        _print_json({"memories": memories})
        return
    rows = [
        (item["created_at"][:16], item["memory_type"], item["category"], item["id"], item["content"])
        for item in memories
    ]
    _print_table(["created", "type", "category", "id", "memory"], rows)


def forget(
    user: User,
    memory_id: Annotated[str | None, typer.Argument(help="The memory; without it, use --all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every memory of the user.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    app: App = "",
    as_json: Json = False,
) -> None:
    """Delete one memory, or with --all every memory of a user, for good.

    Example: scrubjay forget -u alice 01980f3c-7d4a-7c1e-9a35-0d1c5c1f2a11
    """
    if everything is (memory_id is not None):
        raise typer.BadParameter("give either a memory's id or --all")
    if everything and not yes:
        typer.confirm(f"Delete every memory of {user}?", abort=True)

    async def command(client: Client) -> dict[str, Any]:
        if memory_id:
            path = f"/v1/memories/{quote(memory_id, safe='')}"
            return await call(client, "DELETE", path, params={"user_id": user})
        return await call(client, "DELETE", f"/v1/users/{quote(user, safe='')}/memories")

    answer = run(command, Settings(), app)
    if as_json:
        _print_json(answer)
    else:
        typer.echo(f"deleted {answer['deleted']}")


def _filter(memory_type: MemoryType | None, category: str | None) -> dict[str, Any]:
    parameters: dict[str, Any] = {"memory_types": memory_type, "categories": category}
    return {name: value for name, value in parameters.items() if value is not None}


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        typer.echo("nothing found")
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column != "memory", overflow="fold")
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    Console(markup=False, highlight=False, soft_wrap=False).print(table)


def _plain(cell: str) -> str:
    """One line without control characters, so that a memory cannot drive the terminal."""
    return "".join(character if character.isprintable() else " " for character in cell)
