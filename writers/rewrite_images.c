// Images: pixels that become channels or rows, and sizes that come from another image.
#include "writers/rewrite.h"

#define P(part) rml_part_name(l, node, part)

// ---- space to depth -----------------------------------------------------------------------------

// With the last row and column repeated until there are whole blocks.
static rml_value_id whole_blocks(rml_lowering *l, const rml_node *node)
{
    const rml_shape x = rml_lowered_shape(l, node->in[0]);
    const int64_t block = node->attr.shuffle.block;
    int64_t pads[8] = {0};
    rml_value_id in[2] = {node->in[0], RML_NO_VALUE};
    if (x.dim[2] >= 0 && x.dim[3] >= 0) {
        for (int i = 0; i < 2; i++)
            pads[6 + i] = (block - x.dim[2 + i] % block) % block;
        if (pads[6] == 0 && pads[7] == 0)
            return node->in[0];
        in[1] = rml_lower_ints(l, pads, 8, P("pads"));
    } else {
        rml_value_id parts[2] = {rml_lower_ints(l, pads, 6, P("none")),
                                 rml_lower_sizes(l, node->in[0], 2, 4, P("sizes"))};
        parts[1] = rml_lower_unary(l, RML_UNARY_NEG, parts[1], P("below"));
        parts[1] = rml_lower_by_number(l, RML_BINARY_MOD, parts[1], (double)block, P("missing"));
        in[1] =
            rml_lower_node(l, RML_OP_CONCAT, &(rml_op_attr){.concat = {0}}, parts, 2, P("pads"));
    }
    const rml_op_attr edge = {.pad = {RML_PAD_EDGE}};
    const rml_value_id whole = rml_lower_node(l, RML_OP_PAD, &edge, in, 2, P("whole"));
    for (int i = 0; i < 2 && whole != RML_NO_VALUE; i++) // which the pads do not tell while unknown
        l->to->values[whole].shape.dim[i] = x.dim[i];
    return whole;
}

// Channels in the order of torch, from those of pixels that follow one another.
static rml_value_id torch_order(rml_lowering *l, const rml_node *node, int64_t channels)
{
    const int64_t area = node->attr.shuffle.block * node->attr.shuffle.block;
    rml_op_attr attr = node->attr;
    attr.shuffle.pixels_first = true;
    if (channels == 1)
        return rml_lower_node(l, RML_OP_SPACE_TO_DEPTH, &attr, node->in, 1, node->name);
    int64_t *order = rml_arena_alloc(&l->to->arena, (size_t)(channels * area), sizeof *order);
    if (!order)
        return rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for an order of channels");
    for (int64_t c = 0; c < channels; c++)
        for (int64_t d = 0; d < area; d++)
            order[c * area + d] = d * channels + c;
    const rml_value_id in[2] = {
        rml_lower_node(l, RML_OP_SPACE_TO_DEPTH, &attr, node->in, 1, P("pixels")),
        rml_lower_ints(l, order, (size_t)(channels * area), P("order"))};
    return rml_lower_node(l, RML_OP_GATHER, &(rml_op_attr){.axis = {.axis = 1}}, in, 2, node->name);
}

bool rml_rewrite_space_to_depth(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_SPACE_TO_DEPTH)
        return false;
    const int64_t channels = rml_lowered_shape(l, node->in[0]).dim[1];
    rml_op_attr attr = node->attr;
    attr.shuffle.exact = true;
    if (!node->attr.shuffle.exact) {
        const rml_value_id x = whole_blocks(l, node);
        out[0] = rml_lower_node(l, RML_OP_SPACE_TO_DEPTH, &attr, &x, 1, node->name);
        return true;
    }
    if (node->attr.shuffle.pixels_first || channels < 1 || channels > INT32_MAX)
        return false;
    out[0] = torch_order(l, node, channels);
    return true;
}

// ---- cutting ------------------------------------------------------------------------------------

// An image cut to the height and width of `like`. `name` is that of the result.
static rml_value_id cut_like(rml_lowering *l, const rml_node *node, rml_value_id x,
                             rml_value_id like)
{
    const rml_shape to = rml_lowered_shape(l, like);
    if (to.dim[2] >= 0 && to.dim[3] >= 0) {
        x = rml_lower_slice(l, x, 2, 0, to.dim[2], P("rows"));
        return rml_lower_slice(l, x, 3, 0, to.dim[3], node->name);
    }
    const int64_t zeros[2] = {0, 0}, axes[2] = {2, 3};
    const rml_value_id in[4] = {x, rml_lower_ints(l, zeros, 2, P("starts")),
                                rml_lower_sizes(l, like, 2, 4, P("ends")),
                                rml_lower_ints(l, axes, 2, P("axes"))};
    return rml_lower_node(l, RML_OP_SLICE, &(rml_op_attr){.slice = {.step = 1}}, in, 4, node->name);
}

