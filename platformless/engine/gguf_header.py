"""The header of a GGUF file: its properties and where each tensor lies.

Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Integers are little-endian.
Long lists (vocabularies) are skipped; nothing here needs more than the header in memory.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from .errors import ModelNotFound, ModelUnreadable, NotGguf

MAGIC = b"GGUF"
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _LIST = 8, 9
_LONGEST_LIST = 64
_MOST_DIMENSIONS = 4

Value = str | int | float | bool | list[object] | None


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """Where the rows of one tensor lie. A row is a run of the innermost dimension."""

    name: str
    row_bytes: int
    rows: int
    offset: int
    """Bytes from the beginning of the file."""

    @property
    def end(self) -> int:
        return self.offset + self.rows * self.row_bytes


@dataclass(frozen=True, slots=True)
class GgufHeader:
    version: int
    properties: dict[str, Value]
    """Lists of more than 64 values are None."""
    tensors: tuple[TensorPlace, ...]
    """In the order of the file's table."""

    def text(self, key: str) -> str | None:
        value = self.properties.get(key)
        return value if isinstance(value, str) else None


def read_header(path: Path) -> GgufHeader:
    """Reads the header of `path`.

    Raises:
        ModelNotFound, ModelUnreadable: when there is no such file, or it cannot be read.
        NotGguf: when the content is no GGUF header, or tensors lie outside of the file.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(len(MAGIC))
            if beginning != MAGIC:
                raise NotGguf("not a GGUF file", expected=MAGIC, got=beginning)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _parse(content)
    except FileNotFoundError:
        raise ModelNotFound("no such model file", got=path) from None
    except OSError as error:
        raise ModelUnreadable("the model file cannot be read", got=error) from error
    except (struct.error, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise NotGguf("damaged GGUF header", got=error) from error


class _Reader:
    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self.at = 0

    def scalar(self, code: str) -> int | float | bool:
        layout = struct.Struct("<" + code)
        (value,) = layout.unpack_from(self._content, self.at)
        self.at += layout.size
        number: int | float | bool = value
        return number

    def count(self, code: str = "Q") -> int:
        return int(self.scalar(code))

    def skip(self, size: int) -> None:
        if size > len(self._content) - self.at:
            raise NotGguf("GGUF header cut short", expected=f"{size} more bytes")
        self.at += size

    def string(self) -> str:
        size = self.count()
        start = self.at
        self.skip(size)
        return self._content[start : self.at].decode()

    def _skip_strings(self, count: int) -> None:
        """A vocabulary has hundreds of thousands: hence not with `string`."""
        content, at, end = self._content, self.at, len(self._content)
        read_size = struct.Struct("<Q").unpack_from
        for _ in range(count):
            at += 8 + read_size(content, at)[0]
            if at > end:
                raise NotGguf("GGUF header cut short", expected=f"at least {at} bytes", got=end)
        self.at = at

    def value(self, kind: int) -> Value:
        if kind in _SCALARS:
            return self.scalar(_SCALARS[kind])
        if kind == _STRING:
            return self.string()
        if kind != _LIST:
            raise NotGguf("unknown kind of value in the GGUF header", got=kind)
        inner, length = self.count("I"), self.count()
        if length <= _LONGEST_LIST:
            return [self.value(inner) for _ in range(length)]
        if inner in _SCALARS:
            self.skip(length * struct.calcsize("<" + _SCALARS[inner]))
        elif inner == _STRING:
            self._skip_strings(length)
        else:
            raise NotGguf("list of lists in the GGUF header", got=inner)
        return None


def _parse(content: mmap.mmap) -> GgufHeader:
    reader = _Reader(content)
    reader.skip(len(MAGIC))
    version = reader.count("I")
    if version not in (2, 3):
        raise NotGguf("unknown GGUF version", expected="2 or 3", got=version)
    tensor_count, property_count = reader.count(), reader.count()
    properties: dict[str, Value] = {}
    for _ in range(property_count):
        key = reader.string()
        properties[key] = reader.value(reader.count("I"))
    table = [_table_line(reader) for _ in range(tensor_count)]
    alignment = properties.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0:
        raise NotGguf("unusable alignment", got=alignment)
    data = -(-reader.at // alignment) * alignment
    tensors = tuple(_place(*line, data) for line in table)
    for tensor in tensors:
        if tensor.end > len(content):
            raise NotGguf(
                f"tensor {tensor.name} lies outside of the file",
                expected=f"at least {tensor.end} bytes",
                got=len(content),
            )
    return GgufHeader(version, properties, tensors)


def _table_line(reader: _Reader) -> tuple[str, list[int], int, int]:
    name = reader.string()
    dimension_count = reader.count("I")
    if not 1 <= dimension_count <= _MOST_DIMENSIONS:
        raise NotGguf(f"tensor {name} has a strange shape", got=f"{dimension_count} dimensions")
    dimensions = [reader.count() for _ in range(dimension_count)]
    return name, dimensions, reader.count("I"), reader.count()


def _place(name: str, dimensions: list[int], kind: int, offset: int, data: int) -> TensorPlace:
    # Imported here: the package brings numpy tables that a mere look at a file does not need.
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    except (ValueError, KeyError):
        raise NotGguf(f"tensor {name} is of an unknown type", got=kind) from None
    columns, *outer = dimensions
    if columns % block:
        raise NotGguf(f"rows of tensor {name} are not whole blocks", got=f"{columns} columns")
    return TensorPlace(name, columns // block * block_bytes, math.prod(outer), data + offset)
