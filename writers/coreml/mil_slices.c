// Cuts, joins, and longer dimensions.
#include "writers/coreml/mil.h"

#include "tensor/dtype.h"

#include <string.h>

// ---- slices -------------------------------------------------------------------------------------

static const char *slice_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    rml_cuts c;
    const rml_shape *x = rml_emit_shape(graph, node->in[0]);
    (void)opset;
    if (!rml_cuts_of(graph, node, &c))
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
    const rml_operand x = rml_emit_in(e, node, 0), out = rml_emit_out(e, node, 0);
    int64_t begin[RML_MAX_RANK], end[RML_MAX_RANK], stride[RML_MAX_RANK];
    bool open[RML_MAX_RANK], strides = false, ends = false;
    rml_cuts c;
    if (!rml_cuts_of(e->graph, node, &c))
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
    return rml_input_given(node, 1) && rml_input_list(graph, node, 1, sizes, RML_MAX_OUTPUTS) < 0
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

enum { X, PADS, VALUE }; // inputs

static const char *pad_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    const rml_shape *x = rml_emit_shape(graph, node->in[X]);
    const rml_pad_mode mode = node->attr.pad.mode;
    int64_t pads[RML_MAX_RANK][2];
    double value;
    (void)opset;
    if (mode == RML_PAD_WRAP)
        return "padding that wraps around";
    if (!rml_dtype_is_float(graph->values[node->in[X]].dtype))
        return "there is no operation for it of integers";
    if (!rml_pads_of(graph, node, pads))
        return "how much it pads is computed in the run";
    if (rml_input_given(node, VALUE) && !rml_input_number(graph, node, VALUE, &value))
        return "what it pads with is computed in the run";
    for (int i = 0; i < x->rank; i++) {
        if (pads[i][0] < 0 || pads[i][1] < 0)
            return "it cuts";
        if (mode != RML_PAD_CONSTANT && pads[i][0] + pads[i][1] > 0 && i < x->rank - 2)
            return "it repeats what is not in the last two dimensions";
    }
    return NULL;
}

static void emit_pad(rml_emitter *e, const rml_node *node)
{
    static const char *const modes[] = {"constant", "reflect", "replicate"};
    const rml_operand x = rml_emit_in(e, node, X);
    int64_t pads[RML_MAX_RANK][2] = {{0}};
    double value = 0;
    if (!rml_pads_of(e->graph, node, pads))
        return;
    if (rml_input_given(node, VALUE))
        rml_input_number(e->graph, node, VALUE, &value);
    rml_emit_op op = rml_emit_begin(e, "pad", rml_emit_out(e, node, 0));
    rml_emit_value(&op, "x", x);
    rml_emit_ints(&op, "pad", pads[0], 2 * x.shape.rank);
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
