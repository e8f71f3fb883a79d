#include "engine/region.h"

#include "ops/conv/conv.h"
#include "ops/elementwise/nd_iterator.h"
#include "ops/image/resize.h"

// ---- what is read -----------------------------------------------------------------------------

bool rml_region_repeats(const rml_plan *plan, const rml_node *node, int64_t times[2])
{
    rml_fact in[RML_REGION_MAX_INPUTS];
    for (int k = 0; k < node->in_count && k < RML_REGION_MAX_INPUTS; k++)
        in[k] =
            node->in[k] == RML_NO_VALUE ? (rml_fact){.shape.rank = -1} : plan->facts[node->in[k]];
    return node->in_count <= RML_REGION_MAX_INPUTS &&
           rml_resize_repeats(&node->attr.resize, in, node->in_count, times);
}

static bool as_large(const rml_plan *plan, rml_value_id in, rml_value_id out, int axis)
{
    const rml_shape *shape = &plan->facts[in].shape;
    return shape->rank == 4 && shape->dim[2 + axis] == plan->facts[out].shape.dim[2 + axis];
}

bool rml_region_cuts(const rml_plan *plan, const rml_node *node, int index, int axis)
{
    switch (node->op) {
    case RML_OP_CONV:
    case RML_OP_CONV_TRANSPOSE:
        return index == 0 || index == 3;
    case RML_OP_CONCAT:
        return true;
    case RML_OP_BINARY: // what has one row, or none, is the same for all
        return as_large(plan, node->in[index], node->out, axis);
    case RML_OP_EXPAND:
        return index == 0 && as_large(plan, node->in[0], node->out, axis);
    default:
        return index == 0;
    }
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

rml_range rml_region_reads(const rml_plan *plan, const rml_graph *graph, const rml_step *step,
                           int index, int axis, rml_range out)
{
    const rml_node *node = &graph->nodes[step->node];
    const int64_t size = step->args.in[index].dim[2 + axis];
    int64_t times[2], low = out.low, high = out.high;
    if (node->op == RML_OP_RESIZE && rml_region_repeats(plan, node, times)) {
        low = out.low / times[axis];
        high = (out.high - 1) / times[axis] + 1;
    } else if (node->op == RML_OP_SPACE_TO_DEPTH) {
        low = out.low * node->attr.shuffle.block;
        high = out.high * node->attr.shuffle.block;
    } else if (node->op == RML_OP_DEPTH_TO_SPACE) {
        low = out.low / node->attr.shuffle.block;
        high = (out.high - 1) / node->attr.shuffle.block + 1;
    } else if (node->op == RML_OP_CONV && index == 0) {
        const rml_window w = rml_conv_window(&step->args);
        low = out.low * w.stride[axis] - w.before[axis];
        high = (out.high - 1) * w.stride[axis] - w.before[axis] + rml_window_span(&w, axis);
    } else if (node->op == RML_OP_CONV_TRANSPOSE && index == 0) {
        const rml_window w = rml_conv_transpose_window(&step->args);
        const int64_t reach = out.low + w.before[axis] - rml_window_span(&w, axis);
        low = reach < 0 ? 0 : reach / w.stride[axis] + 1;
        low = smaller(low, out.low / w.stride[axis]); // so that no padding is negative
        high = (out.high - 1 + w.before[axis]) / w.stride[axis] + 1;
    }
    return (rml_range){low > 0 ? low : 0, smaller(high, size)};
}

int64_t rml_region_unit(const rml_plan *plan, const rml_node *node, const rml_step *step, int axis)
{
    int64_t times[2], unit = step->algorithm->unit[axis] ? step->algorithm->unit[axis] : 1;
    if (node->op == RML_OP_RESIZE && rml_region_repeats(plan, node, times))
        return times[axis];
    if (node->op == RML_OP_DEPTH_TO_SPACE)
        return node->attr.shuffle.block;
    if (node->op == RML_OP_CONV_TRANSPOSE && unit == 1) // its phases
        return rml_conv_transpose_window(&step->args).stride[axis];
    return unit;
}

// ---- running ----------------------------------------------------------------------------------

void rml_region_compute(const rml_plan *plan, const rml_graph *graph, const rml_step *step,
                        const rml_region *part, const rml_tensor *in, const rml_tensor *out,
                        char *scratch)
{
    const rml_node *node = &graph->nodes[step->node];
    rml_op_attr attr = *step->args.attr;
    rml_op_args args = step->args;
    int64_t times[2];
    args.attr = &attr;
    args.in = in;
    args.out = out;
    args.scratch = scratch;
    switch (node->op) {
    case RML_OP_PAD: // of nothing
    case RML_OP_SLICE:
        rml_copy_view(&args, &in[0], out);
        return;
    case RML_OP_CONV: { // padded only where the image ends
        rml_window w = rml_conv_window(&step->args);
        for (int axis = 0; axis < RML_AXES; axis++) {
            const rml_range range = part->axis[axis];
            const int64_t size = step->args.in[0].dim[2 + axis];
            const int64_t low = range.low * w.stride[axis] - w.before[axis];
            const int64_t high =
                (range.high - 1) * w.stride[axis] - w.before[axis] + rml_window_span(&w, axis);
            w.before[axis] = low < 0 ? -low : 0;
            w.after[axis] = high > size ? high - size : 0;
        }
        attr.conv.window = rml_window_explicit(&w);
        break;
    }
    case RML_OP_CONV_TRANSPOSE: { // the sizes are those of the views
        rml_window w = rml_conv_transpose_window(&step->args);
        for (int axis = 0; axis < RML_AXES; axis++) {
            const rml_range range = part->axis[axis];
            const rml_range read = rml_region_reads(plan, graph, step, 0, axis, range);
            w.before[axis] += range.low - read.low * w.stride[axis];
            w.after[axis] = 0;
        }
        attr.conv.window = rml_window_explicit(&w);
        break;
    }
    case RML_OP_RESIZE:
        rml_region_repeats(plan, node, times);
        attr.resize = rml_resize_twice();
        for (int i = 0; i < 2; i++)
            attr.resize.scale[i] = (double)times[i];
        args.in_count = 1; // what else there is, speaks of the whole image
        break;
    default:
        break;
    }
    step->algorithm->run(&args);
}
