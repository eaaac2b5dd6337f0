"""What the processes of a host write about themselves, to standard error."""

from __future__ import annotations

import logging

from .settings import WorkerSettings

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_LEVELS = {"trace": "DEBUG", "warn": "WARNING"}
_LIBRARIES = ("httpx", "pika", "dramatiq", "alembic")


def set_up_logging(settings: WorkerSettings) -> None:
    """To standard error, at the level that is set; libraries only when something is wrong."""
    level = _LEVELS.get(settings.log_level, settings.log_level.upper())
    logging.basicConfig(level=level, format=_FORMAT)
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)
