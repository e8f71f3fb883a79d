#include "engine/crop.h"

#include "engine/bands.h"
#include "engine/region.h"
#include "ops/conv/conv.h"

static bool is_image(const rml_plan *plan, rml_value_id id)
{
    const rml_fact *fact = &plan->facts[id];
    return fact->shape.rank == 4 && fact->dtype == RML_F32 && !plan->places[id].dynamic;
}

static bool is_cut_along_any(const rml_plan *plan, const rml_node *node, int index)
{
    return rml_region_cuts(plan, node, index, RML_ROWS) ||
           rml_region_cuts(plan, node, index, RML_COLUMNS);
}

static bool inputs_fit(const rml_plan *plan, const rml_node *node)
{
    bool fit = node->out_count == 1 && node->in_count <= RML_REGION_MAX_INPUTS &&
               is_image(plan, node->out);
    for (int k = 0; fit && k < node->in_count; k++)
        fit = node->in[k] == RML_NO_VALUE
                  ? k > 0
                  : !is_cut_along_any(plan, node, k) || is_image(plan, node->in[k]);
    return fit;
}

// Whether a step can be run on a part of the rows, and of the columns.
static bool rows_fit(const rml_plan *plan, const rml_node *node)
{
    switch (node->op) {
    case RML_OP_GROUP_NORM: // its moments are those of the whole
        return false;
    case RML_OP_CONV_TRANSPOSE:
        return !node->generic && inputs_fit(plan, node) &&
               plan->graph->values[node->out].layout == RML_LAYOUT_CHANNELS_LAST;
    case RML_OP_BINARY:
        return inputs_fit(plan, node);
    default:
        return rml_bands_fit(plan, plan->graph, node, RML_NO_VALUE) && inputs_fit(plan, node);
    }
}

static bool fits(const rml_plan *plan, const rml_step *step, int axis)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    int64_t times[2];
    if (!rows_fit(plan, node))
        return false;
    if (axis == RML_COLUMNS && node->op == RML_OP_CONV) { // every column reads one that is inside
        const rml_window w = rml_conv_window(&step->args);
        return w.before[axis] < rml_window_span(&w, axis) &&
               w.after[axis] < rml_window_span(&w, axis);
    }
    if (axis == RML_COLUMNS && node->op == RML_OP_RESIZE) // no further than they are repeated
        return rml_region_repeats(plan, node, times) &&
               step->args.out[0].dim[3] <= step->args.in[0].dim[3] * times[axis];
    return true;
}

static int64_t length_of(rml_range range)
{
    return range.high - range.low;
}

static bool is_empty(const rml_region *region)
{
    return length_of(region->axis[0]) <= 0 || length_of(region->axis[1]) <= 0;
}

static rml_region whole(const rml_plan *plan, rml_value_id id)
{
    const rml_shape *shape = &plan->facts[id].shape;
    const bool image = shape->rank == 4;
    return (rml_region){{{0, image ? shape->dim[2] : 1}, {0, image ? shape->dim[3] : 1}}};
}

static bool is_whole(const rml_plan *plan, rml_value_id id)
{
    const rml_region all = whole(plan, id), *part = &plan->crop[id];
    bool same = true;
    for (int i = 0; i < RML_AXES; i++)
        same =
            same && part->axis[i].low == all.axis[i].low && part->axis[i].high == all.axis[i].high;
    return same;
}

static void want(rml_region *region, rml_region more)
{
    if (is_empty(&more))
        return;
    if (is_empty(region))
        *region = more;
    for (int i = 0; i < RML_AXES; i++) {
        rml_range *range = &region->axis[i];
        range->low = more.axis[i].low < range->low ? more.axis[i].low : range->low;
        range->high = more.axis[i].high > range->high ? more.axis[i].high : range->high;
    }
}

static void want_whole(const rml_plan *plan, rml_value_id id)
{
    if (id != RML_NO_VALUE)
        want(&plan->crop[id], whole(plan, id));
}

// Rounded outwards to what the algorithm computes together.
static void settle(const rml_plan *plan, const rml_step *step)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    const rml_region all = whole(plan, node->out);
    rml_region *region = &plan->crop[node->out];
    if (is_empty(region))
        *region = all;
    for (int axis = 0; axis < RML_AXES; axis++) {
        rml_range *range = &region->axis[axis];
        const int64_t unit = rml_region_unit(plan, node, step, axis);
        if (!fits(plan, step, axis)) {
            *range = all.axis[axis];
            continue;
        }
        range->low = range->low / unit * unit;
        range->high = (range->high + unit - 1) / unit * unit;
        if (range->high > all.axis[axis].high)
            range->high = all.axis[axis].high;
    }
}

