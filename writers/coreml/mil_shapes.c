// Shapes, and the movement of elements.
#include "writers/coreml/mil.h"

#include "tensor/tensor.h"

#include <string.h>

static int unknown_sizes(const rml_shape *shape)
{
    int count = 0;
    for (int i = 0; i < shape->rank; i++)
        count += shape->dim[i] < 0;
    return count;
}

// Shapes of a node's outputs, where they are known before there are any.
static bool infer(const rml_graph *graph, const rml_node *node, rml_fact *out)
{
    return rml_graph_infer_here(graph, node, out, NULL) == RML_OK;
}

// ---- other dimensions ---------------------------------------------------------------------------

// The sizes that are asked for, when the shape says too little: 0 is a size of the input.
static int asked_sizes(const rml_graph *graph, const rml_node *node, int64_t *list)
{
    const rml_reshape_attr *attr = &node->attr.reshape;
    const int rank = rml_emit_shape(graph, node->in[0])->rank;
    int count = attr->shape.rank;
    memcpy(list, attr->shape.dim, sizeof attr->shape.dim);
    if (rml_input_given(node, 1))
        count = rml_input_list(graph, node, 1, list, RML_MAX_RANK);
    for (int i = 0; i < count; i++)
        if (list[i] == 0 && (attr->keep_zero || count != rank))
            return -1;
    return count;
}

static const char *reshape_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    rml_fact out;
    int64_t list[RML_MAX_RANK];
    (void)opset;
    if (!infer(graph, node, &out) || out.shape.rank < 0)
        return "the number of dimensions of its output is not known before a run";
    if (unknown_sizes(&out.shape) <= 1 || node->op != RML_OP_RESHAPE)
        return NULL;
    const bool from_run = rml_input_given(node, 1) && !rml_emit_constant(graph, node, 1);
    return from_run || asked_sizes(graph, node, list) >= 0
               ? NULL
               : "several sizes of its output are not known before a run";
}

static void emit_reshape(rml_emitter *e, const rml_node *node)
{
    const rml_operand out = rml_emit_out(e, node, 0), x = rml_emit_unshaped(e, node, 0);
    int64_t list[RML_MAX_RANK];
    if (unknown_sizes(&out.shape) <= 1) {
        rml_emit_view(e, node, 0, x);
        return;
    }
    const int count = asked_sizes(e->graph, node, list);
    rml_emit_op op = rml_emit_begin(e, "reshape", out);
    rml_emit_value(&op, "x", rml_emit_in(e, node, 0));
    if (count >= 0)
        rml_emit_ints(&op, "shape", list, count);
    else
        rml_emit_value(&op, "shape", rml_emit_in(e, node, 1));
    rml_emit_end(&op);
}

// Axes of size 1 that go or come, from the front.
static int axes_of(const rml_emitter *e, const rml_node *node, int64_t *axes)
{
    const bool comes = node->op == RML_OP_UNSQUEEZE;
    const rml_shape *shape = &e->graph->values[comes ? node->out : node->in[0]].shape;
    int count =
        rml_input_given(node, 1) ? rml_input_list(e->graph, node, 1, axes, RML_MAX_RANK) : 0;
    for (int i = 0; i < count; i++)
        axes[i] = rml_emit_axis(axes[i], shape->rank);
    for (int i = 0; i < shape->rank && !rml_input_given(node, 1); i++)
        if (shape->dim[i] == 1)
            axes[count++] = i;
    return count;
}

static const char *axes_lack(int opset, const rml_graph *graph, const rml_node *node)
{
    int64_t axes[RML_MAX_RANK];
    (void)opset;
    if (rml_input_given(node, 1) && rml_input_list(graph, node, 1, axes, RML_MAX_RANK) < 0)
        return "its axes are computed in the run";
    return !rml_input_given(node, 1) && !rml_shape_known(rml_emit_shape(graph, node->in[0]))
               ? "which dimensions have size 1 is not known before a run"
               : NULL;
}

