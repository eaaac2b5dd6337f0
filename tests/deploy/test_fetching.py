"""Fetching a model: over broken connections, from servers that give something else."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from platformless.chain.model_registry import FileHash, ModelFile
from platformless.node.fetching.download import FetchSettings
from platformless.node.fetching.errors import (
    AnotherFileThere,
    FetchUnderWay,
    FolderUnusable,
    ServerRefused,
    ServerUnavailable,
    TooLarge,
    UrlUnusable,
    WrongContent,
)
from platformless.node.fetching.model import FetchReport, FetchRequest, fetch
from platformless.node.fetching.part import PartFile
from platformless.retrying import Backoff

from .file_server import FileServer

CONTENT = random.Random(1).randbytes(3_000_000)
SETTINGS = FetchSettings(patience_seconds=30, request_seconds=5, backoff=Backoff(0.01, 0.02))


def of(content: bytes) -> ModelFile:
    return ModelFile("owner/name", "model.gguf", FileHash(hashlib.sha256(content).digest()))


def fetched(
    server: FileServer,
    folder: Path,
    *,
    expected: bytes = CONTENT,
    settings: FetchSettings = SETTINGS,
) -> FetchReport:
    return fetch(FetchRequest(server.url(), "owner/name", folder=folder), of(expected), settings)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_file_arrives_under_its_name_and_is_the_registered_one(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    folder = tmp_path / "models"
    with FileServer(CONTENT) as server:
        request = FetchRequest(server.url(), "owner/name", folder=folder)
        report = fetch(request, of(CONTENT), SETTINGS, lambda *step: seen.append(step))
    assert report.path == folder / "model.gguf"
    assert report.path.read_bytes() == CONTENT
    assert report.received_bytes == report.size_bytes == len(CONTENT)
    assert report.model_id == of(CONTENT).id
    assert left_in(folder) == ["model.gguf"]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)


def test_a_connection_that_breaks_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    with FileServer(CONTENT, cut_after=[1_000_000, 500_000, 1]) as server:
        report = fetched(server, tmp_path)
    assert report.path.read_bytes() == CONTENT
    assert report.received_bytes == len(CONTENT)
    assert server.ranges == [None, "bytes=1000000-", "bytes=1500000-", "bytes=1500001-"]


def test_a_server_that_knows_no_ranges_is_asked_for_everything_again(tmp_path: Path) -> None:
    with FileServer(CONTENT, cut_after=[1_000_000], ignores_ranges=True) as server:
        report = fetched(server, tmp_path)
    assert report.path.read_bytes() == CONTENT
    assert report.received_bytes == len(CONTENT) + 1_000_000


def test_a_server_that_always_breaks_at_the_same_place_is_given_up(tmp_path: Path) -> None:
    settings = FetchSettings(patience_seconds=0.2, backoff=Backoff(0.01, 0.02))
    with (
        FileServer(CONTENT, cut_after=[1000] * 100_000, ignores_ranges=True) as server,
        pytest.raises(ServerUnavailable, match="more of it within"),
    ):
        fetched(server, tmp_path, settings=settings)


def test_what_an_earlier_fetch_left_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / ".model.gguf.part").write_bytes(CONTENT[:2_000_000])
    with FileServer(CONTENT) as server:
        report = fetched(server, tmp_path)
    assert report.path.read_bytes() == CONTENT
    assert report.resumed_from_bytes == 2_000_000
    assert report.received_bytes == 1_000_000


def test_an_earlier_fetch_that_had_all_bytes_only_lacked_the_name(tmp_path: Path) -> None:
    (tmp_path / ".model.gguf.part").write_bytes(CONTENT)
    with FileServer(CONTENT) as server:
        report = fetched(server, tmp_path)
    assert report.path.read_bytes() == CONTENT
    assert report.received_bytes == 0


@pytest.mark.parametrize("left", [b"\0" * 1000, b"\0" * len(CONTENT), b"\0" * (len(CONTENT) + 5)])
def test_what_an_earlier_fetch_left_of_another_file_is_thrown_away(
    tmp_path: Path, left: bytes
) -> None:
    (tmp_path / ".model.gguf.part").write_bytes(left)
    with FileServer(CONTENT) as server:
        report = fetched(server, tmp_path)
    assert report.path.read_bytes() == CONTENT
    assert report.resumed_from_bytes == 0


def test_another_content_gets_no_name_and_leaves_nothing(tmp_path: Path) -> None:
    changed = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    with FileServer(changed) as server, pytest.raises(WrongContent) as refusal:
        fetched(server, tmp_path)
    assert refusal.value.code == "FET-303"
    assert hashlib.sha256(changed).hexdigest() in str(refusal.value)
    assert left_in(tmp_path) == []


def test_a_file_that_ends_early_without_a_size_is_another_content(tmp_path: Path) -> None:
    with (
        FileServer(CONTENT, cut_after=[1000], tells_size=False) as server,
        pytest.raises(WrongContent),
    ):
        fetched(server, tmp_path)


@pytest.mark.parametrize("tells_size", [True, False])
def test_a_file_that_is_too_large_is_not_taken(tmp_path: Path, tells_size: bool) -> None:
    settings = FetchSettings(largest_bytes=1_000_000)
    with FileServer(CONTENT, tells_size=tells_size) as server, pytest.raises(TooLarge):
        fetched(server, tmp_path, settings=settings)
    assert left_in(tmp_path) == []


def test_a_file_that_the_disk_has_no_room_for_is_refused_before_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is stood in for: filling this one would stop others."""
    monkeypatch.setattr("platformless.node.fetching.download.free_bytes", lambda _folder: 1 << 20)
    with FileServer(CONTENT) as server, pytest.raises(TooLarge, match="no room"):
        fetched(server, tmp_path)


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    with FileServer(CONTENT, statuses=[503, 429, 500]) as server:
        report = fetched(server, tmp_path)
    assert report.path.read_bytes() == CONTENT
    assert len(server.ranges) == 4


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_server_that_refuses_is_asked_once(tmp_path: Path, status: int) -> None:
    with FileServer(CONTENT, statuses=[status]) as server, pytest.raises(ServerRefused) as refusal:
        fetched(server, tmp_path)
    assert str(status) in str(refusal.value)
    assert len(server.ranges) == 1


