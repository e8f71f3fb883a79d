// Operators that give elements another shape or order, cut, join and repeat them.
#include "writers/onnx/lists.h"

#include <string.h>

static bool is_given(const rml_node *node, int index)
{
    return index < node->in_count && node->in[index] != RML_NO_VALUE;
}

// ---- reshape, transpose -------------------------------------------------------------------------

// 0 is 0 only since opset 14; before, a target without zeros says the same.
static const char *lacks_reshape(const rml_to_onnx_ask *ask)
{
    const rml_fact target = rml_to_onnx_fact(ask->graph, ask->node, 1);
    rml_to_onnx_known known;
    if (!ask->node->attr.reshape.keep_zero || ask->opset >= 14)
        return NULL;
    bool zeros = !rml_to_onnx_known_list(&target, &known);
    for (int i = 0; i < known.count && !zeros; i++)
        zeros = known.at[i] == 0;
    return zeros ? "sizes of 0 are not kept before opset 14" : NULL;
}

static void write_reshape(rml_to_onnx *w, const rml_node *node)
{
    const rml_shape *shape = &node->attr.reshape.shape;
    const char *in[2] = {rml_to_onnx_name(w, node->in[0]), NULL};
    in[1] = is_given(node, 1) ? rml_to_onnx_list(w, node, 1)
                              : rml_to_onnx_ints(w, node, "shape", shape->dim, (size_t)shape->rank);
    rml_to_onnx_begin(w, "Reshape", in, 2);
    if (node->attr.reshape.keep_zero && w->opset >= 14)
        rml_to_onnx_int(w, "allowzero", 1);
    rml_to_onnx_close(w, node);
}

static void write_transpose(rml_to_onnx *w, const rml_node *node)
{
    const rml_transpose_attr *attr = &node->attr.transpose;
    int order[RML_MAX_RANK];
    rml_to_onnx_open(w, node, "Transpose");
    for (int i = 0; i < attr->rank; i++)
        order[i] = rml_transpose_axis(attr, attr->rank, i);
    if (attr->rank >= 0)
        rml_to_onnx_axes(w, "perm", order, attr->rank);
    rml_to_onnx_close(w, node);
}

// Squeeze, Unsqueeze, Tile: input 1 is a list.
static void write_listed(rml_to_onnx *w, const rml_node *node)
{
    const char *in[2] = {rml_to_onnx_name(w, node->in[0]),
                         is_given(node, 1) ? rml_to_onnx_list(w, node, 1) : ""};
    rml_to_onnx_make(w, node,
                     node->op == RML_OP_SQUEEZE     ? "Squeeze"
                     : node->op == RML_OP_UNSQUEEZE ? "Unsqueeze"
                                                    : "Tile",
                     in, 2, NULL);
}

// ---- cutting ------------------------------------------------------------------------------------

static void write_slice(rml_to_onnx *w, const rml_node *node)
{
    static const char *const names[] = {"starts", "ends", "axes", "steps"};
    const rml_slice_attr *attr = &node->attr.slice;
    const int64_t own[] = {attr->start, attr->stop, attr->axis, attr->step};
    const char *in[5] = {rml_to_onnx_name(w, node->in[0]), "", "", "", ""};
    for (int k = 1; k < 5; k++)
        if (is_given(node, k))
            in[k] = rml_to_onnx_list(w, node, k);
        else if (node->in_count < 2 && (k < 4 || attr->step != 1))
            in[k] = rml_to_onnx_ints(w, node, names[k - 1], &own[k - 1], 1);
    rml_to_onnx_make(w, node, "Slice", in, 5, NULL);
}

// The sizes of the parts of a known dimension, of which the last may be smaller; false: ONNX's own
// rule makes the same.
static bool part_sizes(const rml_graph *graph, const rml_node *node, int64_t *sizes)
{
    const rml_split_attr *split = &node->attr.split;
    const rml_shape *from = &graph->values[node->in[0]].shape;
    const int axis = split->axis < 0 ? split->axis + from->rank : split->axis;
    if (split->sizes) {
        memcpy(sizes, split->sizes, (size_t)split->count * sizeof *sizes);
        return true;
    }
    if (from->rank < 0 || from->dim[axis] < 0 || from->dim[axis] % split->count == 0)
        return false;
    for (int k = 0; k < split->count; k++)
        sizes[k] = graph->values[node->out + (rml_value_id)k].shape.dim[axis];
    return true;
}

static void write_split(rml_to_onnx *w, const rml_node *node)
{
    int64_t sizes[RML_MAX_OUTPUTS];
    const char *in[2] = {rml_to_onnx_name(w, node->in[0]), ""};
    if (is_given(node, 1))
        in[1] = rml_to_onnx_list(w, node, 1);
    else if (part_sizes(w->graph, node, sizes))
        in[1] = rml_to_onnx_ints(w, node, "sizes", sizes, (size_t)node->attr.split.count);
    rml_to_onnx_begin(w, "Split", in, 2);
    rml_to_onnx_int(w, "axis", node->attr.split.axis);
    if (!*in[1] && w->opset >= 18)
        rml_to_onnx_int(w, "num_outputs", node->attr.split.count);
    rml_to_onnx_close(w, node);
}

// ---- lengthening --------------------------------------------------------------------------------

