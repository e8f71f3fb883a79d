// Operators that pick elements, write them to places, and make them.
#include "loaders/onnx/handler.h"

#include <string.h>

static void add(rml_onnx_call *call, rml_op_id op, const rml_op_attr *attr)
{
    call->out[0] = rml_graph_node(call->graph, op, attr, call->in, call->in_count, call->name);
}

static void import_plain(rml_onnx_call *call)
{
    add(call, (rml_op_id)rml_onnx_option(call), NULL);
}

// Gather and GatherElements.
static void import_gather(rml_onnx_call *call)
{
    const rml_op_attr attr = {.axis = {rml_onnx_int(call, "axis", 0)}};
    add(call, (rml_op_id)rml_onnx_option(call), &attr);
}

static void import_gather_nd(rml_onnx_call *call)
{
    const rml_op_attr attr = {.gather_nd = {rml_onnx_int(call, "batch_dims", 0)}};
    add(call, RML_OP_GATHER_ND, &attr);
}

// Scatter, ScatterElements and ScatterND.
static void import_scatter(rml_onnx_call *call)
{
    static const char *const kinds[] = {[RML_SCATTER_SET] = "none",
                                        [RML_SCATTER_ADD] = "add",
                                        [RML_SCATTER_MUL] = "mul",
                                        [RML_SCATTER_MIN] = "min",
                                        [RML_SCATTER_MAX] = "max"};
    const char *wanted = rml_onnx_text_of(call, "reduction", "none");
    const bool has_axis = rml_onnx_option(call) == RML_OP_SCATTER_ELEMENTS;
    rml_op_attr attr = {.scatter = {.axis = has_axis ? rml_onnx_int(call, "axis", 0) : 0}};
    size_t kind = 0;
    while (kind < sizeof kinds / sizeof *kinds && strcmp(kinds[kind], wanted) != 0)
        kind++;
    if (kind == sizeof kinds / sizeof *kinds) {
        rml_onnx_refuse(call, "there is no reduction \"%s\"", wanted);
        return;
    }
    attr.scatter.kind = (rml_scatter_kind)kind;
    add(call, (rml_op_id)rml_onnx_option(call), &attr);
}

static void import_tensor_scatter(rml_onnx_call *call)
{
    const char *mode = rml_onnx_text_of(call, "mode", "linear");
    const rml_op_attr attr = {.tensor_scatter = {.axis = rml_onnx_int(call, "axis", -2),
                                                 .circular = strcmp(mode, "circular") == 0}};
    if (strcmp(mode, "circular") != 0 && strcmp(mode, "linear") != 0)
        rml_onnx_refuse(call, "there is no mode \"%s\"", mode);
    else
        add(call, RML_OP_TENSOR_SCATTER, &attr);
}

static void import_compress(rml_onnx_call *call)
{
    const rml_op_attr attr = {
        .compress = {.flat = !rml_onnx_has(call, "axis"), .axis = rml_onnx_int(call, "axis", 0)}};
    add(call, RML_OP_COMPRESS, &attr);
}

static void import_trilu(rml_onnx_call *call)
{
    const rml_op_attr attr = {.trilu = {rml_onnx_int(call, "upper", 1) != 0}};
    add(call, RML_OP_TRILU, &attr);
}

static void import_reverse_sequence(rml_onnx_call *call)
{
    const rml_op_attr attr = {.reverse = {.batch_axis = rml_onnx_int(call, "batch_axis", 1),
                                          .time_axis = rml_onnx_int(call, "time_axis", 0)}};
    add(call, RML_OP_REVERSE_SEQUENCE, &attr);
}

static void import_range(rml_onnx_call *call)
{
    rml_onnx_ignore(call, "stash_type"); // halves are computed in double and rounded once
    add(call, RML_OP_RANGE, NULL);
}

static void import_eye_like(rml_onnx_call *call)
{
    const rml_op_attr attr = {
        .eye = {.to = rml_onnx_dtype_of(call, "dtype", rml_onnx_fact(call, 0).dtype),
                .diagonal = rml_onnx_int(call, "k", 0)}};
    add(call, RML_OP_EYE, &attr);
}

static void import_one_hot(rml_onnx_call *call)
{
    const rml_op_attr attr = {.axis = {rml_onnx_int(call, "axis", -1)}};
    add(call, RML_OP_ONE_HOT, &attr);
}

// The operator leaves room for all that may be selected; a slice takes what was.
static void import_nms(rml_onnx_call *call)
{
    const rml_op_attr attr = {.nms = {rml_onnx_int(call, "center_point_box", 0) != 0}};
    const rml_value_id selected =
        rml_graph_node(call->graph, RML_OP_NMS, &attr, call->in, call->in_count, call->name);
    if (selected == RML_NO_VALUE)
        return;
    const rml_value_id zero = rml_onnx_ints_value(call, (const int64_t[]){0}, 1);
    const rml_value_id in[] = {selected, zero, selected + 1, zero};
    call->out[0] = rml_graph_node(call->graph, RML_OP_SLICE, NULL, in, 4, call->name);
}

const rml_onnx_entry rml_onnx_index[] = {
    {.op_type = "Gather", .import = import_gather, .option = RML_OP_GATHER},
    {.op_type = "GatherElements", .import = import_gather, .option = RML_OP_GATHER_ELEMENTS},
    {.op_type = "GatherND", .import = import_gather_nd},
    {.op_type = "Scatter", .import = import_scatter, .option = RML_OP_SCATTER_ELEMENTS},
    {.op_type = "ScatterElements", .import = import_scatter, .option = RML_OP_SCATTER_ELEMENTS},
    {.op_type = "ScatterND", .import = import_scatter, .option = RML_OP_SCATTER_ND},
    {.op_type = "TensorScatter", .import = import_tensor_scatter},
    {.op_type = "Where", .import = import_plain, .option = RML_OP_WHERE},
    {.op_type = "NonZero", .import = import_plain, .option = RML_OP_NONZERO},
    {.op_type = "Compress", .import = import_compress},
    {.op_type = "Trilu", .import = import_trilu},
    {.op_type = "ReverseSequence", .import = import_reverse_sequence},
    {.op_type = "Range", .import = import_range},
    {.op_type = "EyeLike", .import = import_eye_like},
    {.op_type = "OneHot", .import = import_one_hot},
    {.op_type = "NonMaxSuppression", .import = import_nms},
    {.op_type = NULL},
};