static void emit_axes(rml_emitter *e, const rml_node *node)
{
    int64_t axes[RML_MAX_RANK];
    const rml_operand out = rml_emit_out(e, node, 0), x = rml_emit_unshaped(e, node, 0);
    const int count = axes_of(e, node, axes);
    if (rml_shape_equal(&x.shape, &out.shape) || count == 0) {
        rml_emit_view(e, node, 0, x);
        return;
    }
    rml_emit_op op =
        rml_emit_begin(e, node->op == RML_OP_UNSQUEEZE ? "expand_dims" : "squeeze", out);
    rml_emit_value(&op, "x", rml_emit_in(e, node, 0));
    rml_emit_ints(&op, "axes", axes, count);
    rml_emit_end(&op);
}

// ---- order --------------------------------------------------------------------------------------

static void emit_transpose(rml_emitter *e, const rml_node *node)
{
    const rml_operand x = rml_emit_in(e, node, 0);
    int perm[RML_MAX_RANK];
    for (int i = 0; i < x.shape.rank; i++)
        perm[i] = rml_transpose_axis(&node->attr.transpose, x.shape.rank, i);
    rml_emit_transpose(e, x, perm, rml_emit_out(e, node, 0));
}

static const char *rows_lack(int opset, const rml_graph *graph, const rml_node *node)
{
    rml_fact out;
    (void)opset;
    return infer(graph, node, &out) && unknown_sizes(&out.shape) <= 1
               ? NULL
               : "several sizes of its output are not known before a run";
}

// A row a pixel: [N,C,h,w] to [N,h*w,C].
static void emit_pixels_to_rows(rml_emitter *e, const rml_node *node)
{
    static const int perm[] = {0, 2, 1};
    const rml_operand out = rml_emit_out(e, node, 0), x = rml_emit_in(e, node, 0);
    const rml_shape planes = {3, {out.shape.dim[0], out.shape.dim[2], out.shape.dim[1]}};
    rml_emit_transpose(e, rml_emit_reshape(e, x, rml_emit_part(e, &out, "planes", &planes)), perm,
                       out);
}

static void emit_rows_to_pixels(rml_emitter *e, const rml_node *node)
{
    static const int perm[] = {0, 2, 1};
    const rml_operand out = rml_emit_out(e, node, 0), x = rml_emit_in(e, node, 0);
    const rml_shape planes = {3, {x.shape.dim[0], x.shape.dim[2], x.shape.dim[1]}};
    rml_emit_reshape(e, rml_emit_transpose(e, x, perm, rml_emit_part(e, &out, "planes", &planes)),
                     out);
}

// ---- squares of pixels and channels -------------------------------------------------------------

static const char *shuffle_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    const rml_shape *x = rml_emit_shape(graph, node->in[0]);
    rml_fact out;
    (void)opset;
    return infer(graph, node, &out) && rml_shape_known(x) && rml_shape_known(&out.shape)
               ? NULL
               : "the size of its image is not known before a run";
}

static rml_operand shuffle(rml_emitter *e, const char *type, rml_operand x, int64_t block,
                           rml_operand out)
{
    rml_emit_op op = rml_emit_begin(e, type, out);
    rml_emit_value(&op, "x", x);
    if (strcmp(type, "pixel_shuffle") == 0)
        rml_emit_int(&op, "upscale_factor", block);
    else if (strcmp(type, "pixel_unshuffle") == 0)
        rml_emit_natural(&op, "downscale_factor", (uint32_t)block);
    else
        rml_emit_int(&op, "block_size", block);
    return rml_emit_end(&op);
}

// Channels as (outer, inner) become (inner, outer).
static rml_operand turn_channels(rml_emitter *e, rml_operand x, int64_t outer, rml_operand out)
{
    static const int perm[] = {0, 2, 1, 3, 4};
    const int64_t *d = x.shape.dim, inner = d[1] / outer;
    const rml_shape split = {5, {d[0], outer, inner, d[2], d[3]}},
                    turned = {5, {d[0], inner, outer, d[2], d[3]}};
    x = rml_emit_reshape(e, x, rml_emit_part(e, &out, "split", &split));
    x = rml_emit_transpose(e, x, perm, rml_emit_part(e, &out, "turned", &turned));
    return rml_emit_reshape(e, x, out);
}

