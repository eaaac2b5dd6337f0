"""A whole node in processes of its own: broker and portal are real, node and workers stand-ins.

`python -m tests.supervisor.machine ENV_FILE` is `run_node` with this file in place of the program
that it starts its services with.
"""

from __future__ import annotations

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def _end(_number: int, _frame: object) -> None:
    print("ended when asked", flush=True)
    os._exit(0)


def stand_in(words: list[str]) -> None:
    """What `fabstir-llm-node serve` and `worker` do here; anything else is the real command."""
    if words[0] not in ("serve", "worker"):
        real = [os.environ["REAL_PYTHON"], "-m", "platformless.node", *words]
        os.execv(real[0], real)  # noqa: S606
    signal.signal(signal.SIGTERM, _end)
    if words[0] == "serve":
        HTTPServer(("127.0.0.1", int(os.environ["API_PORT"])), _Healthy).serve_forever()
    print(f"worker ready: {words[2]}", flush=True)
    while True:
        signal.pause()


def main(env_file: Path) -> None:
    # Here, not above: stand-ins start faster without.
    import typer

    from platformless.console import guarded
    from platformless.node.supervisor.run import run_node

    program = env_file.with_name("stand-in")
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom tests.supervisor.machine import stand_in\n"
        "stand_in(sys.argv[3:])\n"
    )
    program.chmod(0o755)
    path = filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH")))
    os.environ |= {"REAL_PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(path)}
    sys.executable = str(program)
    try:
        guarded("fabstir-llm-node", "run", True, lambda output: run_node(output, env_file, 2))
    except typer.Exit as end:
        sys.exit(end.exit_code)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
