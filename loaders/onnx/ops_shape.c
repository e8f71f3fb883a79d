// Operators that give elements another shape or order, cut, join and repeat them.
#include "loaders/onnx/make.h"

// A list that newer opsets pass as input `index` and older ones as the attribute `name`. Our
// operators take 32 bits too; a cast would only hide the elements until planning.
static rml_value_id list_of(rml_onnx_call *call, int index, const char *name)
{
    const rml_value_id in = rml_onnx_in(call, index);
    return in != RML_NO_VALUE ? in : rml_onnx_list(call, index, name);
}

static void import_reshape(rml_onnx_call *call)
{
    const rml_value_id in[] = {rml_onnx_in(call, 0), list_of(call, 1, "shape")};
    const rml_op_attr attr = {.reshape = {.keep_zero = rml_onnx_int(call, "allowzero", 0) != 0}};
    if (in[1] == RML_NO_VALUE)
        rml_onnx_refuse(call, "the target shape is missing");
    else
        rml_onnx_emit(call, RML_OP_RESHAPE, &attr, in, 2);
}

static void import_bitcast(rml_onnx_call *call)
{
    const rml_value_id in = rml_onnx_in(call, 0);
    const rml_op_attr attr = {.cast = {.to = rml_onnx_dtype_of(call, "to", RML_F32)}};
    if (!rml_onnx_has(call, "to"))
        rml_onnx_refuse(call, "the type to cast to is missing");
    else
        rml_onnx_emit(call, RML_OP_BITCAST, &attr, &in, 1);
}

static void import_concat(rml_onnx_call *call)
{
    rml_op_attr attr = {0};
    if (call->opset >= 4 && !rml_onnx_has(call, "axis"))
        rml_onnx_refuse(call, "the axis is missing");
    attr.concat.axis = rml_onnx_axis(call, "axis", 1);
    rml_onnx_emit(call, RML_OP_CONCAT, &attr, call->in, call->in_count);
}

// ---- cutting ------------------------------------------------------------------------------------

// More parts than a node has outputs: one slice each.
static void split_by_slices(rml_onnx_call *call, rml_value_id x, int axis, rml_value_id sizes)
{
    const rml_fact from = rml_onnx_fact(call, 0);
    const rml_fact told =
        sizes == RML_NO_VALUE ? (rml_fact){0} : rml_graph_fact(call->graph, sizes);
    const int at = from.shape.rank < 0 ? -1 : axis + (axis < 0 ? from.shape.rank : 0);
    const int64_t whole = at >= 0 && at < from.shape.rank ? from.shape.dim[at] : -1;
    const int64_t equal = whole < 0 ? -1 : (whole + call->out_count - 1) / call->out_count;
    if (sizes == RML_NO_VALUE ? whole < 0 || equal * (call->out_count - 1) > whole
                              : !told.data || told.dtype != RML_I64 || told.shape.rank != 1 ||
                                    told.shape.dim[0] != call->out_count) {
        rml_onnx_refuse(call, "%d parts of sizes that are not known, at most %d", call->out_count,
                        RML_MAX_OUTPUTS);
        return;
    }
    int64_t start = 0;
    for (int k = 0; k < call->out_count; k++) {
        const int64_t size = told.data ? ((const int64_t *)told.data)[k] : equal;
        if (size < 0 || size > INT64_MAX - start) {
            rml_onnx_refuse(call, "a part of size %lld", (long long)size);
            return;
        }
        call->out[k] = rml_graph_slice(call->graph, x, axis, start, start + size, 1, call->name);
        start += size;
    }
}

static void import_split(rml_onnx_call *call)
{
    const rml_value_id in[] = {rml_onnx_in(call, 0), list_of(call, 1, "split")};
    const int64_t parts = rml_onnx_int(call, "num_outputs", call->out_count);
    const rml_op_attr attr = {
        .split = {.count = call->out_count, .axis = rml_onnx_axis(call, "axis", 0)}};
    if (parts != call->out_count) {
        rml_onnx_refuse(call, "%lld parts to %d outputs", (long long)parts, call->out_count);
        return;
    }
    if (call->out_count > RML_MAX_OUTPUTS) {
        split_by_slices(call, in[0], attr.split.axis, in[1]);
        return;
    }
    rml_onnx_emit(call, RML_OP_SPLIT, &attr, in, 2);
}

// ---- repeating ----------------------------------------------------------------------------------

static void import_expand(rml_onnx_call *call)
{
    const rml_value_id in[] = {rml_onnx_in(call, 0), RML_NO_VALUE, rml_onnx_in(call, 1)};
    if (in[2] == RML_NO_VALUE)
        rml_onnx_refuse(call, "the target shape is missing");
    else
        rml_onnx_emit(call, RML_OP_EXPAND, NULL, in, 3);
}

