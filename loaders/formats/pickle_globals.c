// The globals of PyTorch checkpoints that mean something to the readers.
#include "loaders/formats/pickle.h"

#include <string.h>

#define STORAGE(name, dtype, bytes, label)                                                         \
    "torch", name, RML_GLOBAL_STORAGE, dtype, bytes, label, RML_CODING_NONE
#define QUANTIZED(name, dtype, bytes, label)                                                       \
    "torch", name, RML_GLOBAL_STORAGE, dtype, bytes, label, RML_CODING_AFFINE
#define DTYPE(name, dtype, bytes)                                                                  \
    "torch", name, RML_GLOBAL_DTYPE, dtype, bytes, name, RML_CODING_NONE
#define FLOAT8(name, coding) "torch", name, RML_GLOBAL_DTYPE, RML_U8, 1, name, coding
#define KNOWN(module, name, kind, label) module, name, kind, -1, 0, label, RML_CODING_NONE

static const rml_global globals[] = {
    {KNOWN("collections", "OrderedDict", RML_GLOBAL_DICT, "a dictionary")},
    {KNOWN("collections", "defaultdict", RML_GLOBAL_DICT, "a dictionary")},
    {KNOWN("collections", "Counter", RML_GLOBAL_DICT, "a dictionary")},
    {KNOWN("builtins", "dict", RML_GLOBAL_DICT, "a dictionary")},
    {KNOWN("__builtin__", "dict", RML_GLOBAL_DICT, "a dictionary")},

    {KNOWN("builtins", "set", RML_GLOBAL_PLAIN, "a set")},
    {KNOWN("__builtin__", "set", RML_GLOBAL_PLAIN, "a set")},
    {KNOWN("builtins", "list", RML_GLOBAL_PLAIN, "a list")},
    {KNOWN("builtins", "tuple", RML_GLOBAL_PLAIN, "a tuple")},
    {KNOWN("torch", "Size", RML_GLOBAL_PLAIN, "a size")},
    {KNOWN("torch", "device", RML_GLOBAL_PLAIN, "a device")},
    {KNOWN("torch", "Tensor", RML_GLOBAL_PLAIN, "a tensor type")},
    {KNOWN("torch", "per_tensor_affine", RML_GLOBAL_PER_TENSOR, "a quantizer")},

    {KNOWN("torch._utils", "_rebuild_tensor", RML_GLOBAL_TENSOR_V1, "tensor")},
    {KNOWN("torch._utils", "_rebuild_tensor_v2", RML_GLOBAL_TENSOR_V2, "tensor")},
    {KNOWN("torch._utils", "_rebuild_tensor_v3", RML_GLOBAL_TENSOR_V3, "tensor")},
    {KNOWN("torch._utils", "_rebuild_parameter", RML_GLOBAL_PARAMETER, "parameter")},
    {KNOWN("torch._utils", "_rebuild_parameter_with_state", RML_GLOBAL_PARAMETER, "parameter")},
    {KNOWN("torch.nn.parameter", "Parameter", RML_GLOBAL_PARAMETER, "parameter")},
    {KNOWN("torch._utils", "_rebuild_device_tensor_from_cpu_tensor", RML_GLOBAL_PARAMETER,
           "tensor of another device")},
    {KNOWN("torch._tensor", "_rebuild_from_type", RML_GLOBAL_SUBCLASS, "tensor subclass")},
    {KNOWN("torch.tensor", "_rebuild_from_type", RML_GLOBAL_SUBCLASS, "tensor subclass")},
    {KNOWN("torch._tensor", "_rebuild_from_type_v2", RML_GLOBAL_SUBCLASS, "tensor subclass")},
    {KNOWN("torch.tensor", "_rebuild_from_type_v2", RML_GLOBAL_SUBCLASS, "tensor subclass")},

    {KNOWN("torch._utils", "_rebuild_qtensor", RML_GLOBAL_QUANTIZED, "quantized")},
    {KNOWN("torch._utils", "_rebuild_sparse_tensor", RML_GLOBAL_SPARSE, "sparse")},
    {KNOWN("torch._utils", "_rebuild_sparse_csr_tensor", RML_GLOBAL_SPARSE, "sparse")},
    {KNOWN("torch._utils", "_rebuild_nested_tensor", RML_GLOBAL_NESTED, "nested")},
    {KNOWN("torch._utils", "_rebuild_meta_tensor_no_storage", RML_GLOBAL_META, "meta")},
    {KNOWN("torch._utils", "_rebuild_wrapper_subclass", RML_GLOBAL_WRAPPER, "subclass")},
    {KNOWN("torch._utils", "_rebuild_device_tensor_from_numpy", RML_GLOBAL_NUMPY_BACKED, "numpy")},

    {KNOWN("numpy.core.multiarray", "_reconstruct", RML_GLOBAL_ARRAY, "array")},
    {KNOWN("numpy._core.multiarray", "_reconstruct", RML_GLOBAL_ARRAY, "array")},
    {KNOWN("numpy.core.numeric", "_frombuffer", RML_GLOBAL_BUFFER, "array")},
    {KNOWN("numpy._core.numeric", "_frombuffer", RML_GLOBAL_BUFFER, "array")},

    {STORAGE("FloatStorage", RML_F32, 4, "float32")},
    {STORAGE("HalfStorage", RML_F16, 2, "float16")},
    {STORAGE("BFloat16Storage", RML_BF16, 2, "bfloat16")},
    {STORAGE("DoubleStorage", RML_F64, 8, "float64")},
    {STORAGE("LongStorage", RML_I64, 8, "int64")},
    {STORAGE("IntStorage", RML_I32, 4, "int32")},
    {STORAGE("ShortStorage", RML_I16, 2, "int16")},
    {STORAGE("CharStorage", RML_I8, 1, "int8")},
    {STORAGE("ByteStorage", RML_U8, 1, "uint8")},
    {STORAGE("BoolStorage", RML_BOOL, 1, "bool")},
    {STORAGE("ComplexFloatStorage", -1, 8, "complex64")},
    {STORAGE("ComplexDoubleStorage", -1, 16, "complex128")},
    {QUANTIZED("QInt8Storage", RML_I8, 1, "qint8")},
    {QUANTIZED("QUInt8Storage", RML_U8, 1, "quint8")},
    {QUANTIZED("QInt32Storage", RML_I32, 4, "qint32")},
    {STORAGE("QUInt4x2Storage", -1, 1, "quint4x2")},
    {STORAGE("QUInt2x4Storage", -1, 1, "quint2x4")},
    {STORAGE("UntypedStorage", RML_U8, 1, "bytes")},
    {"torch.storage", "UntypedStorage", RML_GLOBAL_STORAGE, RML_U8, 1, "bytes", RML_CODING_NONE},

    {DTYPE("float32", RML_F32, 4)},
    {DTYPE("float16", RML_F16, 2)},
    {DTYPE("bfloat16", RML_BF16, 2)},
    {DTYPE("float64", RML_F64, 8)},
    {DTYPE("int64", RML_I64, 8)},
    {DTYPE("int32", RML_I32, 4)},
    {DTYPE("int16", RML_I16, 2)},
    {DTYPE("int8", RML_I8, 1)},
    {DTYPE("uint8", RML_U8, 1)},
    {DTYPE("bool", RML_BOOL, 1)},
    {DTYPE("uint16", RML_U16, 2)},
    {DTYPE("uint32", RML_U32, 4)},
    {DTYPE("uint64", RML_U64, 8)},
    {FLOAT8("float8_e4m3fn", RML_CODING_F8_E4M3FN)},
    {FLOAT8("float8_e5m2", RML_CODING_F8_E5M2)},
    {FLOAT8("float8_e4m3fnuz", RML_CODING_F8_E4M3FNUZ)},
    {FLOAT8("float8_e5m2fnuz", RML_CODING_F8_E5M2FNUZ)},
    {FLOAT8("float8_e8m0fnu", RML_CODING_F8_E8M0FNU)},
    {DTYPE("float4_e2m1fn_x2", -1, 1)},
    {DTYPE("complex32", -1, 4)},
    {DTYPE("complex64", -1, 8)},
    {DTYPE("complex128", -1, 16)},
};

static bool same(const char *known, const char *text, size_t text_bytes)
{
    return strlen(known) == text_bytes && memcmp(known, text, text_bytes) == 0;
}

const rml_global *rml_global_find(const char *module, size_t module_bytes, const char *name,
                                  size_t name_bytes)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (same(globals[i].name, name, name_bytes) &&
            (same(globals[i].module, module, module_bytes) ||
             (globals[i].kind == RML_GLOBAL_STORAGE && same("torch.cuda", module, module_bytes))))
            return &globals[i];
    return NULL;
}