// Pads of some axes as those of all.
static bool all_pads(const rml_graph *graph, const rml_node *node, int64_t *pads)
{
    const rml_fact some = rml_to_onnx_fact(graph, node, 1);
    const rml_fact axes = rml_to_onnx_fact(graph, node, 3);
    const int rank = graph->values[node->in[0]].shape.rank;
    rml_to_onnx_known at, of;
    if (rank < 0 || !rml_to_onnx_known_list(&some, &at) || !rml_to_onnx_known_list(&axes, &of))
        return false;
    memset(pads, 0, 2 * (size_t)rank * sizeof *pads);
    for (int i = 0; i < of.count; i++) {
        const int64_t axis = of.at[i] < 0 ? of.at[i] + rank : of.at[i];
        pads[axis] = at.at[i];
        pads[axis + rank] = at.at[of.count + i];
    }
    return true;
}

static const char *lacks_pad(const rml_to_onnx_ask *ask)
{
    int64_t pads[2 * RML_MAX_RANK];
    if (ask->node->attr.pad.mode == RML_PAD_WRAP && ask->opset < 19)
        return "nothing is wrapped around before opset 19";
    if (ask->opset < 18 && is_given(ask->node, 3) && !all_pads(ask->graph, ask->node, pads))
        return "its axes are no input before opset 18";
    return NULL;
}

static void write_pad(rml_to_onnx *w, const rml_node *node)
{
    int64_t pads[2 * RML_MAX_RANK];
    const bool some = w->opset < 18 && is_given(node, 3) && all_pads(w->graph, node, pads);
    const char *in[4] = {rml_to_onnx_name(w, node->in[0]), "", "", ""};
    if (some)
        in[1] = rml_to_onnx_ints(w, node, "pads", pads,
                                 2 * (size_t)w->graph->values[node->in[0]].shape.rank);
    else
        in[1] = rml_to_onnx_list(w, node, 1);
    if (is_given(node, 2))
        in[2] = rml_to_onnx_name(w, node->in[2]);
    if (is_given(node, 3) && !some)
        in[3] = rml_to_onnx_list(w, node, 3);
    rml_to_onnx_begin(w, "Pad", in, 4);
    rml_to_onnx_word(w, "mode", "constant reflect edge wrap", (int)node->attr.pad.mode);
    rml_to_onnx_close(w, node);
}

// To the sizes in the attribute, of which those of 0 are another value's.
static const char *target_like(rml_to_onnx *w, const rml_node *node)
{
    const rml_shape *shape = &node->attr.expand.shape;
    const rml_shape *like = is_given(node, 1) ? &w->graph->values[node->in[1]].shape : NULL;
    int64_t sizes[RML_MAX_RANK];
    for (int i = 0; i < shape->rank; i++)
        sizes[i] = shape->dim[i] != 0 || !like ? shape->dim[i] : like->rank < 0 ? -1 : like->dim[i];
    const char *name = like ? rml_to_onnx_name(w, node->in[1]) : "";
    return rml_to_onnx_sizes(w, node, name, sizes, shape->rank);
}

static void write_expand(rml_to_onnx *w, const rml_node *node)
{
    const char *in[2] = {rml_to_onnx_name(w, node->in[0]), NULL};
    in[1] = is_given(node, 2) ? rml_to_onnx_list(w, node, 2) : target_like(w, node);
    rml_to_onnx_make(w, node, "Expand", in, 2, NULL);
}

// ---- pixels and channels ------------------------------------------------------------------------

static const char *lacks_space_to_depth(const rml_to_onnx_ask *ask)
{
    const rml_shuffle_attr *attr = &ask->node->attr.shuffle;
    if (!attr->exact)
        return "it takes whole blocks";
    return attr->pixels_first ? NULL : "its channels are in another order";
}

static const char *lacks_depth_to_space(const rml_to_onnx_ask *ask)
{
    return is_given(ask->node, 1) ? "it cuts nothing" : NULL;
}

#define BLOCK RML_TO(INT, "blocksize", shuffle.block)

static const rml_to_onnx_field space[] = {BLOCK, {0}};
static const rml_to_onnx_field depth[] = {
    BLOCK, RML_TO_WORD(WORD_FLAG, "mode", shuffle.pixels_first, "CRD DCR", 0), {0}};
static const rml_to_onnx_field concat[] = {RML_TO(AXIS, "axis", concat.axis), {0}};
static const rml_to_onnx_field flatten[] = {RML_TO(INT, "axis", axis.axis), {0}};

const rml_to_onnx_entry rml_to_onnx_shape[] = {
    {.op = RML_OP_RESHAPE, .lacks = lacks_reshape, .write = write_reshape},
    {.op = RML_OP_SQUEEZE, .write = write_listed},
    {.op = RML_OP_UNSQUEEZE, .write = write_listed},
    {.op = RML_OP_FLATTEN, .op_type = "Flatten", .fields = flatten},
    {.op = RML_OP_TRANSPOSE, .write = write_transpose},
    {.op = RML_OP_CONCAT, .op_type = "Concat", .fields = concat},
    {.op = RML_OP_SPLIT, .write = write_split},
    {.op = RML_OP_SLICE, .write = write_slice},
    {.op = RML_OP_EXPAND, .write = write_expand},
    {.op = RML_OP_TILE, .write = write_listed},
    {.op = RML_OP_PAD, .lacks = lacks_pad, .write = write_pad},
    {.op = RML_OP_SHAPE, .op_type = "Shape"},
    {.op = RML_OP_SIZE, .op_type = "Size"},
    {.op = RML_OP_SPACE_TO_DEPTH,
     .op_type = "SpaceToDepth",
     .fields = space,
     .lacks = lacks_space_to_depth},
    {.op = RML_OP_DEPTH_TO_SPACE,
     .op_type = "DepthToSpace",
     .fields = depth,
     .lacks = lacks_depth_to_space},
    {0},
};
