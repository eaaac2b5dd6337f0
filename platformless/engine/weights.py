"""What a model file is called: the SHA-256 of its bytes, and the Merkle root of its weights.

The tree allows one row of one tensor to be opened without the file. All integers are u32,
little-endian; hashes are the protocol's tagged SHA-256.

    row     a run of a tensor's innermost dimension, as the bytes that lie in the file; a tensor
            with further dimensions has its rows in the order of the file
    leaf    tagged_sha256("weights-row", tensor index + row index + row bytes)
            tensor index: place in the table of the file's header, from 0
    order   tensors by index, rows by index; one list of leaves
    node    tagged_sha256("weights-node", left + right)
    odd     where a level has an odd number of nodes, the last one goes up unchanged
    root    the node that is left; for a single leaf, that leaf

Leaves and nodes have different tags, so that neither can stand for the other. Padding between
tensors and the file's header are not in the tree; they are in the SHA-256 of the file.
"""

from __future__ import annotations

import hashlib
import logging
import marshal
import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

import msgspec

from ..decoding import decode_json
from ..files import write_atomically
from ..places import cache_folder
from ..protocol.digests import WeightsRoot, tag_block
from . import hashing
from .errors import ModelNotFound, ModelUnreadable, NotGguf
from .gguf_header import read_header

log = logging.getLogger(__name__)

_LEAF_TAG = tag_block("weights-row")
_NODE_TAG = tag_block("weights-node")
_FILE_STEP = 1 << 26
_SMALL_FILE = 1 << 24  # done by the time a helper has started
_MOST_HELPERS = 4  # beyond these, the plain hash of the file is what is waited for
_CACHE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Weights:
    """The names of a model file."""

    file_sha256: bytes
    root: WeightsRoot
    file_bytes: int
    tensors: int
    rows: int