def test_redirects_are_followed(tmp_path: Path) -> None:
    with (
        FileServer(CONTENT) as store,
        FileServer(b"", redirects_to=store.url("blob?signature=x")) as server,
    ):
        report = fetched(server, tmp_path)
    assert report.path == tmp_path / "model.gguf"
    assert report.path.read_bytes() == CONTENT


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/model.gguf"])
def test_redirects_to_what_is_not_http_lead_nowhere(tmp_path: Path, target: str) -> None:
    with FileServer(b"", redirects_to=target) as server, pytest.raises(ServerRefused):
        fetched(server, tmp_path)


def test_a_server_that_is_not_there_is_given_up_after_a_while(tmp_path: Path) -> None:
    settings = FetchSettings(patience_seconds=0.1, backoff=Backoff(0.01, 0.02))
    with FileServer(CONTENT) as server:
        url = server.url()
    with pytest.raises(ServerUnavailable):
        fetch(FetchRequest(url, "owner/name", folder=tmp_path), of(CONTENT), settings)


def test_a_file_that_is_there_is_hashed_and_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(CONTENT)
    with FileServer(CONTENT) as server:
        report = fetched(server, tmp_path)
    assert report.was_there
    assert server.ranges == []


def test_another_file_of_that_name_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"somebody's")
    with FileServer(CONTENT) as server, pytest.raises(AnotherFileThere):
        fetched(server, tmp_path)
    assert (tmp_path / "model.gguf").read_bytes() == b"somebody's"


def test_two_fetches_of_one_file_do_not_write_into_each_other(tmp_path: Path) -> None:
    with (
        FileServer(CONTENT) as server,
        PartFile(tmp_path / "model.gguf"),
        pytest.raises(FetchUnderWay),
    ):
        fetched(server, tmp_path)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"a file")
    with FileServer(CONTENT) as server, pytest.raises(FolderUnusable):
        fetched(server, tmp_path / "models")


@pytest.mark.parametrize(
    ("url", "file_name"),
    [
        ("ftp://example.org/model.gguf", None),
        ("model.gguf", None),
        ("https:///model.gguf", None),
        ("https://example.org/", None),
        ("https://example.org/.hidden", None),
        ("https://example.org/..%2F..%2Fetc%2Fpasswd", None),
        ("https://example.org/model.gguf", "../model.gguf"),
        ("https://example.org/model.gguf", ".."),
    ],
)
def test_names_that_lead_elsewhere_are_refused(url: str, file_name: str | None) -> None:
    with pytest.raises(UrlUnusable):
        _ = FetchRequest(url, "owner/name", file_name).name


def test_the_name_is_the_urls_last_part_unless_another_is_given() -> None:
    url = "https://example.org/a/My%20Model.Q4.gguf?download=true#x"
    assert FetchRequest(url, "owner/name").name == "My Model.Q4.gguf"
    assert FetchRequest(url, "owner/name", "other.gguf").name == "other.gguf"
