"""`peers` over and over in one process, which loads libp2p once.

Each line of input has the command's arguments and variables, each line of output its status and
what it printed; both are JSON.
"""

from __future__ import annotations

import json
import sys

from typer.testing import CliRunner

from platformless.node.cli import app


def main() -> None:
    for line in sys.stdin:
        arguments, variables = json.loads(line)
        done = CliRunner().invoke(app, ["peers", *arguments], env=variables)
        print(json.dumps({"status": done.exit_code, "printed": done.stdout}), flush=True)


if __name__ == "__main__":
    main()
