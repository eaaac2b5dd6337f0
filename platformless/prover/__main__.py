"""`python -m platformless.prover` is `prove-session`."""

from .cli import main

main()
