"""`python -m scrubjay` is the `scrubjay` command."""

from scrubjay.cli import main

main()
