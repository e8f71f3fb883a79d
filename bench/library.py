"""librunmodel in this process, by its C interface: graph files on numpy arrays."""

import ctypes
import math

import numpy as np

# By rml_dtype; bf16, which numpy has not, as bits.
TYPES = ["f4", "f2", "u2", "f8", "i1", "u1", "i2", "i4", "i8", "?", "u2", "u4", "u8"]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 4096)]


class Shape(ctypes.Structure):
    _fields_ = [("rank", ctypes.c_int), ("dim", ctypes.c_int64 * 8)]


class Port(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_int), ("shape", Shape),
                ("reserved", ctypes.c_uint64 * 2)]  # fmt: skip


# The first members of the settings: what is not there has its default.
class ModelSettings(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("unused", ctypes.c_void_p * 3),
                ("keep_types", ctypes.c_bool)]  # fmt: skip


class SessionSettings(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("allocator", ctypes.c_void_p),
                ("threads", ctypes.c_int), ("pool", ctypes.c_void_p)]  # fmt: skip


class Session:
    """One file, planned for the shapes of `inputs`, which lie in it. `run` runs it again."""

    def __init__(self, library, path, threads, inputs):
        self.library = ctypes.CDLL(library)
        self.error, self.model, self.session = Error(), ctypes.c_void_p(), ctypes.c_void_p()
        self.library.rml_session_input.restype = ctypes.c_void_p
        self.library.rml_session_output_at.restype = ctypes.c_void_p
        self.library.rml_model_output.restype = Port
        wanted = ModelSettings(ctypes.sizeof(ModelSettings), keep_types=True)
        self.call("rml_model_open", ctypes.byref(self.model), str(path).encode(),
                  ctypes.byref(wanted))  # fmt: skip
        wanted = SessionSettings(ctypes.sizeof(SessionSettings), threads=threads)
        self.call("rml_session_create", ctypes.byref(self.session), self.model,
                  ctypes.byref(wanted))  # fmt: skip
        for name, x in inputs.items():
            self.call("rml_session_resize", self.session, name.encode(), shape_of(x))
        self.call("rml_session_prepare", self.session)
        for name, x in inputs.items():
            at = self.library.rml_session_input(self.session, name.encode(), None)
            x = np.ascontiguousarray(x)
            ctypes.memmove(at, x.ctypes.data, x.nbytes)
        self.entry, self.error_at = self.library.rml_session_run, ctypes.byref(self.error)

    def call(self, function, *arguments):
        if getattr(self.library, function)(*arguments, ctypes.byref(self.error)):
            raise RuntimeError(self.error.message.decode())

    def run(self):
        if self.entry(self.session, self.error_at):
            raise RuntimeError(self.error.message.decode())

    def output(self):
        """A copy of the first one."""
        shape, first = Shape(), ctypes.c_size_t(0)
        at = self.library.rml_session_output_at(self.session, first, ctypes.byref(shape))
        dims = shape.dim[: shape.rank]
        kind = np.dtype(TYPES[self.library.rml_model_output(self.model, first).dtype])
        text = ctypes.string_at(at, math.prod(dims) * kind.itemsize) if math.prod(dims) else b""
        return np.frombuffer(text, kind).reshape(dims)

    def __del__(self):
        self.library.rml_session_destroy(ctypes.byref(self.session))
        self.library.rml_model_destroy(ctypes.byref(self.model))


def shape_of(x):
    return Shape(x.ndim, (ctypes.c_int64 * 8)(*x.shape))
