// Operators that pick elements, write them to places, and make them.
#include "writers/onnx/lists.h"

// One number of a list that is computed.
static const char *one_of(rml_to_onnx *w, const rml_node *node, const char *list, int64_t index,
                          const char *part)
{
    static const char *const parts[] = {"start", "end"};
    const int64_t ends[2] = {index, index + 1};
    const char *in[3] = {list, "", ""};
    for (int k = 0; k < 2; k++)
        in[1 + k] = rml_to_onnx_ints(w, node, parts[k], &ends[k], 1);
    return rml_to_onnx_make(w, node, "Slice", in, 3, part);
}

// How much may be selected: N C min(B, limit).
static const char *room_of(rml_to_onnx *w, const rml_node *node, const char *scores,
                           const char *limit)
{
    const int64_t known = w->graph->values[node->out].shape.dim[0];
    if (known >= 0)
        return rml_to_onnx_ints(w, node, "room", &known, 1);
    const char *const sizes = rml_to_onnx_make(w, node, "Shape", &scores, 1, "sizes");
    const char *items[2] = {one_of(w, node, sizes, 0, "items"),
                            one_of(w, node, sizes, 1, "classes")};
    const char *boxes[2] = {one_of(w, node, sizes, 2, "boxes"), limit};
    const char *in[2] = {rml_to_onnx_make(w, node, "Mul", items, 2, "lists"),
                         rml_to_onnx_make(w, node, "Min", boxes, 2, "most")};
    return rml_to_onnx_make(w, node, "Mul", in, 2, "room");
}

// ONNX's output is as long as it has to be; ours has room for all, zeros behind, and a count.
static void write_nms(rml_to_onnx *w, const rml_node *node)
{
    const char *const *out = w->names.value + node->out;
    const int64_t zeros[2] = {0, 0};
    const char **in = rml_to_onnx_inputs(w, node);
    if (!in)
        return;
    const bool limited = node->in_count > 2 && node->in[2] != RML_NO_VALUE;
    const char *limit =
        limited ? rml_to_onnx_list(w, node, 2) : rml_to_onnx_ints(w, node, "limit", zeros, 1);
    if (limited)
        in[2] = limit;
    const char *const found = rml_to_onnx_part(w, node, "found");
    rml_to_onnx_begin(w, "NonMaxSuppression", in, node->in_count);
    rml_to_onnx_int(w, "center_point_box", node->attr.nms.centered);
    rml_to_onnx_end(w, node, &found, 1);
    const char *const shape = rml_to_onnx_make(w, node, "Shape", &found, 1, "shape");
    const char *slice[3] = {shape, rml_to_onnx_ints(w, node, "first", zeros, 1), ""};
    const int64_t one = 1;
    slice[2] = rml_to_onnx_ints(w, node, "second", &one, 1);
    rml_to_onnx_begin(w, "Slice", slice, 3);
    rml_to_onnx_end(w, node, &out[1], 1);
    const char *rest[2] = {room_of(w, node, in[1], limit), out[1]};
    const char *parts[3] = {rml_to_onnx_ints(w, node, "before", zeros, 2),
                            rml_to_onnx_make(w, node, "Sub", rest, 2, "rest"), slice[1]};
    const char *pad[2] = {found, rml_to_onnx_part(w, node, "pads")};
    rml_to_onnx_begin(w, "Concat", parts, 3);
    rml_to_onnx_int(w, "axis", 0);
    rml_to_onnx_end(w, node, &pad[1], 1);
    rml_to_onnx_begin(w, "Pad", pad, 2);
    rml_to_onnx_end(w, node, out, 1);
}

// ---- kinds of scattering ------------------------------------------------------------------------

static const char *lacks_scatter(const rml_to_onnx_ask *ask)
{
    const rml_scatter_kind kind = ask->node->attr.scatter.kind;
    if (kind == RML_SCATTER_DIV)
        return "nothing is divided by what is scattered";
    if (kind != RML_SCATTER_SET && ask->opset < 16)
        return "nothing is combined before opset 16";
    if ((kind == RML_SCATTER_MIN || kind == RML_SCATTER_MAX) && ask->opset < 18)
        return "there are no minima and maxima before opset 18";
    return NULL;
}

#define KIND RML_TO_WORD(WORD, "reduction", scatter.kind, "none add mul min max", 16)

static const rml_to_onnx_field axis[] = {RML_TO(INT, "axis", axis.axis), {0}};
static const rml_to_onnx_field gather_nd[] = {RML_TO(INT, "batch_dims", gather_nd.batch), {0}};
static const rml_to_onnx_field scatter_nd[] = {KIND, {0}};
static const rml_to_onnx_field scatter[] = {KIND, RML_TO(INT, "axis", scatter.axis), {0}};
static const rml_to_onnx_field trilu[] = {RML_TO(FLAG, "upper", trilu.upper), {0}};
static const rml_to_onnx_field reverse[] = {RML_TO(INT, "batch_axis", reverse.batch_axis),
                                            RML_TO(INT, "time_axis", reverse.time_axis),
                                            {0}};
static const rml_to_onnx_field eye[] = {
    RML_TO(DTYPE, "dtype", eye.to), RML_TO(INT, "k", eye.diagonal), {0}};

static void write_compress(rml_to_onnx *w, const rml_node *node)
{
    rml_to_onnx_open(w, node, "Compress");
    if (!node->attr.compress.flat)
        rml_to_onnx_int(w, "axis", node->attr.compress.axis);
    rml_to_onnx_close(w, node);
}

const rml_to_onnx_entry rml_to_onnx_index[] = {
    {.op = RML_OP_GATHER, .op_type = "Gather", .fields = axis},
    {.op = RML_OP_GATHER_ELEMENTS, .op_type = "GatherElements", .fields = axis},
    {.op = RML_OP_GATHER_ND, .op_type = "GatherND", .fields = gather_nd, .wide = 1 << 1},
    {.op = RML_OP_SCATTER_ELEMENTS,
     .op_type = "ScatterElements",
     .fields = scatter,
     .lacks = lacks_scatter},
    {.op = RML_OP_SCATTER_ND,
     .op_type = "ScatterND",
     .fields = scatter_nd,
     .lacks = lacks_scatter,
     .wide = 1 << 1},
    {.op = RML_OP_NONZERO, .op_type = "NonZero"},
    {.op = RML_OP_COMPRESS, .write = write_compress},
    {.op = RML_OP_TRILU, .op_type = "Trilu", .fields = trilu, .since = 14, .wide = 1 << 1},
    {.op = RML_OP_REVERSE_SEQUENCE,
     .op_type = "ReverseSequence",
     .fields = reverse,
     .wide = 1 << 1},
    {.op = RML_OP_RANGE, .op_type = "Range"},
    {.op = RML_OP_EYE, .op_type = "EyeLike", .fields = eye},
    {.op = RML_OP_ONE_HOT, .op_type = "OneHot", .fields = axis},
    {.op = RML_OP_NMS, .write = write_nms},
    {0},
};
