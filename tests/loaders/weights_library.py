"""Weights files through the shared library: opened, listed, read and compared by ctypes."""

import ctypes
import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
IO, FORMAT, UNSUPPORTED = 3, 4, 5  # rml_status
DTYPES = {  # rml_dtype -> torch
    0: torch.float32,
    1: torch.float16,
    2: torch.bfloat16,
    3: torch.float64,
    4: torch.int8,
    5: torch.uint8,
    6: torch.int16,
    7: torch.int32,
    8: torch.int64,
    9: torch.bool,
    10: torch.uint16,
    11: torch.uint32,
    12: torch.uint64,
}


class Shape(ctypes.Structure):
    _fields_ = [("rank", ctypes.c_int), ("dim", ctypes.c_int64 * 8)]


class Info(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int),
        ("element_bits", ctypes.c_uint32),
        ("shape", Shape),
        ("type", ctypes.c_char_p),
        ("same_as", ctypes.c_uint32),
        ("unreadable", ctypes.c_bool),
        ("reserved", ctypes.c_uint8 * 3),
    ]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 4096)]


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def load_library():
    program = os.environ.get("RUN_MODEL")
    folder = Path(program).parent if program else ROOT / "build" / "release"
    path = Path(os.environ.get("RUN_MODEL_LIBRARY") or folder / "librunmodel.so")
    if not path.exists():
        pytest.fail(f"there is no library at {path}: build it, or set RUN_MODEL", pytrace=False)
    library = ctypes.CDLL(str(path))
    handle = ctypes.c_void_p
    library.rml_weights_open.argtypes = [
        ctypes.POINTER(handle),
        ctypes.c_char_p,
        handle,
        ctypes.POINTER(Error),
    ]
    library.rml_weights_count.argtypes = [handle]
    library.rml_weights_count.restype = ctypes.c_size_t
    library.rml_weights_at.argtypes = [handle, ctypes.c_size_t]
    library.rml_weights_at.restype = Info
    library.rml_weights_beside_count.argtypes = [handle]
    library.rml_weights_beside_count.restype = ctypes.c_size_t
    library.rml_weights_beside_at.argtypes = [handle, ctypes.c_size_t]
    library.rml_weights_beside_at.restype = Info
    library.rml_weights_format.argtypes = [handle]
    library.rml_weights_format.restype = ctypes.c_char_p
    library.rml_weights_read_f32.argtypes = [
        handle,
        ctypes.c_size_t,
        handle,
        ctypes.c_size_t,
        ctypes.POINTER(Error),
    ]
    library.rml_weights_close.argtypes = [ctypes.POINTER(handle)]
    return library


class Weights:
    def __init__(self, library, path):
        self.library, self.handle = library, ctypes.c_void_p()
        error = Error()
        status = library.rml_weights_open(
            ctypes.byref(self.handle), os.fsencode(path), None, ctypes.byref(error)
        )
        if status:
            assert not self.handle
            raise Refused(status, error.message.decode())
        self.format = library.rml_weights_format(self.handle).decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.rml_weights_close(ctypes.byref(self.handle))

    def infos(self):
        count = self.library.rml_weights_count(self.handle)
        return [self.library.rml_weights_at(self.handle, index) for index in range(count)]

    def beside(self):
        count = self.library.rml_weights_beside_count(self.handle)
        return [self.library.rml_weights_beside_at(self.handle, index) for index in range(count)]

    def read(self, index):
        """The tensor in float32; Refused with the sentence where it cannot be read."""
        info = self.library.rml_weights_at(self.handle, index)
        rank = max(info.shape.rank, 0)
        tensor = torch.empty(tuple(info.shape.dim[:rank]), dtype=torch.float32)
        error = Error()
        status = self.library.rml_weights_read_f32(
            self.handle, index, tensor.data_ptr(), tensor.numel(), ctypes.byref(error)
        )
        if status:
            raise Refused(status, error.message.decode())
        return tensor

    def tensors(self):
        """name -> (dtype, tensor in float32)"""
        return {
            info.name.decode(): (DTYPES[info.dtype], self.read(index))
            for index, info in enumerate(self.infos())
        }


def same_bits(left, right):
    return torch.equal(left.contiguous().view(torch.int32), right.contiguous().view(torch.int32))


def check(library, path, expected, file_format=None):
    with Weights(library, path) as weights:
        got = weights.tensors()
        assert sorted(got) == sorted(expected), set(got) ^ set(expected)
        for name, tensor in expected.items():
            tensor = tensor.detach()
            dtype, values = got[name]
            assert dtype == tensor.dtype, name
            assert values.shape == tensor.shape, name
            assert same_bits(values, tensor.to(torch.float32)), name
        if file_format:
            assert weights.format == file_format


def refuse(library, path, status, *parts):
    with pytest.raises(Refused) as caught:
        Weights(library, path)
    message = str(caught.value)
    assert caught.value.status == status, message
    assert message.startswith(str(path)) and "\n" not in message
    for part in parts:
        assert part in message
