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
import mmap
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from ..files import write_atomically
from ..places import cache_folder
from ..protocol.digests import WeightsRoot, tag_block
from .errors import ModelNotFound, ModelUnreadable, NotGguf
from .gguf_header import TensorPlace, read_header

log = logging.getLogger(__name__)

DIGEST_BYTES = 32
Lines = npt.NDArray[np.uint8]
_LEAF_TAG = tag_block("weights-row")
_NODE_TAG = tag_block("weights-node")
_BLOCK_ROWS = 1 << 9  # hash inputs prepared at once; they fit the processor's cache
_FILE_STEP = 1 << 26
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


def compute_weights(path: Path) -> Weights:
    """The names of the file at `path`, from its bytes.

    The file's hash is taken in a thread of its own, beside the tree.
    """
    tensors = read_header(path).tensors
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            ThreadPoolExecutor(1) as pool,
            memoryview(content) as view,
        ):
            file_hash = pool.submit(_hash_file, view)
            root = merkle_root(b"".join(_leaves(view, tensors)))
            return Weights(
                file_sha256=file_hash.result(),
                root=WeightsRoot(root),
                file_bytes=len(content),
                tensors=len(tensors),
                rows=sum(tensor.rows for tensor in tensors),
            )
    except OSError as error:
        raise ModelUnreadable("the model file cannot be read", got=error) from error


def merkle_root(leaves: bytes) -> bytes:
    """The root over leaves of 32 bytes each."""
    if not leaves:
        raise NotGguf("a model without weights")
    level = leaves
    while len(level) > DIGEST_BYTES:
        pairs = len(level) // (2 * DIGEST_BYTES)
        odd = level[2 * DIGEST_BYTES * pairs :]
        level = b"".join(_node_digests(level, pairs)) + odd
    return level


def _hash_file(view: memoryview) -> bytes:
    sha256 = hashlib.sha256()
    for start in range(0, len(view), _FILE_STEP):
        with view[start : start + _FILE_STEP] as part:
            sha256.update(part)
    return sha256.digest()


def _leaves(view: memoryview, tensors: tuple[TensorPlace, ...]) -> Iterator[bytes]:
    """The leaves of the tree, joined by blocks of rows."""
    for index, tensor in enumerate(tensors):
        lines = _lines(_LEAF_TAG, 8 + tensor.row_bytes)
        lines[:, 64:68] = np.frombuffer(struct.pack("<I", index), np.uint8)
        for first in range(0, tensor.rows, _BLOCK_ROWS):
            rows = min(_BLOCK_ROWS, tensor.rows - first)
            start = tensor.offset + first * tensor.row_bytes
            raw = np.frombuffer(view, np.uint8, rows * tensor.row_bytes, start)
            numbers = np.arange(first, first + rows, dtype="<u4")
            lines[:rows, 68:72] = numbers.view(np.uint8).reshape(rows, 4)
            lines[:rows, 72:] = raw.reshape(rows, tensor.row_bytes)
            del raw  # the map cannot be closed while an array looks into it
            yield _digests(lines[:rows])


def _node_digests(level: bytes, pairs: int) -> Iterator[bytes]:
    children = np.frombuffer(level, np.uint8, 64 * pairs).reshape(pairs, 64)
    lines = _lines(_NODE_TAG, 64)
    for first in range(0, pairs, _BLOCK_ROWS):
        part = children[first : first + _BLOCK_ROWS]
        lines[: len(part), 64:] = part
        yield _digests(lines[: len(part)])


def _lines(tag: bytes, size: int) -> Lines:
    """Room for the hash inputs of a block, each with its tag."""
    lines = np.empty((_BLOCK_ROWS, len(tag) + size), np.uint8)
    lines[:, : len(tag)] = np.frombuffer(tag, np.uint8)
    return lines


def _digests(lines: Lines) -> bytes:
    """SHA-256 of each line, joined. A call a line is what the tree costs: nothing else is done
    line by line."""
    size = lines.shape[1]
    data = lines.data.cast("B")
    sha256 = hashlib.sha256
    return b"".join([sha256(data[at : at + size]).digest() for at in range(0, len(data), size)])


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
        found = msgspec.json.decode(cached.read_bytes(), type=_CachedWeights)
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