// Whether an image of the known sizes of `x` has those of `like`.
static bool fits(const rml_shape *x, const rml_shape *like, bool *larger)
{
    *larger = false;
    for (int i = 2; i < 4; i++)
        *larger = *larger || (like->dim[i] >= 0 && x->dim[i] >= 0 && like->dim[i] > x->dim[i]);
    return like->dim[2] >= 0 && like->dim[3] >= 0 && x->dim[2] == like->dim[2] &&
           x->dim[3] == like->dim[3];
}

bool rml_rewrite_depth_to_space(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_DEPTH_TO_SPACE || node->in_count < 2 || node->in[1] == RML_NO_VALUE)
        return false;
    rml_shape whole = rml_lowered_shape(l, node->in[0]);
    const rml_shape like = rml_lowered_shape(l, node->in[1]);
    bool larger;
    if (whole.rank != 4 || like.rank != 4)
        return false;
    for (int i = 2; i < 4; i++)
        whole.dim[i] *= whole.dim[i] < 0 ? 1 : node->attr.shuffle.block;
    const bool same = fits(&whole, &like, &larger);
    if (larger)
        return false;
    out[0] = rml_lower_node(l, RML_OP_DEPTH_TO_SPACE, &node->attr, node->in, 1,
                            same ? node->name : P("whole"));
    if (!same)
        out[0] = cut_like(l, node, out[0], node->in[1]);
    return true;
}

enum { LIKE = 4 };

// By the scale, and then cut to the size of the other image, which is not larger.
bool rml_rewrite_resize(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_RESIZE || node->in_count <= LIKE || node->in[LIKE] == RML_NO_VALUE)
        return false;
    const rml_resize_attr *attr = &node->attr.resize;
    rml_shape whole = rml_lowered_shape(l, node->in[0]);
    const rml_shape like = rml_lowered_shape(l, node->in[LIKE]);
    bool larger;
    if (whole.rank != 4 || like.rank != 4 || attr->size[0] > 0 || attr->size[1] > 0)
        return false;
    for (int i = 2; i < 4; i++)
        whole.dim[i] = whole.dim[i] < 0 ? -1 : (int64_t)(attr->scale[i - 2] * (double)whole.dim[i]);
    const bool same = fits(&whole, &like, &larger);
    if (larger)
        return false;
    out[0] =
        rml_lower_node(l, RML_OP_RESIZE, &node->attr, node->in, 1, same ? node->name : P("whole"));
    if (!same)
        out[0] = cut_like(l, node, out[0], node->in[LIKE]);
    return true;
}

// ---- rows ---------------------------------------------------------------------------------------

static const int turned[3] = {0, 2, 1};

bool rml_rewrite_pixels_to_rows(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_PIXELS_TO_ROWS)
        return false;
    const rml_value_id x =
        rml_lower_reshape(l, node->in[0], &(rml_shape){3, {0, 0, -1}}, P("columns"));
    out[0] = rml_lower_transpose(l, x, turned, 3, node->name);
    return true;
}

bool rml_rewrite_rows_to_pixels(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_ROWS_TO_PIXELS)
        return false;
    const rml_shape like = rml_lowered_shape(l, node->in[1]);
    const rml_value_id x = rml_lower_transpose(l, node->in[0], turned, 3, P("columns"));
    if (like.dim[2] > 0 && like.dim[3] > 0) {
        const rml_shape shape = {4, {0, 0, like.dim[2], like.dim[3]}};
        out[0] = rml_lower_reshape(l, x, &shape, node->name);
        return true;
    }
    const rml_value_id parts[2] = {rml_lower_sizes(l, x, 0, 2, P("items")),
                                   rml_lower_sizes(l, node->in[1], 2, 4, P("sizes"))};
    const rml_value_id in[2] = {
        x, rml_lower_node(l, RML_OP_CONCAT, &(rml_op_attr){.concat = {0}}, parts, 2, P("shape"))};
    out[0] = rml_lower_node(l, RML_OP_RESHAPE, NULL, in, 2, node->name);
    return true;
}
