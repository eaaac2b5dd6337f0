"""A stage with everybody on it that may be dishonest: host, portal, RPC node."""

from __future__ import annotations

from dataclasses import dataclass, replace

from platformless.audit.session.inputs import AuditInputs
from platformless.audit.session.report import AuditReport
from platformless.chain.connection import Chain
from tests.chain.faulty import FaultyNode
from tests.storage.faulty_portal import FaultyPortal

from .stage import Stage


@dataclass
class Scene:
    """The auditor reads through `node` and, with `portal_lies`, from `portal`."""

    stage: Stage
    node: FaultyNode
    portal: FaultyPortal
    portal_lies: bool = False
    second_opinion: bool = False
    """Whether the auditor asks another, honest node as well."""

    async def audit(self, inputs: AuditInputs | None) -> AuditReport:
        portal_url = self.portal.url if self.portal_lies else None
        if not self.second_opinion:
            return await self.stage.audit(inputs, rpc_url=self.node.url, portal_url=portal_url)
        async with Chain(self.stage.world.network) as honest:
            both = replace(inputs or AuditInputs(), second_node=honest)
            return await self.stage.audit(both, rpc_url=self.node.url, portal_url=portal_url)

    def lie_from_storage(self) -> None:
        """From now on the auditor reads from the portal that lies; it has all that was put."""
        self.portal_lies = True
        for data in self.stage.files:
            self.portal.keep(data)
