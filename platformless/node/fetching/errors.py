"""Errors of fetching a model.

FetchError                FET-000
├── BadRequest            FET-100   what was asked for cannot be fetched
│   ├── UrlUnusable       FET-101   a URL that is none, or that names no file
│   ├── ModelUnknown      FET-102   the registry has no such model
│   ├── ModelWithdrawn    FET-103   the registry's owner has withdrawn the model
│   └── FolderUnusable    FET-104   the file cannot be written there
├── AnotherFileThere      FET-200   a file of that name is there, with another content
├── FetchUnderWay         FET-201   another process fetches the same file
├── ServerRefused         FET-300   the server answers, and does not give the file
├── ServerUnavailable     FET-301   the server did not give the file for too long
├── TooLarge              FET-302   more bytes than are taken, or than the disk has room for
└── WrongContent          FET-303   all bytes are here, and they are another file
"""

from __future__ import annotations

from ...errors import PlatformlessError


class FetchError(PlatformlessError):
    """A model was not fetched."""

    code = "FET-000"


class BadRequest(FetchError):
    code = "FET-100"
    outcome = "invalid"
    exit_status = 2


class UrlUnusable(BadRequest):
    code = "FET-101"
    advice = "give an http or https URL that ends in the file's name, or --file-name"


class ModelUnknown(BadRequest):
    code = "FET-102"
    advice = "the id is made of --repository and the file's name, spelled as they were registered"


class ModelWithdrawn(BadRequest):
    code = "FET-103"
    advice = "hosts cannot register for it; take a model that is approved"


class FolderUnusable(BadRequest):
    code = "FET-104"
    advice = "choose another --out, or make the folder writable"


class AnotherFileThere(FetchError):
    code = "FET-200"
    outcome = "rejected"
    exit_status = 1
    advice = "move it away, or choose another --out"


class FetchUnderWay(FetchError):
    code = "FET-201"


class ServerRefused(FetchError):
    code = "FET-300"
    advice = "check the URL"


class ServerUnavailable(FetchError):
    code = "FET-301"
    advice = "run the command again: it goes on where it stopped"


class TooLarge(FetchError):
    code = "FET-302"
    advice = "make room, or raise --largest-gib"


class WrongContent(FetchError):
    """Nothing is left of it."""

    code = "FET-303"
    outcome = "rejected"
    exit_status = 1
    advice = "take the file from where its repository publishes it"
