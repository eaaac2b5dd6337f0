"""Which running processes know the host's key: those that sign, and no others.

The prover is the stand-in of `tests.pipeline`, with the environment that the supervisor gives a
real one.
"""

from __future__ import annotations

import json
from pathlib import Path

from platformless.chain.accounts import Account
from platformless.chain.devchain import DevChain
from platformless.node.settings import KEY_VARIABLES
from tests.pipeline.machine import Machine

PASSWORD = "a password of the test"  # noqa: S105
SIGNING = ("node", "settlement")
OTHERS = ("broker", "portal", "prover")


async def test_a_keystore_and_its_password_are_with_those_who_sign(
    dev_chain: DevChain, tmp_path: Path
) -> None:
    key = dev_chain.accounts["host"].key
    keystore = tmp_path / "keystore.json"
    keystore.touch(mode=0o600)
    fields = Account.encrypt(key, PASSWORD, kdf="pbkdf2", iterations=2)
    keystore.write_text(json.dumps(fields))
    environment = {
        **dev_chain.environment(),
        "HOST_PRIVATE_KEY": "",
        "HOST_KEYSTORE": str(keystore),
        "HOST_KEYSTORE_PASSWORD": PASSWORD,
        "API_HOST": "127.0.0.1",
        "DATA_FOLDER": str(tmp_path / "data"),
        "CONTEXT_TOKENS": "1024",
        "ENGINE_THREADS": "1",
        "DRAIN_SECONDS": "0",
    }
    machine = Machine(tmp_path, environment, dev_chain.network.rpc_urls[0], 0.1)
    try:
        await machine.start()
        await machine.ready()
        for kind in SIGNING:
            assert PASSWORD in known_to(machine, kind).values()
        for kind in OTHERS:
            known = known_to(machine, kind)
            assert known or kind == "broker"  # Valkey writes its title over its environment
            assert KEY_VARIABLES.isdisjoint(known)
            told = "\n".join(known.values())
            for secret in (PASSWORD, str(keystore), bytes(key).hex()):
                assert secret not in told
        log = machine.log()
        assert PASSWORD not in log
        assert bytes(key).hex() not in log
        await machine.stop()
    finally:
        await machine.destroy()


def known_to(machine: Machine, kind: str) -> dict[str, str]:
    """The environment of the running process of a name, as the kernel shows it."""
    (process_id,) = machine.of_kind(kind)
    entries = Path(f"/proc/{process_id}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)
