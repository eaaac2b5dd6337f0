"""llama.cpp's tensors as they pass through its evaluation callback.

The layout is that of `struct ggml_tensor` in ggml.h of ggml 0.25 (llama-cpp-python 0.3.36). A
library whose structure has another size is refused; numbers of operations are asked for by name,
as they change between versions.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp._ggml import libggml

from .errors import BuildNotTraceable, TraceFailed

Rows = npt.NDArray[np.float32]
"""f32 [positions, values], or [positions, heads, cache cells] where attention is computed."""

_OBJECT_BYTES = 32  # struct ggml_object, which ggml_tensor_overhead() counts too
_DIMENSIONS, _SOURCES, _NAME_BYTES, _PARAMETERS = 4, 10, 64, 16
_F32, _F32_BYTES = 0, 4


class Tensor(ctypes.Structure):
    """`struct ggml_tensor`."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("ne", ctypes.c_int64 * _DIMENSIONS),
        ("nb", ctypes.c_size_t * _DIMENSIONS),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * _PARAMETERS),
        ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * _SOURCES),
        ("view_src", ctypes.c_void_p),
        ("view_offs", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("name", ctypes.c_char * _NAME_BYTES),
        ("extra", ctypes.c_void_p),
        ("padding", ctypes.c_char * 8),
    )


def require_known_layout() -> None:
    """Raises:
    BuildNotTraceable: when the library's tensors are not laid out as `Tensor` is.
    """
    libggml.ggml_tensor_overhead.restype = ctypes.c_size_t
    got = libggml.ggml_tensor_overhead() - _OBJECT_BYTES
    if got != ctypes.sizeof(Tensor):
        raise BuildNotTraceable(
            "tensors of this llama.cpp have another layout",
            expected=f"{ctypes.sizeof(Tensor)} bytes",
            got=f"{got} bytes",
        )


def operation(number: int) -> bytes:
    """The name of an operation of the library."""
    libggml.ggml_op_name.restype = ctypes.c_char_p
    name: bytes = libggml.ggml_op_name(number)
    return name


def require_readable(tensor: Tensor) -> None:
    """Raises:
    TraceFailed: when its values are no f32 in memory that the CPU computes in.
    """
    libggml.ggml_backend_buffer_is_host.argtypes = [ctypes.c_void_p]
    libggml.ggml_backend_buffer_is_host.restype = ctypes.c_bool
    if tensor.type != _F32:
        raise TraceFailed(
            f"{tensor.name.decode()} has another type", expected="f32", got=f"type {tensor.type}"
        )
    if not tensor.buffer or not libggml.ggml_backend_buffer_is_host(tensor.buffer):
        raise TraceFailed(f"{tensor.name.decode()} was not computed on the CPU")


def tensor_at(pointer: Any) -> Tensor:
    return Tensor.from_address(pointer)


def rows_of(tensor: Tensor, dimensions: int) -> Rows:
    """The values of a computed f32 tensor, without copying them; the last of its dimensions
    first. Valid only while the callback runs."""
    shape = tuple(reversed(tensor.ne[:dimensions]))
    strides = tuple(reversed(tensor.nb[:dimensions]))
    size = sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) + _F32_BYTES
    memory = (ctypes.c_char * size).from_address(tensor.data)
    return np.ndarray(shape, "<f4", memory, strides=strides)
