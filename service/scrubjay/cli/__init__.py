"""The command line."""

import os
import sys

import typer
from pydantic import ValidationError
from scrubjay_embeddings import EmbeddingError

from scrubjay.cli import doctor, memories, serve
from scrubjay.errors import ScrubjayError

app = typer.Typer(
    name="scrubjay",
    help="A semantic memory service for AI assistants on Milvus.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.command()(memories.add)
app.command()(memories.search)
app.command(name="list")(memories.list_)
app.command()(memories.forget)
app.command()(doctor.doctor)
app.command()(serve.key)


def main() -> None:
    """Run a command; an expected error is one line on stderr and exit code 1."""
    try:
        app()
    except (ScrubjayError, EmbeddingError) as error:
        sys.exit(f"scrubjay: {error}")
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            name = "_".join(["SCRUBJAY", *map(str, item["loc"])]).upper()
            print(f"scrubjay: {name}: {item['msg']}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # The reader, such as `head`, has enough.
