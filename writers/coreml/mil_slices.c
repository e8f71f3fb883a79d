// Cuts, joins, and longer dimensions.
#include "writers/coreml/mil.h"

#include "tensor/dtype.h"

#include <string.h>

// ---- slices -------------------------------------------------------------------------------------

enum { X, START, STOP, AXIS, STEP }; // inputs of a slice

typedef struct cuts {
    int count;
    int64_t start[RML_MAX_RANK], stop[RML_MAX_RANK], axis[RML_MAX_RANK], step[RML_MAX_RANK];
} cuts;

static bool cuts_of(const rml_graph *graph, const rml_node *node, cuts *c)
{
    const rml_slice_attr *attr = &node->attr.slice;
    *c = (cuts){1, {attr->start}, {attr->stop}, {attr->axis}, {attr->step}};
    const int rank = rml_emit_shape(graph, node->in[X])->rank;
    if (node->in_count > 1) {
        c->count = rml_emit_known(graph, node, START, c->start, RML_MAX_RANK);
        if (rml_emit_known(graph, node, STOP, c->stop, RML_MAX_RANK) != c->count || c->count < 0)
            return false;
        for (int i = 0; i < c->count; i++) {
            c->axis[i] = i;
            c->step[i] = 1;
        }
        if ((rml_emit_given(node, AXIS) &&
             rml_emit_known(graph, node, AXIS, c->axis, RML_MAX_RANK) != c->count) ||
            (rml_emit_given(node, STEP) &&
             rml_emit_known(graph, node, STEP, c->step, RML_MAX_RANK) != c->count))
            return false;
    }
    for (int i = 0; i < c->count; i++)
        c->axis[i] = rml_emit_axis(c->axis[i], rank);
    return true;
}

static const char *slice_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    cuts c;
    const rml_shape *x = rml_emit_shape(graph, node->in[X]);
    (void)opset;
    if (!cuts_of(graph, node, &c))
        return "where it cuts is computed in the run";
    for (int i = 0; i < c.count; i++)
        if (x->dim[c.axis[i]] < 0 && c.step[i] < 0)
            return "it goes backwards along a size that is not known before a run";
    return NULL;
}

static int64_t clamped(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

typedef struct along {
    int64_t begin, end, stride;
    bool begin_open, end_open;
} along;

// As the operation has it; what is not cut is open.
static along cut_axis(int64_t size, int64_t start, int64_t stop, int64_t step)
{
    along a = {start, stop, step, false, false};
    if (size < 0) {
        a.begin = clamped(start, -INT32_MAX, INT32_MAX);
        a.end = clamped(stop, -INT32_MAX, INT32_MAX);
        a.end_open = stop >= INT32_MAX;
        return a;
    }
    const int64_t last = step < 0 ? size - 1 : size;
    a.begin = clamped(start < 0 ? start + size : start, 0, last);
    a.end = clamped(stop < 0 ? stop + size : stop, step < 0 ? -1 : 0, last);
    a.end_open = a.end == (step < 0 ? -1 : size);
    if (step < 0 && a.end_open)
        a.end = 0;
    a.stride = clamped(step, -INT32_MAX, INT32_MAX);
    return a;
}

static void emit_slice(rml_emitter *e, const rml_node *node)
{
    const rml_operand x = rml_emit_in(e, node, X), out = rml_emit_out(e, node, 0);
    int64_t begin[RML_MAX_RANK], end[RML_MAX_RANK], stride[RML_MAX_RANK];
    bool open[RML_MAX_RANK], strides = false, ends = false;
    cuts c;
    if (!cuts_of(e->graph, node, &c))
        return;
    for (int i = 0; i < x.shape.rank; i++) {
        begin[i] = 0;
        end[i] = x.shape.dim[i] < 0 ? 0 : x.shape.dim[i];
        stride[i] = 1;
        open[i] = true;
    }
    for (int i = 0; i < c.count; i++) {
        const int at = (int)c.axis[i];
        const along a = cut_axis(x.shape.dim[at], c.start[i], c.stop[i], c.step[i]);
        begin[at] = a.begin;
        end[at] = a.end;
        stride[at] = a.stride;
        open[at] = a.end_open;
        strides = strides || a.stride != 1;
    }
    for (int i = 0; i < x.shape.rank; i++)
        ends = ends || open[i];
    rml_emit_op op = rml_emit_begin(e, "slice_by_index", out);
    rml_emit_value(&op, "x", x);
    rml_emit_ints(&op, "begin", begin, x.shape.rank);
    rml_emit_ints(&op, "end", end, x.shape.rank);
    if (strides)
        rml_emit_ints(&op, "stride", stride, x.shape.rank);
    if (ends)
        rml_emit_flags(&op, "end_mask", open, x.shape.rank);
    rml_emit_end(&op);
}

// ---- joins and parts ----------------------------------------------------------------------------

static void emit_concat(rml_emitter *e, const rml_node *node)
{
    const rml_operand out = rml_emit_out(e, node, 0);
    rml_operand *values = rml_emit_alloc(e, (size_t)node->in_count, sizeof *values);
    for (int i = 0; i < node->in_count && values; i++)
        values[i] = rml_emit_in(e, node, i);
    if (!values)
        return;
    rml_emit_op op = rml_emit_begin(e, "concat", out);
    rml_emit_tuple(&op, "values", values, node->in_count);
    rml_emit_int(&op, "axis", rml_emit_axis(node->attr.concat.axis, out.shape.rank));
    rml_emit_flag(&op, "interleave", false);
    rml_emit_end(&op);
}

static const char *split_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    const rml_shape *x = rml_emit_shape(graph, node->in[0]);
    int64_t sizes[RML_MAX_OUTPUTS];
    (void)opset;
    if (x->dim[rml_emit_axis(node->attr.split.axis, x->rank)] < 0)
        return "the size that it splits is not known before a run";
    return rml_emit_given(node, 1) && rml_emit_known(graph, node, 1, sizes, RML_MAX_OUTPUTS) < 0
               ? "the sizes of its parts are computed in the run"
               : NULL;
}

