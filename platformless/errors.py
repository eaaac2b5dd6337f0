"""The root of every error that this project raises on purpose.

    PlatformlessError
    ├── protocol.errors.ProtocolError    PRO-…   a value or an encoding breaks its rules
    ├── chain.errors.ChainError          CHN-…   the chain, a contract or a transaction failed
    ├── storage.errors.StorageError      STO-…   a blob, a portal or a publication failed
    ├── engine.errors.EngineError        ENG-…   the model cannot be run, or a request not answered
    ├── audit.errors.Rejection           VER-…   a proof or a claim is not accepted
    ├── audit.errors.VerifierError       VRF-…   the check itself could not run
    ├── audit.errors.RecoveryProblem     RCV-…   a conversation cannot be had, or not trusted
    ├── audit.cells.errors.CellProblem   CEL-…   a cell is not what its inputs give
    ├── prover.errors.ProverError        PRV-…   a proof could not be made
    ├── prover.ledger.errors.LedgerError LED-…   the ledger cannot be used, or does not add up
    ├── prover.broker.errors.BrokerError BRK-…   the broker cannot be used
    ├── prover.pipeline.errors.PipelineError PIP-… a job is given up, or waits
    ├── client.errors.ClientError        CLT-…   a host cannot be used, refused, or lied
    ├── node.errors.NodeError            NOD-…   the node cannot do what it was asked
    │   └── node.guard.errors.GuardError GRD-…   a limit refused it before anything was done
    ├── node.keys.errors.HostKeyError    KEY-… the host's key cannot be had, or not used like this
    ├── node.backup.errors.BackupError   BAK-… what a node keeps cannot be backed up or restored
    ├── node.registration.errors.RegistrationError REG-… a host is not registered, or not so
    ├── node.fetching.errors.FetchError  FET-…   a model was not fetched
    ├── node.supervisor.errors.SupervisorError SUP-… a service cannot be kept running
    ├── node.p2p.errors.P2PError         P2P-…   nodes cannot find one another
    ├── node.operating.errors.OperatingError OPR-… a ledger that an operator cannot look into
    ├── node.demo.errors.DemoFailed      DEM-…   the demo did not show what it should
    └── console.BadInput, Interrupted    CLI-…   a command was used wrongly, or stopped

A code is stable: operators search for it and programs compare it.
"""

from __future__ import annotations

from typing import ClassVar


class PlatformlessError(Exception):
    """An error with a code, what was expected, what was got and what to do about it."""

    code: ClassVar[str] = "PLA-000"
    advice: ClassVar[str] = ""
    outcome: ClassVar[str] = "failed"
    """What a command says that ends with this error: failed, invalid or rejected."""
    exit_status: ClassVar[int] = 3

    def __init__(self, message: str, *, expected: object = None, got: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        parts = [f"{self.code} {self.message}"]
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        if self.got is not None:
            parts.append(f"got {self.got}")
        return "; ".join(parts)

    def to_json(self) -> dict[str, str]:
        """The fields of this error as strings; absent ones are left out."""
        fields = {"code": self.code, "message": self.message}
        if self.expected is not None:
            fields["expected"] = str(self.expected)
        if self.got is not None:
            fields["got"] = str(self.got)
        if self.advice:
            fields["advice"] = self.advice
        return fields
