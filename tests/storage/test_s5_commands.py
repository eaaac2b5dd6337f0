"""`fabstir-llm-node s5`: a file goes to a portal and comes back, by its name."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from platformless.storage.cids import BlobId
from platformless.storage.portal.running import EmbeddedPortal

CONTENT = os.urandom(300_000)


async def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    full = [sys.executable, "-m", "platformless.node", "s5", *arguments]
    return await asyncio.to_thread(
        subprocess.run, full, capture_output=True, text=True, timeout=60, check=False
    )


async def test_a_file_is_put_and_fetched(portal: EmbeddedPortal, tmp_path: Path) -> None:
    file, back = tmp_path / "file", tmp_path / "back"
    file.write_bytes(CONTENT)
    put = await command("put", str(file), "--portal", portal.url, "--json")
    assert put.returncode == 0, put.stderr
    stored = json.loads(put.stdout)
    assert stored["cid"] == str(BlobId.of(CONTENT))
    assert stored["portals"] == [portal.url]
    got = await command("get", stored["cid"], "--portal", portal.url, "--out", str(back))
    assert got.returncode == 0, got.stderr
    assert back.read_bytes() == CONTENT
    named = await command("cid", str(file), "--json")
    assert json.loads(named.stdout)["spellings"]["v1-base32"] == stored["cid"]


async def test_what_cannot_be_had_is_told_and_leaves_no_file(
    portal: EmbeddedPortal, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ("--portal", portal.url, "--out", str(out))
    missing = await command("get", str(BlobId.of(b"nobody has this")), *arguments)
    assert missing.returncode == 3
    assert "STO-251" in missing.stderr
    wrong = await command("get", "blobnonsense!", *arguments)
    assert wrong.returncode == 2
    no_file = await command("put", str(tmp_path / "absent"), "--portal", portal.url)
    assert no_file.returncode == 2
    assert list(tmp_path.glob("out*")) == []
