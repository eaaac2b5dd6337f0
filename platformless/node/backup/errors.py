"""Errors of backups.

BackupError                BAK-000
├── NothingToBackUp        BAK-001   no node has kept a ledger here
├── BackupNotWritten       BAK-002   the archive cannot be written
├── BackupDamaged          BAK-003   an archive that is not as it was written
├── SnapshotFailed         BAK-004   a database cannot be copied as it is at one moment
├── FolderInUse            BAK-005   restoring would overwrite something, or a node runs there
├── LedgerKeyNeeded        BAK-006   the ledger's key is not given, or is another one
├── PassphraseNeeded       BAK-007   no passphrase, or not the one that seals the key
├── OtherChain             BAK-008   the backup is of another chain or marketplace
├── HostStillBusy          BAK-009   transactions of the host are under way, or its node answers
└── BackupTooNew           BAK-010   a newer version of this program has written it
"""

from __future__ import annotations

from ...errors import PlatformlessError


class BackupError(PlatformlessError):
    """What a node keeps cannot be backed up, or not restored."""

    code = "BAK-000"


class NothingToBackUp(BackupError):
    code = "BAK-001"
    outcome = "invalid"
    exit_status = 2
    advice = "run the command where the node runs, or set DATA_FOLDER or LEDGER_URL"


class BackupNotWritten(BackupError):
    code = "BAK-002"


class BackupDamaged(BackupError):
    code = "BAK-003"
    outcome = "rejected"
    exit_status = 1
    advice = "use another generation of the backup"


class SnapshotFailed(BackupError):
    code = "BAK-004"


class FolderInUse(BackupError):
    code = "BAK-005"
    outcome = "invalid"
    exit_status = 2
    advice = "stop the node, and name a folder that does not exist or is empty"


class LedgerKeyNeeded(BackupError):
    code = "BAK-006"
    outcome = "invalid"
    exit_status = 2
    advice = "give the ledger's key with --key-file or LEDGER_KEY; nothing else opens the ledger"


class PassphraseNeeded(BackupError):
    code = "BAK-007"
    outcome = "invalid"
    exit_status = 2
    advice = "name a file with the passphrase by --passphrase-file, or set BACKUP_PASSPHRASE"


class OtherChain(BackupError):
    code = "BAK-008"
    outcome = "invalid"
    exit_status = 2
    advice = "check CHAIN_ID, RPC_URL and the marketplace's address"


class HostStillBusy(BackupError):
    code = "BAK-009"
    advice = "stop the host's other node; then wait until its transactions are mined"


class BackupTooNew(BackupError):
    code = "BAK-010"
    outcome = "invalid"
    exit_status = 2
    advice = "run the version that made the backup, or a later one"