// A tensor of one element, as a number: expand gives it any shape.
static void import_constant_of_shape(rml_onnx_call *call)
{
    const rml_onnx_tensor *tensor = rml_onnx_tensor_of(call, "value");
    size_t count;
    rml_value_id value;
    if (tensor && (!rml_shape_count(&tensor->stored.shape, &count) || count != 1)) {
        rml_onnx_refuse(call, "the value is not one number");
        return;
    }
    if (tensor) {
        rml_stored number = tensor->stored;
        number.shape.rank = 0;
        value = rml_graph_typed_constant(call->graph, call->name, &number);
    } else {
        value = rml_onnx_scalar(call, RML_F32, 0);
    }
    const rml_value_id in[] = {value, RML_NO_VALUE, rml_onnx_in(call, 0)};
    if (in[2] == RML_NO_VALUE)
        rml_onnx_refuse(call, "the shape is missing");
    else
        rml_onnx_emit(call, RML_OP_EXPAND, NULL, in, 3);
}

static void import_pad(rml_onnx_call *call)
{
    const double number = rml_onnx_float(call, "value", 0);
    rml_value_id in[] = {rml_onnx_in(call, 0),
                         list_of(call, 1, call->opset < 2 ? "paddings" : "pads"),
                         rml_onnx_in(call, 2), rml_onnx_in(call, 3)};
    const rml_op_attr attr = {
        .pad = {(rml_pad_mode)rml_onnx_word(call, "mode", "constant reflect edge wrap", 0)}};
    if (in[2] == RML_NO_VALUE && number != 0)
        in[2] = rml_onnx_scalar(call, rml_onnx_fact(call, 0).dtype, number);
    rml_onnx_emit(call, RML_OP_PAD, &attr, in, 4);
}

// ---- sizes --------------------------------------------------------------------------------------

static void import_shape(rml_onnx_call *call)
{
    const rml_value_id in = rml_onnx_in(call, 0);
    const int64_t start = rml_onnx_int(call, "start", 0);
    const int64_t end = rml_onnx_int(call, "end", INT64_MAX);
    call->out[0] = rml_onnx_make(call, RML_OP_SHAPE, NULL, &in, 1);
    if (start != 0 || end != INT64_MAX)
        call->out[0] = rml_graph_slice(call->graph, call->out[0], 0, start, end, 1, call->name);
}

#define LIST(index, title)                                                                         \
    {                                                                                              \
        .kind = RML_FIELD_LIST, .name = title, .input = index                                      \
    }

static const rml_onnx_field axes[] = {LIST(1, "axes"), {0}};
static const rml_onnx_field flatten[] = {RML_FIELD(INT, "axis", axis.axis, .absent = 1), {0}};
static const rml_onnx_field transpose[] = {RML_FIELD(AXES, "perm", transpose, .absent = -1), {0}};
static const rml_onnx_field slice[] = {LIST(1, "starts"), LIST(2, "ends"), LIST(3, "axes"), {0}};
static const rml_onnx_field shuffle[] = {
    RML_FIELD(INT, "blocksize", shuffle.block, .absent = 0),
    RML_FIELD(WORD_FLAG, "mode", shuffle.pixels_first, .words = "CRD DCR", .absent = 1),
    RML_FIELD(OPTION_FLAG, NULL, shuffle.exact, .absent = 0),
    {0}};

const rml_onnx_entry rml_onnx_shape[] = {
    {.op_type = "Reshape", .import = import_reshape, .stand_ins = RML_STAND_INS_KEPT},
    {.op_type = "Squeeze", .op = RML_OP_SQUEEZE, .fields = axes, .stand_ins = RML_STAND_INS_KEPT},
    {.op_type = "Unsqueeze",
     .op = RML_OP_UNSQUEEZE,
     .fields = axes,
     .stand_ins = RML_STAND_INS_KEPT},
    {.op_type = "Flatten",
     .op = RML_OP_FLATTEN,
     .fields = flatten,
     .stand_ins = RML_STAND_INS_KEPT},
    {.op_type = "BitCast", .import = import_bitcast},
    {.op_type = "Transpose",
     .op = RML_OP_TRANSPOSE,
     .fields = transpose,
     .stand_ins = RML_STAND_INS_KEPT},
    {.op_type = "Concat", .import = import_concat, .stand_ins = RML_STAND_INS_KEPT},
    {.op_type = "Split", .import = import_split, .since = 2, .stand_ins = RML_STAND_INS_KEPT},
    {.op_type = "Slice", .op = RML_OP_SLICE, .fields = slice, .stand_ins = RML_STAND_INS_KEPT},
    {.op_type = "Expand", .import = import_expand, .stand_ins = RML_STAND_INS_KEPT},
    {.op_type = "Tile", .op = RML_OP_TILE, .since = 6, .stand_ins = RML_STAND_INS_KEPT},
    {.op_type = "ConstantOfShape", .import = import_constant_of_shape},
    {.op_type = "Pad", .import = import_pad},
    {.op_type = "Shape", .import = import_shape, .stand_ins = RML_STAND_INS_READ},
    {.op_type = "Size", .op = RML_OP_SIZE, .stand_ins = RML_STAND_INS_READ},
    {.op_type = "SpaceToDepth", .op = RML_OP_SPACE_TO_DEPTH, .fields = shuffle, .option = 1},
    {.op_type = "DepthToSpace", .op = RML_OP_DEPTH_TO_SPACE, .fields = shuffle},
    {.op_type = NULL},
};
