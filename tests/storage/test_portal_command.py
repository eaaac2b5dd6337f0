"""The commands behind `s5-portal` and `s5 cid`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import typer

from platformless.console import BadInput, Output
from platformless.node.s5.portal import PortalRequest, check_portal, run_portal, show_cid
from platformless.storage.cids import BlobId
from platformless.storage.portal.contents import Contents
from platformless.storage.portal.settings import PortalSettings

from .portal_process import PortalProcess
from .test_portal_http import BLOB, HELLO
from .test_portal_store import flip_a_byte


def output(as_json: bool = True) -> Output:
    return Output("fabstir-llm-node", "s5", as_json)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_portal_runs_until_it_is_told_to_stop(
    tmp_path: Path, number: signal.Signals
) -> None:
    with PortalProcess(tmp_path) as portal:
        async with httpx.AsyncClient(base_url=portal.url) as http:
            await http.post("/s5/upload", content=HELLO)
            portal.process.send_signal(number)
            assert portal.process.wait(timeout=20) == 0
    assert Contents(PortalSettings(tmp_path)).check().blobs == 1


def test_a_person_sees_the_address(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from platformless.console import Output\n"
        "from platformless.node.s5.portal import *\n"
        "run_portal(Output('x', 'y', False), PortalRequest(Path(sys.argv[1]), host='0.0.0.0'))"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    shown = ""
    while not shown.endswith("stop with Ctrl-C\n"):
        line = command.stdout.readline()
        assert line, shown
        shown += line
    os.kill(command.pid, signal.SIGINT)
    assert command.wait(timeout=20) == 0
    command.stdout.close()
    assert "http://0.0.0.0:" in shown
    assert "anyone who reaches this address may write" in shown


def test_private_reads_without_a_token_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        run_portal(output(), PortalRequest(tmp_path, private_reads=True))


def test_a_check_is_reported_with_an_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = Contents(PortalSettings(tmp_path))
    contents.blobs.add(HELLO)
    assert check_portal(output(), tmp_path).is_sound
    assert json.loads(capsys.readouterr().out)["outcome"] == "accepted"
    flip_a_byte(contents.blobs.path(BLOB.hash))
    with pytest.raises(typer.Exit) as end:
        check_portal(output(), tmp_path)
    assert end.value.exit_code == 1
    report = json.loads(capsys.readouterr().out)
    assert report["outcome"] == "rejected"
    assert report["quarantined"][0]["name"] == BLOB.hash.value.hex()
    check_portal(output(as_json=False), tmp_path)
    assert "0 sound blobs" in capsys.readouterr().out


def test_a_check_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        check_portal(output(), tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("from_file", [True, False])
def test_a_blob_is_named_in_every_spelling(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], from_file: bool
) -> None:
    (tmp_path / "hello.txt").write_bytes(HELLO)
    target = str(tmp_path / "hello.txt") if from_file else BLOB.legacy("u")
    assert show_cid(output(), target) == BLOB
    shown = json.loads(capsys.readouterr().out)
    assert shown["spellings"] == BLOB.spellings()
    assert (shown["hash"], shown["size"]) == (BLOB.hash.value.hex(), 13)
    show_cid(output(as_json=False), target)
    text = capsys.readouterr().out
    assert all(spelling in text for spelling in BLOB.spellings().values())


@pytest.mark.parametrize("target", ["no-such-file", str(BlobId.of(b""))[:-5], "x" * 300, "a\0b"])
def test_what_is_neither_file_nor_name_is_refused(target: str) -> None:
    with pytest.raises(BadInput):
        show_cid(output(), target)
