"""Errors of the ledger.

LedgerError                 LED-000
├── LedgerUnavailable       LED-001   the database cannot be used, or not within its timeout
├── LedgerConflict          LED-002   another process writes the session
├── NotInLedger             LED-003   a session or a checkpoint that was never written
├── LedgerSealBroken        LED-004   a row that the key does not open: another key, or altered
├── LedgerDamaged           LED-005   rows that do not add up
├── LedgerKeyRefused        LED-006   a key that cannot be used
├── LedgerTooNew            LED-007   a newer version of this program changed its tables
├── LeaseLost               LED-008   somebody else works on the job, or it is over
├── TransitionRefused       LED-009   a job's state that does not follow the one it has
├── JobUnknown              LED-010   no job has this id
└── JobGivenUp              LED-011   a job that was begun too often and never finished
"""

from __future__ import annotations

from ...errors import PlatformlessError


class LedgerError(PlatformlessError):
    """The ledger cannot do what it was asked."""

    code = "LED-000"


class LedgerUnavailable(LedgerError):
    """Whether the change was made is not known: read the session before going on with it."""

    code = "LED-001"
    advice = "check the database's place, its free space and who else uses it"


class LedgerConflict(LedgerError):
    """Nothing was changed."""

    code = "LED-002"
    advice = "let one node serve a session; this one read it before the other wrote"


class NotInLedger(LedgerError):
    code = "LED-003"


class LedgerSealBroken(LedgerError):
    code = "LED-004"
    advice = "use the key that the ledger was begun with; if it is, restore a backup"


class LedgerDamaged(LedgerError):
    code = "LED-005"
    advice = "restore the ledger from a backup; a checkpoint of such rows cannot be proven"


class LedgerKeyRefused(LedgerError):
    code = "LED-006"


class LedgerTooNew(LedgerError):
    """Nothing was changed."""

    code = "LED-007"
    advice = "run the version that changed the ledger, or a later one; or use another ledger"


class LeaseLost(LedgerError):
    """Nothing was changed; what was done for the job is to be thrown away."""

    code = "LED-008"


class TransitionRefused(LedgerError):
    code = "LED-009"


class JobUnknown(LedgerError):
    code = "LED-010"
    advice = "`fabstir-llm-node jobs` lists the jobs of this chain"


class JobGivenUp(LedgerError):
    code = "LED-011"
    advice = "find out what ends the worker, then `fabstir-llm-node jobs retry`"