class _CachedWeights(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    file_sha256: bytes
    root: bytes
    file_bytes: int
    tensors: int
    rows: int


def weights_of(path: Path) -> Weights:
    """The names of the file at `path`, from the cache if the very same file was seen before.

    "The very same" goes by path, size, modification time and inode: enough against accidents,
    not against somebody who can write to the file or the cache folder.

    Raises:
        ModelNotFound, ModelUnreadable, NotGguf: see there.
    """
    cached = _cache_path(path)
    known = _read_cache(cached)
    if known is not None:
        return known
    weights = compute_weights(path)
    if cached == _cache_path(path):  # else the file changed meanwhile
        _write_cache(cached, weights)
    return weights


def compute_weights(path: Path, helpers: int | None = None) -> Weights:
    """The names of the file at `path`, from its bytes.

    The tree is made by helper processes and, once it has the file's hash, by this one. Their
    number goes by the file's size and the processor's cores, unless it is given.
    """
    try:
        with path.open("rb") as file, ExitStack() as started:
            size = os.fstat(file.fileno()).st_size
            numbers, writing = _pipe(started)
            if helpers is None:
                helpers = _good_number_of_helpers(size)
            team = [started.enter_context(_helper(file.fileno(), numbers)) for _ in range(helpers)]
            plan = _plan(path)  # while they start
            tree = hashing.Tree(file.fileno(), plan)
            with writing:
                for piece in range(tree.pieces):
                    writing.write(hashing.PIECE_NUMBER.pack(piece))
            for helper in team:
                _tell(helper, plan)
            file_sha256 = _hash_file(file.fileno())
            root = tree.root(_roots(tree, numbers, team))
    except FileNotFoundError:
        raise ModelNotFound("no such model file", got=path) from None
    except OSError as error:
        raise ModelUnreadable("the model file cannot be read", got=error) from error
    return Weights(file_sha256, WeightsRoot(root), size, len(plan[3]), tree.rows)


def _plan(path: Path) -> hashing.Plan:
    places = [(t.row_bytes, t.rows, t.offset) for t in read_header(path).tensors]
    rows = sum(count for _, count, _ in places)
    if rows == 0:
        raise NotGguf("a model without weights")
    return _LEAF_TAG, _NODE_TAG, hashing.piece_rows(rows), places


def _hash_file(file: int) -> bytes:
    """Through a map, in few steps: each step lets other threads of this process run meanwhile."""
    sha256 = hashlib.sha256()
    with mmap.mmap(file, 0, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
        for start in range(0, len(view), _FILE_STEP):
            with view[start : start + _FILE_STEP] as part:
                sha256.update(part)
    return sha256.digest()


def _roots(
    tree: hashing.Tree, numbers: int, team: list[subprocess.Popen[bytes]]
) -> dict[int, bytes]:
    """The roots of all pieces, from this process and the helpers."""
    roots = {}
    for piece, root in tree.roots(numbers):
        roots[piece] = root
        for helper in team:
            if helper.poll():
                raise _death(helper)
    for helper in team:
        assert helper.stdout is not None  # noqa: S101 - a pipe was asked for
        answers = helper.stdout.read()
        if helper.wait() != 0:
            raise _death(helper)
        roots.update(hashing.ANSWER.iter_unpack(answers))
    return roots


def _good_number_of_helpers(size: int) -> int:
    if size < _SMALL_FILE or not sys.executable:
        return 0
    return min(len(os.sched_getaffinity(0)) - 1, _MOST_HELPERS)


def _pipe(stack: ExitStack) -> tuple[int, BufferedWriter]:
    """Both ends, closed with the stack."""
    reading, writing = os.pipe()
    stack.callback(os.close, reading)
    return reading, stack.enter_context(open(writing, "wb"))  # noqa: PTH123 - no path


@contextmanager
def _helper(file: int, numbers: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that answers with the roots of pieces, once it is told the plan. It is gone when
    this is left; when this process dies, it ends at its next answer."""
    command = [sys.executable, "-I", "-S", hashing.__file__, str(file), str(numbers)]
    try:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(file, numbers),
            process_group=0,  # an interruption is for this process, which then ends the helper
        )
    except OSError as error:
        raise ModelUnreadable("a process to hash the model file cannot start", got=error) from error
    with process:
        try:
            yield process
        finally:
            process.kill()


def _tell(helper: subprocess.Popen[bytes], plan: hashing.Plan) -> None:
    assert helper.stdin is not None  # noqa: S101 - a pipe was asked for
    with suppress(BrokenPipeError), helper.stdin:  # it is dead: noticed later
        helper.stdin.write(marshal.dumps(plan))


def _death(helper: subprocess.Popen[bytes]) -> ModelUnreadable:
    assert helper.stderr is not None  # noqa: S101 - a pipe was asked for
    said = helper.stderr.read().decode("utf-8", "replace").strip()
    status = f"exit status {helper.returncode}"
    return ModelUnreadable(
        "a process that hashes the model file died",
        got=f"{status}: {said.splitlines()[-1]}" if said else status,
    )


def _cache_path(path: Path) -> Path:
    try:
        resolved = path.resolve(strict=True)
        status = resolved.stat()
    except FileNotFoundError:
        raise ModelNotFound("no such model file", got=path) from None
    except OSError as error:
        raise ModelUnreadable("the model file cannot be read", got=error) from error
    identity = (str(resolved), status.st_size, status.st_mtime_ns, status.st_ino)
    name = hashlib.sha256(repr(identity).encode()).hexdigest()[:32]
    return cache_folder() / "weights" / f"{name}.json"


def _read_cache(cached: Path) -> Weights | None:
    try:
        found = decode_json(cached.read_bytes(), _CachedWeights)
    except (OSError, msgspec.DecodeError):
        return None
    if found.version != _CACHE_VERSION or len(found.root) != WeightsRoot.LENGTH:
        return None
    return Weights(
        found.file_sha256, WeightsRoot(found.root), found.file_bytes, found.tensors, found.rows
    )


def _write_cache(cached: Path, weights: Weights) -> None:
    entry = _CachedWeights(
        _CACHE_VERSION,
        weights.file_sha256,
        weights.root.value,
        weights.file_bytes,
        weights.tensors,
        weights.rows,
    )
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(cached, msgspec.json.encode(entry))
    except OSError as error:
        log.warning("the names of the weights cannot be cached: %s", os.strerror(error.errno or 0))