// Blocks that hang over the edge repeat the last row and column.
static void emit_to_depth(rml_emitter *e, const rml_node *node)
{
    const int64_t block = node->attr.shuffle.block;
    const rml_operand out = rml_emit_out(e, node, 0);
    rml_operand x = rml_emit_in(e, node, 0);
    const int64_t missing[] = {out.shape.dim[2] * block - x.shape.dim[2],
                               out.shape.dim[3] * block - x.shape.dim[3]};
    if (missing[0] || missing[1]) {
        const rml_shape whole = {
            4,
            {x.shape.dim[0], x.shape.dim[1], out.shape.dim[2] * block, out.shape.dim[3] * block}};
        rml_emit_op op = rml_emit_begin(e, "pad", rml_emit_part(e, &out, "whole", &whole));
        rml_emit_value(&op, "x", x);
        rml_emit_ints(&op, "pad", (const int64_t[]){0, 0, 0, 0, 0, missing[0], 0, missing[1]}, 8);
        rml_emit_text(&op, "mode", "replicate");
        rml_emit_real(&op, "constant_val", 0);
        x = rml_emit_end(&op);
    }
    if (node->attr.shuffle.pixels_first) {
        shuffle(e, "space_to_depth", x, block, out);
    } else if (e->opset >= RML_EMIT_UNSHUFFLE_OPSET) {
        rml_emit_need(e, RML_EMIT_UNSHUFFLE_OPSET);
        shuffle(e, "pixel_unshuffle", x, block, out);
    } else {
        x = shuffle(e, "space_to_depth", x, block, rml_emit_part(e, &out, "depth", &out.shape));
        turn_channels(e, x, block * block, out);
    }
}

static void emit_to_space(rml_emitter *e, const rml_node *node)
{
    const int64_t block = node->attr.shuffle.block;
    const rml_operand out = rml_emit_out(e, node, 0), x = rml_emit_in(e, node, 0);
    rml_shape whole = out.shape;
    for (int i = 2; i < 4; i++)
        whole.dim[i] = x.shape.dim[i] * block;
    const bool cut = !rml_shape_equal(&whole, &out.shape);
    const rml_operand to = cut ? rml_emit_part(e, &out, "whole", &whole) : out;
    shuffle(e, node->attr.shuffle.pixels_first ? "depth_to_space" : "pixel_shuffle", x, block, to);
    if (!cut)
        return;
    rml_emit_op op = rml_emit_begin(e, "crop", out);
    rml_emit_value(&op, "x", to);
    rml_emit_ints(&op, "crop_height", (const int64_t[]){0, whole.dim[2] - out.shape.dim[2]}, 2);
    rml_emit_ints(&op, "crop_width", (const int64_t[]){0, whole.dim[3] - out.shape.dim[3]}, 2);
    rml_emit_end(&op);
}

// ---- repetition ---------------------------------------------------------------------------------

rml_operand rml_emit_spread(rml_emitter *e, rml_operand x, rml_operand out)
{
    const int new_dims = out.shape.rank - x.shape.rank;
    int64_t reps[RML_MAX_RANK];
    bool repeats = false;
    rml_shape same = {.rank = out.shape.rank};
    for (int i = 0; i < out.shape.rank; i++) {
        same.dim[i] = i < new_dims ? 1 : x.shape.dim[i - new_dims];
        reps[i] = same.dim[i] == out.shape.dim[i] ? 1 : out.shape.dim[i];
        repeats = repeats || reps[i] != 1;
    }
    if (new_dims > 0)
        x = rml_emit_reshape(e, x, repeats ? rml_emit_part(e, &out, "dims", &same) : out);
    if (!repeats)
        return new_dims > 0 ? x : rml_emit_unary(e, "identity", x, out);
    rml_emit_op op = rml_emit_begin(e, "tile", out);
    rml_emit_value(&op, "x", x);
    rml_emit_ints(&op, "reps", reps, out.shape.rank);
    return rml_emit_end(&op);
}

