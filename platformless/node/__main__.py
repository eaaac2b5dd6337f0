"""`python -m platformless.node`."""

from .cli import main

main()
