// Operators that pick elements, write them to places, and make them.
#include "loaders/onnx/make.h"

// The operator leaves room for all that may be selected; a slice takes what was.
static void import_nms(rml_onnx_call *call)
{
    const rml_op_attr attr = {.nms = {rml_onnx_int(call, "center_point_box", 0) != 0}};
    const rml_value_id selected = rml_onnx_make(call, RML_OP_NMS, &attr, call->in, call->in_count);
    if (selected == RML_NO_VALUE)
        return;
    const rml_value_id zero = rml_onnx_ints_value(call, (const int64_t[]){0}, 1);
    const rml_value_id in[] = {selected, zero, selected + 1, zero};
    call->out[0] = rml_onnx_make(call, RML_OP_SLICE, NULL, in, 4);
}

#define KIND RML_FIELD(WORD, "reduction", scatter.kind, .words = "none add mul min max")

static const rml_onnx_field axis[] = {RML_FIELD(INT, "axis", axis.axis, .absent = 0), {0}};
static const rml_onnx_field last_axis[] = {RML_FIELD(INT, "axis", axis.axis, .absent = -1), {0}};
static const rml_onnx_field gather_nd[] = {
    RML_FIELD(INT, "batch_dims", gather_nd.batch, .absent = 0), {0}};
static const rml_onnx_field scatter_nd[] = {KIND, {0}};
static const rml_onnx_field scatter[] = {
    KIND, RML_FIELD(INT, "axis", scatter.axis, .absent = 0), {0}};
static const rml_onnx_field tensor_scatter[] = {
    RML_FIELD(INT, "axis", tensor_scatter.axis, .absent = -2),
    RML_FIELD(WORD_FLAG, "mode", tensor_scatter.circular, .words = "linear circular"),
    {0}};
static const rml_onnx_field compress[] = {RML_FIELD(ABSENT, "axis", compress.flat, .absent = 0),
                                          RML_FIELD(INT, "axis", compress.axis, .absent = 0),
                                          {0}};
static const rml_onnx_field trilu[] = {RML_FIELD(FLAG, "upper", trilu.upper, .absent = 1), {0}};
static const rml_onnx_field reverse[] = {
    RML_FIELD(INT, "batch_axis", reverse.batch_axis, .absent = 1),
    RML_FIELD(INT, "time_axis", reverse.time_axis, .absent = 0),
    {0}};
static const rml_onnx_field eye[] = {RML_FIELD(DTYPE, "dtype", eye.to, .absent = -1),
                                     RML_FIELD(INT, "k", eye.diagonal, .absent = 0),
                                     {0}};
// Halves are computed in double and rounded once.
static const rml_onnx_field range[] = {{.kind = RML_FIELD_IGNORE, .name = "stash_type"}, {0}};

const rml_onnx_entry rml_onnx_index[] = {
    {.op_type = "Gather", .op = RML_OP_GATHER, .fields = axis, .stand_ins = RML_STAND_INS_KEPT},
    {.op_type = "GatherElements", .op = RML_OP_GATHER_ELEMENTS, .fields = axis},
    {.op_type = "GatherND", .op = RML_OP_GATHER_ND, .fields = gather_nd},
    {.op_type = "Scatter", .op = RML_OP_SCATTER_ELEMENTS, .fields = scatter},
    {.op_type = "ScatterElements", .op = RML_OP_SCATTER_ELEMENTS, .fields = scatter},
    {.op_type = "ScatterND", .op = RML_OP_SCATTER_ND, .fields = scatter_nd},
    {.op_type = "TensorScatter", .op = RML_OP_TENSOR_SCATTER, .fields = tensor_scatter},
    {.op_type = "Where", .op = RML_OP_WHERE},
    {.op_type = "NonZero", .op = RML_OP_NONZERO},
    {.op_type = "Compress", .op = RML_OP_COMPRESS, .fields = compress},
    {.op_type = "Trilu", .op = RML_OP_TRILU, .fields = trilu},
    {.op_type = "ReverseSequence", .op = RML_OP_REVERSE_SEQUENCE, .fields = reverse},
    {.op_type = "Range", .op = RML_OP_RANGE, .fields = range},
    {.op_type = "EyeLike", .op = RML_OP_EYE, .fields = eye},
    {.op_type = "OneHot", .op = RML_OP_ONE_HOT, .fields = last_axis},
    {.op_type = "NonMaxSuppression", .import = import_nms},
    {.op_type = NULL},
};