static void emit_split(rml_emitter *e, const rml_node *node)
{
    const rml_operand x = rml_emit_in(e, node, 0);
    const int axis = rml_emit_axis(node->attr.split.axis, x.shape.rank);
    int64_t sizes[RML_MAX_OUTPUTS];
    rml_emit_op op = rml_emit_begin(e, "split", rml_emit_out(e, node, 0));
    for (int i = 0; i < node->out_count; i++) {
        sizes[i] = rml_emit_out(e, node, i).shape.dim[axis];
        if (i)
            rml_emit_also(&op, rml_emit_out(e, node, i));
    }
    rml_emit_value(&op, "x", x);
    rml_emit_ints(&op, "split_sizes", sizes, node->out_count);
    rml_emit_int(&op, "axis", axis);
    rml_emit_end(&op);
}

// ---- padding ------------------------------------------------------------------------------------

enum { PADS = 1, VALUE, AXES };

// Two numbers for each dimension; false where they are computed in the run.
static bool pads_of(const rml_graph *graph, const rml_node *node, int64_t *pairs)
{
    int64_t list[2 * RML_MAX_RANK], axes[RML_MAX_RANK];
    const int rank = rml_emit_shape(graph, node->in[X])->rank;
    const int count = rml_emit_known(graph, node, PADS, list, 2 * RML_MAX_RANK);
    memset(pairs, 0, 2 * RML_MAX_RANK * sizeof *pairs);
    for (int i = 0; i < RML_MAX_RANK; i++)
        axes[i] = i;
    if (count < 0 || (rml_emit_given(node, AXES) &&
                      rml_emit_known(graph, node, AXES, axes, RML_MAX_RANK) != count / 2))
        return false;
    for (int i = 0; i < count / 2; i++) {
        const int at = rml_emit_axis(axes[i], rank);
        pairs[2 * at] = list[i];
        pairs[2 * at + 1] = list[count / 2 + i];
    }
    return true;
}

static const char *pad_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    const rml_shape *x = rml_emit_shape(graph, node->in[X]);
    const rml_pad_mode mode = node->attr.pad.mode;
    int64_t pairs[2 * RML_MAX_RANK];
    double value;
    (void)opset;
    if (mode == RML_PAD_WRAP)
        return "padding that wraps around";
    if (!rml_dtype_is_float(graph->values[node->in[X]].dtype))
        return "there is no operation for it of integers";
    if (!pads_of(graph, node, pairs))
        return "how much it pads is computed in the run";
    if (rml_emit_given(node, VALUE) && !rml_emit_known_number(graph, node, VALUE, &value))
        return "what it pads with is computed in the run";
    for (int i = 0; i < 2 * x->rank; i++) {
        if (pairs[i] < 0)
            return "it cuts";
        const bool spatial = i >= 2 * (x->rank - 2);
        if (mode != RML_PAD_CONSTANT && pairs[i] > 0 && !spatial)
            return "it repeats what is not in the last two dimensions";
    }
    return NULL;
}

static void emit_pad(rml_emitter *e, const rml_node *node)
{
    static const char *const modes[] = {"constant", "reflect", "replicate"};
    const rml_operand x = rml_emit_in(e, node, X);
    int64_t pairs[2 * RML_MAX_RANK];
    double value = 0;
    if (!pads_of(e->graph, node, pairs))
        return;
    if (rml_emit_given(node, VALUE))
        rml_emit_known_number(e->graph, node, VALUE, &value);
    rml_emit_op op = rml_emit_begin(e, "pad", rml_emit_out(e, node, 0));
    rml_emit_value(&op, "x", x);
    rml_emit_ints(&op, "pad", pairs, 2 * x.shape.rank);
    rml_emit_text(&op, "mode", modes[node->attr.pad.mode]);
    rml_emit_real(&op, "constant_val", node->attr.pad.mode == RML_PAD_CONSTANT ? value : 0);
    rml_emit_end(&op);
}

const rml_emit_row rml_emit_slices[] = {
    {RML_OP_SLICE, slice_lacks, emit_slice},
    {RML_OP_CONCAT, NULL, emit_concat},
    {RML_OP_SPLIT, split_lacks, emit_split},
    {RML_OP_PAD, pad_lacks, emit_pad},
    {0},
};
