"""Peers that lie are not believed, and those that attack are outlived."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .parts import LIMIT_SECONDS, ROOT, Finder, environment, participant, until, urls
from .records import MODEL, leave_record

pytest.importorskip("libp2p", reason="the extra p2p is not installed")

LIES = {
    "noise": "not a node record",
    "forged": "not signed by its host",
    "foreign": "not signed by its host",
    "borrowed": "the record of another peer",
    "expired": "the record has expired",
    "elsewhere": "the record of another marketplace",
    "other-model": "the record is not of this model",
    "huge": "exceeds maximum allowed",
    "too-long": "exceeds maximum allowed",
    "cut": "",
    "nothing": "",
    "silent": "no record within",
    "drips": "no record within",
}
COMMAND = (sys.executable, "-m", "tests.p2p.hostile")


@contextmanager
def liars(bootstrap: str) -> Iterator[dict[str, str]]:
    """Peers by what they do."""
    with subprocess.Popen(
        [*COMMAND, "lie", bootstrap, *LIES],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=environment({}),
    ) as process:
        try:
            assert process.stdout is not None
            found = {}
            for line in process.stdout:
                if line == "ready\n":
                    break
                kind, peer = line.split()
                found[kind] = peer
            yield found
        finally:
            process.kill()


def test_no_lie_is_believed_and_the_truth_is_found_among_them(
    tmp_path: Path, peers: Finder
) -> None:
    leave_record(tmp_path, api_url="http://127.0.0.1/true")
    with participant(tmp_path) as node, liars(node.address) as found:
        assert list(found) == list(LIES)
        report = peers(MODEL, node.address)
        assert urls(report) == ["http://127.0.0.1/true"]
        problems = {one["peer_id"]: one["problem"] for one in report["refused"]}
        assert set(problems) == set(found.values())
        for kind, peer in found.items():
            assert LIES[kind] in problems[peer], (kind, problems[peer])
        assert node.is_alive


def test_an_attack_ends_no_node_and_hides_none(tmp_path: Path, peers: Finder) -> None:
    leave_record(tmp_path, api_url="http://127.0.0.1/true")
    with participant(tmp_path) as node:
        done = subprocess.run(
            [*COMMAND, "attack", node.address],
            cwd=ROOT,
            env=environment({}),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=2 * LIMIT_SECONDS,
        )
        assert "held" in done.stdout
        assert node.is_alive
        until(lambda: peers(MODEL, node.address)["outcome"] == "done")
        assert urls(peers(MODEL, node.address)) == ["http://127.0.0.1/true"]
        assert node.resident_mib() < 200
        assert (tmp_path / "lines").stat().st_size < 100_000
        assert node.stop() == 0
