// Fourier transforms, windows, mel weights.
#include "loaders/onnx/handler.h"
#include "loaders/onnx/make.h"

// An input of one integer as i64.
static rml_value_id integer_in(rml_onnx_call *call, int index)
{
    const rml_value_id in = rml_onnx_in(call, index);
    return in == RML_NO_VALUE ? in : rml_onnx_cast(call, in, RML_I64);
}

static void import_dft(rml_onnx_call *call)
{
    rml_op_attr attr = {.dft = {.inverse = rml_onnx_int(call, "inverse", 0) != 0,
                                .onesided = rml_onnx_int(call, "onesided", 0) != 0}};
    rml_value_id in[] = {rml_onnx_in(call, 0), integer_in(call, 1), RML_NO_VALUE};
    int64_t axis = -2;
    if (call->opset < 20)
        axis = rml_onnx_int(call, "axis", 1);
    else if (rml_onnx_in(call, 2) != RML_NO_VALUE && rml_onnx_known_ints(call, 2, &axis, 1) != 1)
        in[2] = integer_in(call, 2);
    if (axis < -RML_MAX_RANK || axis > RML_MAX_RANK) {
        rml_onnx_refuse(call, "axis %lld", (long long)axis);
        return;
    }
    attr.dft.axis = (int)axis;
    call->out[0] = rml_graph_node(call->graph, RML_OP_DFT, &attr, in, 3, call->name);
}

static void import_stft(rml_onnx_call *call)
{
    const rml_op_attr attr = {.dft = {.onesided = rml_onnx_int(call, "onesided", 1) != 0}};
    const rml_value_id in[] = {rml_onnx_in(call, 0), integer_in(call, 1), rml_onnx_in(call, 2),
                               integer_in(call, 3)};
    call->out[0] = rml_graph_node(call->graph, RML_OP_STFT, &attr, in, 4, call->name);
}

static void import_window(rml_onnx_call *call)
{
    const rml_value_id size = integer_in(call, 0);
    const rml_op_attr attr = {.taper = {.kind = (rml_window_kind)rml_onnx_option(call),
                                        .symmetric = rml_onnx_int(call, "periodic", 1) == 0,
                                        .to = rml_onnx_dtype_of(call, "output_datatype", RML_F32)}};
    call->out[0] = rml_graph_node(call->graph, RML_OP_WINDOW_FUNCTION, &attr, &size, 1, call->name);
}

static void import_mel(rml_onnx_call *call)
{
    const rml_op_attr attr = {.taper = {.to = rml_onnx_dtype_of(call, "output_datatype", RML_F32)}};
    rml_value_id in[5];
    for (int k = 0; k < 5; k++)
        in[k] = rml_onnx_in(call, k);
    call->out[0] = rml_graph_node(call->graph, RML_OP_MEL_WEIGHTS, &attr, in, 5, call->name);
}

const rml_onnx_entry rml_onnx_spectrum[] = {
    {.op_type = "DFT", .import = import_dft, .since = 17},
    {.op_type = "STFT", .import = import_stft, .since = 17},
    {.op_type = "HannWindow", .import = import_window, .since = 17, .option = RML_WINDOW_HANN},
    {.op_type = "HammingWindow",
     .import = import_window,
     .since = 17,
     .option = RML_WINDOW_HAMMING},
    {.op_type = "BlackmanWindow",
     .import = import_window,
     .since = 17,
     .option = RML_WINDOW_BLACKMAN},
    {.op_type = "MelWeightMatrix", .import = import_mel, .since = 17},
    {.op_type = NULL},
};
