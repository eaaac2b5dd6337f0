"""Threads may decode into a type that nobody has decoded into before."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
AT_ONCE = """
import sys, threading
import msgspec
from platformless.decoding import decode_msgpack

sys.setswitchinterval(1e-6)

def types():
    class Inner(msgspec.Struct, frozen=True):
        a: int
        b: str
        c: tuple[int, ...]

    class Outer(msgspec.Struct, frozen=True):
        x: Inner
        y: list[Inner]
        z: dict[str, Inner]

    return Outer

inner = {"a": 1, "b": "", "c": [1]}
data = msgspec.msgpack.encode({"x": inner, "y": [inner], "z": {"k": inner}})
for _ in range(1000):
    kind, begin = types(), threading.Barrier(4)
    def decode(kind=kind, begin=begin):
        begin.wait()
        assert decode_msgpack(data, kind).x.a == 1
    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_threads_that_decode_into_a_new_type_at_once_get_their_values() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_else_decodes_into_types() -> None:
    typed = re.compile(r"msgspec\.(json\.decode|msgpack\.decode|convert)\([^\n]*type=|n\.Decoder\(")
    for path in (ROOT / "platformless").rglob("*.py"):
        if path.name != "decoding.py":
            assert not typed.search(path.read_text()), path