// One number, repeated to sizes of the run.
static bool fills(const rml_graph *graph, const rml_node *node, const rml_fact *out)
{
    size_t count = 0;
    return rml_input_given(node, 2) && !rml_emit_constant(graph, node, 2) && out->shape.rank > 0 &&
           graph->values[node->in[2]].shape.dim[0] == out->shape.rank && out->dtype != RML_BOOL &&
           rml_shape_count(rml_emit_shape(graph, node->in[0]), &count) && count == 1;
}

static const char *expand_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    const rml_shape *x = rml_emit_shape(graph, node->in[0]);
    rml_fact out;
    (void)opset;
    if (!infer(graph, node, &out) || out.shape.rank < 0)
        return "the size of its output is not known before a run";
    const int new_dims = out.shape.rank - x->rank;
    for (int i = 0; i < out.shape.rank && !fills(graph, node, &out); i++)
        if (out.shape.dim[i] < 0 && (i < new_dims || x->dim[i - new_dims] >= 0))
            return "the size of its output is not known before a run";
    return NULL;
}

static void emit_expand(rml_emitter *e, const rml_node *node)
{
    const rml_operand to = rml_emit_out(e, node, 0);
    const rml_fact fact = {.dtype = e->graph->values[node->out].dtype, .shape = to.shape};
    if (!rml_shape_known(&to.shape) && fills(e->graph, node, &fact)) {
        const rml_operand ones = rml_emit_part(e, &to, "ones", &to.shape);
        rml_emit_op op = rml_emit_begin(e, "fill", ones);
        rml_emit_value(&op, "shape", rml_emit_in(e, node, 2));
        rml_emit_value(&op, "value",
                       rml_emit_number(e, rml_emit_joined(e, ones.name, "value_0"), 1, to.dtype));
        rml_emit_binary(e, "mul", rml_emit_end(&op), rml_emit_in(e, node, 0), to);
        return;
    }
    rml_emit_spread(e, rml_emit_in(e, node, 0), rml_emit_out(e, node, 0));
}

static void emit_tile(rml_emitter *e, const rml_node *node)
{
    rml_emit_op op = rml_emit_begin(e, "tile", rml_emit_out(e, node, 0));
    rml_emit_value(&op, "x", rml_emit_in(e, node, 0));
    rml_emit_value(&op, "reps", rml_emit_in(e, node, 1));
    rml_emit_end(&op);
}

// ---- sizes as values ----------------------------------------------------------------------------

static void emit_shape(rml_emitter *e, const rml_node *node)
{
    rml_emit_unary(e, "shape", rml_emit_in(e, node, 0), rml_emit_out(e, node, 0));
}

const rml_emit_row rml_emit_shapes[] = {
    {RML_OP_RESHAPE, reshape_lacks, emit_reshape},
    {RML_OP_FLATTEN, reshape_lacks, emit_reshape},
    {RML_OP_SQUEEZE, axes_lack, emit_axes},
    {RML_OP_UNSQUEEZE, axes_lack, emit_axes},
    {RML_OP_TRANSPOSE, NULL, emit_transpose},
    {RML_OP_PIXELS_TO_ROWS, rows_lack, emit_pixels_to_rows},
    {RML_OP_ROWS_TO_PIXELS, rows_lack, emit_rows_to_pixels},
    {RML_OP_SPACE_TO_DEPTH, shuffle_lacks, emit_to_depth},
    {RML_OP_DEPTH_TO_SPACE, shuffle_lacks, emit_to_space},
    {RML_OP_EXPAND, expand_lacks, emit_expand},
    {RML_OP_TILE, NULL, emit_tile},
    {RML_OP_SHAPE, NULL, emit_shape},
    {0},
};