// Of input `index`, what the region of the output reads.
static rml_region reads(const rml_plan *plan, const rml_step *step, int index)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    const rml_region *out = &plan->crop[node->out];
    rml_region in = whole(plan, node->in[index]);
    for (int axis = 0; axis < RML_AXES; axis++)
        if (rml_region_cuts(plan, node, index, axis))
            in.axis[axis] = rml_region_reads(plan, plan->graph, step, index, axis, out->axis[axis]);
    return in;
}

static void want_inputs(const rml_plan *plan, const rml_step *step)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    const bool all = node->out_count != 1 || is_whole(plan, node->out);
    for (int k = 0; k < node->in_count; k++)
        if (all)
            want_whole(plan, node->in[k]);
        else if (node->in[k] != RML_NO_VALUE)
            want(&plan->crop[node->in[k]], reads(plan, step, k));
}

rml_status rml_crop_plan(rml_plan *plan, rml_value_id output, const rml_region *region,
                         rml_error *err)
{
    const rml_graph *graph = plan->graph;
    if (plan->bands || plan->grows || plan->facts[output].shape.rank != 4)
        return RML_OK;
    if (!plan->crop)
        plan->crop = rml_arena_alloc(&plan->arena, graph->value_count, sizeof *plan->crop);
    if (!plan->crop)
        return rml_fail_nomem(err, graph->value_count * sizeof *plan->crop, "the regions wanted");
    for (rml_value_id id = 0; id < graph->value_count; id++)
        plan->crop[id] = (rml_region){0};
    for (size_t i = 0; i < graph->output_count; i++)
        if (graph->outputs[i] == output)
            want(&plan->crop[output], *region);
        else
            want_whole(plan, graph->outputs[i]);
    // Steps stand in an order in which they can run: every reader is seen before the maker.
    for (size_t i = plan->step_count; i-- > 0;) {
        const rml_step *step = &plan->steps[i];
        const rml_node *node = &graph->nodes[step->node];
        if (node->out_count == 1)
            settle(plan, step);
        for (int k = 0; node->out_count != 1 && k < node->out_count; k++)
            want_whole(plan, node->out + (rml_value_id)k);
        want_inputs(plan, step);
    }
    plan->cropped = true;
    return RML_OK;
}

static bool is_cut(const rml_plan *plan, const rml_step *step)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    return plan->cropped && node->out_count == 1 && !is_whole(plan, node->out);
}

uint64_t rml_crop_macs(const rml_plan *plan, const rml_step *step)
{
    const rml_value_id out = plan->graph->nodes[step->node].out;
    double share = 1;
    if (!is_cut(plan, step))
        return step->macs;
    const rml_region all = whole(plan, out);
    for (int i = 0; i < RML_AXES; i++)
        share *= (double)length_of(plan->crop[out].axis[i]) / (double)length_of(all.axis[i]);
    return (uint64_t)((double)step->macs * share);
}

// The same of all images.
static rml_tensor part_of(const rml_tensor *all, const rml_region *part)
{
    rml_tensor view = *all;
    for (int i = 0; i < RML_AXES; i++) {
        rml_tensor_advance(&view, part->axis[i].low * view.stride[2 + i]);
        view.dim[2 + i] = length_of(part->axis[i]);
    }
    return view;
}

bool rml_crop_run(const rml_plan *plan, const rml_step *step)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    if (!is_cut(plan, step))
        return false;
    const rml_region *part = &plan->crop[node->out];
    rml_tensor in[RML_REGION_MAX_INPUTS];
    const rml_tensor out = part_of(&step->args.out[0], part);
    for (int k = 0; k < node->in_count; k++) {
        in[k] = step->args.in[k];
        if (node->in[k] != RML_NO_VALUE && is_cut_along_any(plan, node, k)) {
            const rml_region read = reads(plan, step, k);
            in[k] = part_of(&in[k], &read);
        }
    }
    rml_region_compute(plan, plan->graph, step, part, in, &out, step->args.scratch);
    return true;
}
