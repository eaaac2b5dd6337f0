"""Portals on loopback, each over an empty folder of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from platformless.storage.portal.running import EmbeddedPortal
from platformless.storage.portal.settings import PortalSettings


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[EmbeddedPortal]:
    """A portal that anyone may use, without a quota."""
    async with EmbeddedPortal(PortalSettings(tmp_path / "portal", allow_delete=True)) as portal:
        yield portal


@pytest.fixture
async def http(portal: EmbeddedPortal) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to `portal`."""
    async with httpx.AsyncClient(base_url=portal.url, timeout=30) as client:
        yield client
