// Fourier transforms, windows, mel weights.
#include "loaders/onnx/make.h"

static void import_dft(rml_onnx_call *call)
{
    rml_op_attr attr = {.dft = {.inverse = rml_onnx_int(call, "inverse", 0) != 0,
                                .onesided = rml_onnx_int(call, "onesided", 0) != 0}};
    rml_value_id in[] = {rml_onnx_in(call, 0), rml_onnx_list(call, 1, NULL), RML_NO_VALUE};
    int64_t axis = -2;
    if (call->opset < 20)
        axis = rml_onnx_int(call, "axis", 1);
    else if (rml_onnx_in(call, 2) != RML_NO_VALUE && rml_onnx_known_ints(call, 2, &axis, 1) != 1)
        in[2] = rml_onnx_list(call, 2, NULL);
    if (axis < -RML_MAX_RANK || axis > RML_MAX_RANK) {
        rml_onnx_refuse(call, "axis %lld", (long long)axis);
        return;
    }
    attr.dft.axis = (int)axis;
    call->out[0] = rml_onnx_make(call, RML_OP_DFT, &attr, in, 3);
}

#define I64_INPUT(index)                                                                           \
    {                                                                                              \
        .kind = RML_FIELD_I64, .input = index                                                      \
    }
#define TYPE RML_FIELD(DTYPE, "output_datatype", window_function.to, .absent = 0)

static const rml_onnx_field stft[] = {
    RML_FIELD(FLAG, "onesided", dft.onesided, .absent = 1), I64_INPUT(1), I64_INPUT(3), {0}};
static const rml_onnx_field window[] = {
    RML_FIELD(UNLESS, "periodic", window_function.symmetric, .absent = 1),
    RML_FIELD(OPTION, NULL, window_function.kind, .absent = 0),
    TYPE,
    I64_INPUT(0),
    {0}};
static const rml_onnx_field mel[] = {TYPE, {0}};

#define WINDOW(title, which)                                                                       \
    {                                                                                              \
        .op_type = title, .op = RML_OP_WINDOW_FUNCTION, .fields = window, .since = 17,             \
        .option = RML_WINDOW_##which                                                               \
    }

const rml_onnx_entry rml_onnx_spectrum[] = {
    {.op_type = "DFT", .import = import_dft, .since = 17},
    {.op_type = "STFT", .op = RML_OP_STFT, .fields = stft, .since = 17},
    WINDOW("HannWindow", HANN),
    WINDOW("HammingWindow", HAMMING),
    WINDOW("BlackmanWindow", BLACKMAN),
    {.op_type = "MelWeightMatrix", .op = RML_OP_MEL_WEIGHTS, .fields = mel, .since = 17},
    {.op_type = NULL},
};
