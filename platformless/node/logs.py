"""What the processes of a host write about themselves, to standard error: lines of text, or
objects of JSON, one a line.

| level | of |
|---|---|
| ERROR | what failed and is not tried again by itself; crashes |
| WARN | what is tried again, and what works worse than it should |
| INFO | sessions from beginning to end, checkpoints, proofs, payments |
| DEBUG | single answers, connections, requests |
| TRACE | what happens many times a second |

No line has what a client or the model said, and none has a secret (`redaction`).
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, TypeGuard

import msgspec
from pydantic import SecretStr

from ..errors import PlatformlessError
from ..log_context import context
from .log_levels import PACKAGE, TRACE, LogLevels, parse_levels, parse_rust_log
from .redaction import SECRETS, CleanStream
from .settings import WorkerSettings

log = logging.getLogger(PACKAGE)
_NOT_TOLD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
"""Attributes of every record, and what uvicorn adds for terminals."""
_SHORT = {logging.WARNING: "WARN", logging.CRITICAL: "ERROR", TRACE: "TRACE"}


def set_up_logging(settings: WorkerSettings, process: str = "node") -> None:
    """Logs to standard error at the levels that are set, and hides the settings' secrets in all
    that this process writes. Libraries are heard when something is wrong, or from the level that
    is set for them; never below INFO, where some write what was said.

    Args:
        process: What this process is, such as `settlement`.
    """
    hide_secrets(settings)
    start_logging(parse_levels(settings.log_level), settings.log_format == "json", process)


def start_logging(levels: LogLevels, as_json: bool, process: str) -> None:
    """As `set_up_logging`, without settings."""
    sys.stdout = CleanStream.around(sys.stdout, SECRETS)
    sys.stderr = CleanStream.around(sys.stderr, SECRETS)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(process) if as_json else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    log.setLevel(levels.default)
    for name, level in levels.modules.items():
        ours = name.split(".")[0] == PACKAGE
        logging.getLogger(name).setLevel(level if ours else max(level, logging.INFO))
    logging.captureWarnings(capture=True)
    sys.excepthook = _crashed
    threading.excepthook = _thread_crashed


def log_as_told(environment: Mapping[str, str], process: str) -> None:
    """For a process without the node's settings: levels and format as variables say, as far as
    they can be read."""
    levels = parse_rust_log(environment.get("LOG_LEVEL") or environment.get("RUST_LOG") or "")
    start_logging(levels, environment.get("LOG_FORMAT") == "json", process)


def hide_secrets(settings: WorkerSettings) -> None:
    """Keys, tokens and passwords of the settings, and providers' keys in addresses."""
    values = [getattr(settings, name) for name in type(settings).model_fields]
    for value in values:
        if isinstance(value, SecretStr):
            SECRETS.hide_text(value.get_secret_value())
    for url in settings.rpc_url.split(","):
        SECRETS.hide_url(url, path=True)
    for urls in filter(_has_url, values):
        for url in urls.split(","):
            SECRETS.hide_url(url)


@contextlib.contextmanager
def end_logged(settings: WorkerSettings) -> Iterator[None]:
    """Where lines are JSON, an error that ends the process is one as well, besides the message for
    a person."""
    try:
        yield
    except PlatformlessError as error:
        if settings.log_format == "json":
            told = {"code": error.code, "advice": error.advice or None}
            log.error("%s", error, extra=told)  # noqa: TRY400  (it explains itself)
        raise


class TextLines(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO  platformless.node.running: serving …`; a traceback follows
    on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        head = f"{rfc3339(record.created)} {level_name(record.levelno):<5} {record.name}: {message}"
        trace = _traceback(self, record)
        return head if trace is None else f"{head}\n{trace}"


class JsonLines(logging.Formatter):
    """`time`, `level`, `logger`, `process`, `message`; ids that the line is about (`session`,
    `job`, `request`) and what else the caller named; `exception`, a traceback."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        named = {name: value for name, value in vars(record).items() if name not in _NOT_TOLD}
        fields = {
            **json_fields(record.created, level_name(record.levelno), record.name),
            "process": self._process,
            "message": record.getMessage(),
            **context(),
            **named,
            "exception": _traceback(self, record),
        }
        return json_line(fields)


def json_fields(seconds: float, level: str, logger: str) -> dict[str, Any]:
    """How every object begins."""
    return {"time": rfc3339(seconds), "level": level, "logger": logger}


def json_line(fields: Mapping[str, Any]) -> str:
    """One line; what is None is left out, and what is no JSON is written as text."""
    present = {name: value for name, value in fields.items() if value is not None}
    encoded = msgspec.json.encode(present, enc_hook=str)
    # U+2028 and U+2029 end lines for some readers.
    return encoded.decode().replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def level_name(level: int) -> str:
    """ERROR, WARN, INFO, DEBUG or TRACE."""
    return _SHORT.get(level, logging.getLevelName(level))


def rfc3339(seconds: float) -> str:
    """Unix time as UTC with milliseconds."""
    milliseconds = int(seconds * 1000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{whole}.{milliseconds % 1000:03d}Z"


def _has_url(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and "://" in value


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str | None:
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts) or None


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.critical("this process ends by an unforeseen error", exc_info=(kind, error, trace))


def _thread_crashed(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None and not issubclass(told.exc_type, SystemExit):
        trace = (told.exc_type, told.exc_value, told.exc_traceback)
        log.critical("a thread ends by an unforeseen error", exc_info=trace)
