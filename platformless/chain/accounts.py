"""`eth_account`, without what its import does to the interpreter.

It imports `py_ecc`, which raises Python's recursion limit to 100,000: from then on JSON or
MessagePack nested deep enough ends the process with a stack overflow, in the place of a
`RecursionError`. Import accounts from here alone (ruff's TID251 sees to it).
"""

from __future__ import annotations

import sys

_limit = sys.getrecursionlimit()
try:
    from eth_account import Account  # noqa: TID251
    from eth_account.messages import encode_defunct, encode_typed_data  # noqa: TID251
    from eth_account.signers.local import LocalAccount  # noqa: TID251
finally:
    sys.setrecursionlimit(_limit)

__all__ = ["Account", "LocalAccount", "encode_defunct", "encode_typed_data"]
