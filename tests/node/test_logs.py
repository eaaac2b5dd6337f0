"""What a node writes about itself: levels and formats, and that no key, no token and nothing that
was said is in any of it."""

from __future__ import annotations

import base64
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

import pytest

from platformless.log_context import about
from platformless.node.errors import WrongSetting
from platformless.node.log_levels import TRACE, LogLevels, parse_levels, parse_rust_log
from platformless.node.logs import (
    JsonLines,
    TextLines,
    hide_secrets,
    json_line,
    log_as_told,
    set_up_logging,
)
from platformless.node.reading_settings import load_settings
from platformless.node.redaction import HIDDEN, SECRETS, CleanStream, Secrets
from platformless.node.supervisor.lines import as_json, as_text

KEY = bytes(range(100, 132))
PORTAL_TOKEN = 'portal "token" 1'  # noqa: S105
SETTINGS = {
    "HOST_PRIVATE_KEY": "0x" + KEY.hex(),
    "LEDGER_KEY": "5a" * 32,
    "LEDGER_URL": "postgresql+psycopg://node:l3dger-pass@db.example/node",
    "BROKER_URL": "amqps://node:br0ker-pass@one.example,amqps://node:br0ker-pass@two.example",
    "RPC_URL": "https://rpc.example/v2/pr0vider-key-0123456789,https://other.example/apikey?k=short1",
    "S5_PORTAL_TOKEN": PORTAL_TOKEN,
    "METRICS_TOKEN": "metrics-token",
}


