"""Whether a container is well, for HEALTHCHECK and compose; standard library only.

    healthcheck.py           the node: GET /health answers, and says healthy or degraded
    healthcheck.py worker    a worker: ledger and broker can be reached

Exit status 0 well, 1 not; one line says why.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

_SECONDS = 4.0
_PORTS = {"postgresql": 5432, "redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}


def node_is_well(environment: dict[str, str]) -> str | None:
    """What is wrong with the node; None when nothing is."""
    host = environment.get("API_HOST") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    port = environment.get("API_PORT") or "8080"
    # Without the environment's proxies: it is this container that is asked.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"http://{host}:{port}/health", timeout=_SECONDS) as reply:
            report = json.load(reply)
    except (OSError, ValueError) as error:
        return f"/health: {error}"
    if report.get("status") in ("healthy", "degraded"):
        return None
    return f"/health: {report.get('status')}, {', '.join(report.get('issues', ()))}"


def worker_is_well(environment: dict[str, str]) -> str | None:
    """What a worker cannot reach; None when it reaches all that it needs."""
    for name in ("LEDGER_URL", "BROKER_URL"):
        url = urlsplit(_value(environment, name))
        port = url.port or _PORTS.get(url.scheme.partition("+")[0])
        if url.hostname is None or port is None:
            continue  # a file of this machine
        try:
            socket.create_connection((url.hostname, port), timeout=_SECONDS).close()
        except OSError as error:
            return f"{name}: {url.hostname}, port {port}: {error}"
    return None


def _value(environment: dict[str, str], name: str) -> str:
    file = environment.get(f"{name}_FILE")
    return Path(file).read_text().strip() if file else environment.get(name, "")


def main() -> int:
    check = worker_is_well if sys.argv[1:] == ["worker"] else node_is_well
    wrong = check(dict(os.environ))
    print(wrong or "well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
