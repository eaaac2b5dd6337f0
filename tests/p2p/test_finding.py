"""Nodes find one another by model: real processes over loopback, killed, stopped, started again."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from platformless.node.p2p.record_file import take_away

from .parts import Finder, Participant, participant, peers_process, until, urls
from .records import KEY, MODEL, OTHER_KEY, OTHER_MODEL, leave_record

pytest.importorskip("libp2p", reason="the extra p2p is not installed")


def test_nodes_are_found_by_model_and_come_back_after_a_kill(tmp_path: Path, peers: Finder) -> None:
    for name, key, models in (
        ("one", KEY, (MODEL,)),
        ("two", OTHER_KEY, (MODEL, OTHER_MODEL)),
    ):
        (tmp_path / name).mkdir()
        leave_record(tmp_path / name, key, api_url=f"http://127.0.0.1/{name}", models=models)
    both = ["http://127.0.0.1/one", "http://127.0.0.1/two"]
    with participant(tmp_path / "one") as one:
        with participant(tmp_path / "two", one.address) as two:
            until(lambda: urls(peers(MODEL, one.address)) == both)
            assert urls(peers(MODEL, two.address)) == both
            assert urls(peers(OTHER_MODEL, one.address)) == both[1:]

            two.kill()
            found = peers(MODEL, one.address)
            assert urls(found) == both[:1]
            assert [gone["code"] for gone in found["refused"]] == [None]
            assert one.is_alive

            before = two.report["peer_id"]
            two.start()
            assert two.report["peer_id"] == before
            until(lambda: urls(peers(OTHER_MODEL, one.address)) == both[1:])

            # The one that all others know is killed: they find it again by themselves.
            one.kill()
            one.start()
            until(lambda: urls(peers(OTHER_MODEL, one.address)) == both[1:])

            # A node that stops serving takes its record away.
            take_away(two.folder)
            until(lambda: urls(peers(MODEL, one.address)) == both[:1])
            assert two.stop() == 0
            assert one.stop() == 0


def test_five_nodes_are_found_through_any_of_them(tmp_path: Path, peers: Finder) -> None:
    nodes: list[Participant] = []
    try:
        for number in range(5):
            folder = tmp_path / str(number)
            folder.mkdir()
            leave_record(folder, KEY, api_url=f"http://127.0.0.1/{number}")
            part = Participant(folder, nodes[-1].address if nodes else "")
            nodes.append(part)
            part.start()
        everyone = [f"http://127.0.0.1/{number}" for number in range(5)]
        for part in nodes:
            until(lambda address=part.address: urls(peers(MODEL, address)) == everyone)  # type: ignore[misc]
    finally:
        for part in nodes:
            if part.is_alive:
                part.kill()


def test_a_node_without_a_record_is_nobodys_provider(tmp_path: Path, peers: Finder) -> None:
    with participant(tmp_path / "one") as one:
        found = peers(MODEL, one.address)
    assert (found["outcome"], found["nodes"], found["refused"]) == ("done", [], [])


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    part = Participant(tmp_path)
    with socket.create_server(("127.0.0.1", part.port)):
        part.start()
        assert part.report["error"]["code"] == "P2P-002"
        assert part.process is not None
        assert part.process.wait() == 2


def test_who_reaches_nobody_is_told(peers: Finder) -> None:
    nobody = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGKzrxbDE7ahtnS4yiY6HAitkuPXxUcktFbKYdZqufbMn"
    assert peers_process(MODEL, nobody)["error"]["code"] == "P2P-005"
    assert peers(MODEL)["error"]["code"] == "P2P-005"
    assert peers("0x12", nobody)["error"]["code"] == "P2P-008"
    assert peers(MODEL, "nobody")["error"]["code"] == "P2P-003"