class Written:
    """What was written to standard output and error so far."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self._out = self._err = ""

    def _read(self) -> None:
        out, err = self._captured.readouterr()
        self._out += out
        self._err += err

    @property
    def err(self) -> str:
        self._read()
        return self._err

    @property
    def out(self) -> str:
        self._read()
        return self._out


@pytest.fixture
def written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Written]:
    """For a test that sets up logging; afterwards everything is as it was."""
    root, ours = logging.getLogger(), logging.getLogger("platformless")
    kept = root.handlers[:], root.level, ours.level
    manager = logging.root.manager
    known = {name: one.level for name, one in manager.loggerDict.items() if _is_logger(one)}
    for module, name in ((sys, "excepthook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    patterns, everything = set(SECRETS._patterns), SECRETS._all
    yield Written(capsys)
    root.handlers[:] = kept[0]
    root.setLevel(kept[1])
    ours.setLevel(kept[2])
    for name, one in manager.loggerDict.items():
        if _is_logger(one):
            one.setLevel(known.get(name, logging.NOTSET))
    logging.captureWarnings(capture=False)
    SECRETS._patterns, SECRETS._all = patterns, everything


def _is_logger(one: object) -> TypeGuard[logging.Logger]:
    return isinstance(one, logging.Logger)


def set_up(**changes: str) -> None:
    settings, _ = load_settings({**SETTINGS, **changes}, env_file=None)
    set_up_logging(settings, "settlement")


def record(message: str = "said", **named: object) -> logging.LogRecord:
    found = logging.makeLogRecord(
        {"name": "platformless.x", "msg": message, "levelno": 30, **named}
    )
    found.created = 1_700_000_000.1239
    return found


def objects(written: Written) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.err.splitlines()]


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("info", LogLevels(logging.INFO)),
        ("TRACE", LogLevels(TRACE)),
        ("", LogLevels(logging.INFO)),
        ("off", LogLevels(logging.ERROR)),
        ("warning", LogLevels(logging.WARNING)),
        ("info,platformless.chain=debug", LogLevels(20, {"platformless.chain": 10})),
        ("platformless.node.sessions=trace,warn", LogLevels(30, {"platformless.node.sessions": 5})),
        ("fabstir_llm_node=debug", LogLevels(logging.DEBUG)),
        ("fabstir_llm_node::chain = debug , error", LogLevels(40, {"platformless.chain": 10})),
        ("httpx=debug", LogLevels(20, {"httpx": 10})),
    ],
)
def test_levels_are_read_and_written_alike(text: str, levels: LogLevels) -> None:
    assert parse_levels(text) == levels
    assert parse_levels(str(levels)) == levels
    assert parse_rust_log(text) == levels


@pytest.mark.parametrize("text", ["loud", "platformless=loud", "=debug", "a b=debug", "info,x"])
def test_what_is_no_level_is_refused_in_log_level_and_passed_over_in_rust_log(text: str) -> None:
    with pytest.raises(ValueError, match="module=level"):
        parse_levels(text)
    assert parse_rust_log(f"warn,{text}").default in (logging.WARNING, logging.INFO)
    assert parse_rust_log("warn,my_crate[span{x=1}],/regex/") == LogLevels(logging.WARNING)


def test_each_module_has_its_level_and_libraries_are_quiet(written: Written) -> None:
    set_up(LOG_LEVEL="warn,platformless.node.sessions=trace,httpx=trace")
    for name in ("platformless.chain.rpc", "platformless.node.sessions.live", "httpx", "uvicorn"):
        for level in (TRACE, 10, 20, 30, 40):
            logging.getLogger(name).log(level, "%s %d", name, level)
    told = [line.split(": ")[1] for line in written.err.splitlines()]
    expected = {
        "platformless.chain.rpc": (30, 40),
        "platformless.node.sessions.live": (TRACE, 10, 20, 30, 40),
        "httpx": (20, 30, 40),  # below that libraries write what was said
        "uvicorn": (30, 40),
    }
    assert told == [f"{name} {level}" for name, levels in expected.items() for level in levels]


def test_a_line_of_text() -> None:
    line = TextLines().format(record("session %d is here\n2026 ERROR a forged line", args=(7,)))
    assert line == (
        "2023-11-14T22:13:20.123Z WARN  platformless.x: "
        "session 7 is here\\n2026 ERROR a forged line"
    )


def test_a_line_of_json() -> None:
    with about(session=7, job=None), about(request="r-1"):
        line = JsonLines("node").format(record("two\nlines", tokens=5, block=None, odd={1}))
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.123Z",
        "level": "WARN",
        "logger": "platformless.x",
        "process": "node",
        "message": "two\nlines",
        "session": 7,
        "request": "r-1",
        "tokens": 5,
        "odd": [1],
    }
    assert "\n" not in line
    assert list(json.loads(JsonLines("node").format(record()))) == [
        *("time", "level", "logger", "process", "message")
    ]


def test_separators_that_end_lines_elsewhere_are_escaped() -> None:
    assert len(json_line({"message": "a\u2028b\u2029c"}).splitlines()) == 1


def test_crashes_and_warnings_are_logged(written: Written) -> None:
    set_up(LOG_FORMAT="json")
    sys.excepthook(RuntimeError, RuntimeError("no way on"), None)
    warnings.warn("old", stacklevel=1)
    crash, warning = objects(written)
    assert (crash["level"], crash["process"]) == ("ERROR", "settlement")
    assert crash["exception"].endswith("RuntimeError: no way on")
    assert (warning["level"], warning["logger"]) == ("WARN", "py.warnings")


def test_a_process_without_settings_is_told_by_the_environment(written: Written) -> None:
    log_as_told({"LOG_FORMAT": "json", "RUST_LOG": "platformless.storage=debug,loud"}, "portal")
    logging.getLogger("platformless.storage.portal").debug("a")
    logging.getLogger("platformless.node").debug("b")
    assert [line["message"] for line in objects(written)] == ["a"]


SECRET_TEXTS = {
    "hex": KEY.hex(),
    "0x": "0x" + KEY.hex(),
    "HEX": KEY.hex().upper(),
    "repr": repr(KEY),
    "in a repr": repr({"key": KEY}),
    "repr of a repr": repr(repr(KEY)),
    "base64": base64.b64encode(KEY).decode(),
    "urlsafe": base64.urlsafe_b64encode(KEY).decode().rstrip("="),
    "number": str(int.from_bytes(KEY, "big")),
    "list": str(list(KEY)),
    "ledger key": "5a" * 32,
    "ledger key as bytes": str(bytes.fromhex("5a" * 32)),
    "portal token": PORTAL_TOKEN,
    "portal token quoted": "portal%20%22token%22%201",
    "metrics token": "Bearer metrics-token",
    "ledger password": SETTINGS["LEDGER_URL"],
    "broker password": "br0ker-pass",
    "provider's key": "pr0vider-key-0123456789",
    "provider's address": SETTINGS["RPC_URL"].split(",")[0],
    "short key of a provider": SETTINGS["RPC_URL"].split(",")[1],
    "credentials of an unknown address": "redis://:unknown-pass@redis.example/0",
}
TRACES = (
    *(KEY.hex(), KEY.hex().upper(), repr(KEY)[2:12], str(int.from_bytes(KEY, "big"))),
    *(
        base64.b64encode(KEY).decode()[:40],
        "100, 101, 102",
        "5a5a5a",
        "ZZZZ",
        'portal "',
        "%22token",
    ),
    *("portal \\", "metrics-token", "l3dger", "br0ker", "pr0vider", "short1", "unknown-pass"),
)


@pytest.mark.parametrize("as_format", ["text", "json"])
@pytest.mark.parametrize("text", SECRET_TEXTS.values(), ids=SECRET_TEXTS)
def test_no_spelling_of_a_secret_is_written(written: Written, text: str, as_format: str) -> None:
    set_up(LOG_FORMAT=as_format)
    log = logging.getLogger("platformless.node")
    log.warning("message %s", text, extra={"named": text})
    try:
        _fail({"in a traceback": text, "and": [text]})
    except ValueError:
        log.exception("failed")
    print(text, {"printed": text}, file=sys.stderr)
    print(text)
    both = written.err + written.out
    assert [trace for trace in TRACES if trace in both] == []
    assert "message" in both
    assert "in a traceback" in both
    assert HIDDEN in both or ".example/" in both  # of credentials nothing is left


def _fail(told: object) -> None:
    raise ValueError(told)


def test_what_is_no_secret_is_written_as_it_is(written: Written) -> None:
    set_up()
    harmless = "0x" + "07" * 32 + " https://rpc.example rests 1.0 s: https://other.example/other"
    logging.getLogger("platformless.node").warning("%s", harmless)
    assert harmless in written.err


def test_short_and_empty_texts_hide_nothing() -> None:
    secrets = Secrets()
    secrets.hide_key(bytes(31) + b"\x07")
    assert secrets.cleaned("7 and 07") == "7 and 07"
    secrets.hide_text("")
    secrets.hide_text("abc")
    secrets.hide_url("")
    secrets.hide_url("http://[")
    secrets.hide_url("https://rpc.example/", path=True)
    assert secrets.cleaned("abc https://rpc.example/ x") == "abc https://rpc.example/ x"


def test_a_clean_stream_is_wrapped_once_and_is_the_other_in_all_else() -> None:
    secrets = Secrets()
    secrets.hide_text("password")
    inner = io.StringIO()
    stream = CleanStream.around(inner, secrets)
    assert CleanStream.around(stream, secrets) is stream
    assert stream.write("a password\n") == 11
    stream.writelines(["password", "\n"])
    assert inner.getvalue() == f"a {HIDDEN}\n{HIDDEN}\n"
    assert stream.isatty() is False


def test_settings_of_a_worker_have_secrets_too() -> None:
    settings, _ = load_settings(SETTINGS, env_file=None)
    before = SECRETS._patterns.copy(), SECRETS._all
    hide_secrets(settings)
    assert SECRETS.cleaned("x l3dger-pass") == f"x {HIDDEN}"
    SECRETS._patterns, SECRETS._all = before


def test_lines_of_services_are_passed_on_with_their_name() -> None:
    assert as_text("node", "said") == "node | said"
    own = '{"time":"T","level":"INFO","logger":"l","process":"node","message":"m","session":7}'
    assert json.loads(as_json("node-1", own)) == {**json.loads(own), "service": "node-1"}
    for line in ("1:M * Ready", "", "{", '{"url": 1}', "[1]", '{"message": "\ufffd"', "\x1b[0m"):
        assert json.loads(as_json("broker", line, seconds=0.0)) == {
            "time": "1970-01-01T00:00:00.000Z",
            "level": "INFO",
            "logger": "broker",
            "process": "broker",
            "message": line,
            "service": "broker",
        }


def test_a_wrong_level_is_told_with_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(WrongSetting, match=r"LOG_LEVEL.*module=level"):
        load_settings({**SETTINGS, "LOG_LEVEL": "info,loud"}, tmp_path / "absent")
