#include "engine/crop.h"

#include "engine/bands.h"
#include "ops/conv/conv.h"

// Where less than one row in so many is left out, images one by one cost more than is saved.
#define LEAST_SHARE 8

static bool is_image(const rml_plan *plan, rml_value_id id)
{
    const rml_fact *fact = &plan->facts[id];
    return fact->shape.rank == 4 && fact->dtype == RML_F32 && !plan->places[id].dynamic;
}

static bool inputs_fit(const rml_plan *plan, const rml_node *node)
{
    bool fit =
        node->out_count == 1 && node->in_count <= RML_BANDS_MAX_INPUTS && is_image(plan, node->out);
    for (int k = 0; fit && k < node->in_count; k++)
        fit = node->in[k] == RML_NO_VALUE
                  ? k > 0
                  : !rml_bands_cuts(plan, node, k) || is_image(plan, node->in[k]);
    return fit;
}

static bool fits(const rml_plan *plan, const rml_step *step)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    switch (node->op) {
    case RML_OP_GROUP_NORM: // its moments are those of the whole
        return false;
    case RML_OP_CONV_TRANSPOSE:
        return !node->generic && inputs_fit(plan, node) &&
               plan->graph->values[node->out].layout == RML_LAYOUT_CHANNELS_LAST;
    case RML_OP_BINARY:
        return inputs_fit(plan, node);
    default:
        return rml_bands_fit(plan, plan->graph, node, RML_NO_VALUE);
    }
}

static rml_rows whole(const rml_plan *plan, rml_value_id id)
{
    const rml_shape *shape = &plan->facts[id].shape;
    return (rml_rows){0, shape->rank == 4 ? shape->dim[2] : 1};
}

static void want(rml_rows *rows, rml_rows more)
{
    if (more.low >= more.high)
        return;
    if (rows->low >= rows->high)
        *rows = more;
    rows->low = more.low < rows->low ? more.low : rows->low;
    rows->high = more.high > rows->high ? more.high : rows->high;
}

// Rounded outwards to what the algorithm computes together; all, where little would be left out.
static void settle(const rml_plan *plan, const rml_step *step)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    const rml_rows all = whole(plan, node->out);
    rml_rows *rows = &plan->crop[node->out];
    const int64_t unit = fits(plan, step) ? rml_bands_unit(plan, node, step) : all.high;
    rows->low = rows->low / unit * unit;
    rows->high = (rows->high + unit - 1) / unit * unit;
    rows->high = rows->high < all.high ? rows->high : all.high;
    if (rows->low >= rows->high || (all.high - (rows->high - rows->low)) * LEAST_SHARE < all.high)
        *rows = all;
}

static bool is_whole(const rml_plan *plan, rml_value_id id)
{
    const rml_rows all = whole(plan, id), rows = plan->crop[id];
    return rows.low == all.low && rows.high == all.high;
}

static void want_inputs(const rml_plan *plan, const rml_step *step)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    const bool all = is_whole(plan, node->out);
    for (int k = 0; k < node->in_count; k++)
        if (node->in[k] != RML_NO_VALUE)
            want(&plan->crop[node->in[k]],
                 !all && rml_bands_cuts(plan, node, k)
                     ? rml_bands_input_rows(plan, plan->graph, step, k, plan->crop[node->out])
                     : whole(plan, node->in[k]));
}

rml_status rml_crop_plan(rml_plan *plan, rml_value_id output, rml_rows rows, rml_error *err)
{
    const rml_graph *graph = plan->graph;
    if (plan->bands || plan->grows || plan->facts[output].shape.rank != 4)
        return RML_OK;
    if (!plan->crop)
        plan->crop = rml_arena_alloc(&plan->arena, graph->value_count, sizeof *plan->crop);
    if (!plan->crop)
        return rml_fail_nomem(err, graph->value_count * sizeof *plan->crop, "the rows wanted");
    for (rml_value_id id = 0; id < graph->value_count; id++)
        plan->crop[id] = (rml_rows){0, 0};
    for (size_t i = 0; i < graph->output_count; i++)
        want(&plan->crop[graph->outputs[i]],
             graph->outputs[i] == output ? rows : whole(plan, graph->outputs[i]));
    // Steps stand in an order in which they can run: every reader is seen before the maker.
    for (size_t i = plan->step_count; i-- > 0;) {
        const rml_step *step = &plan->steps[i];
        const rml_node *node = &graph->nodes[step->node];
        if (node->out_count != 1) {
            for (int k = 0; k < node->out_count; k++)
                plan->crop[node->out + (rml_value_id)k] = whole(plan, node->out + (rml_value_id)k);
            for (int k = 0; k < node->in_count; k++)
                if (node->in[k] != RML_NO_VALUE)
                    want(&plan->crop[node->in[k]], whole(plan, node->in[k]));
            continue;
        }
        settle(plan, step);
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
    if (!is_cut(plan, step))
        return step->macs;
    const rml_rows all = whole(plan, out), rows = plan->crop[out];
    return step->macs / (uint64_t)all.high * (uint64_t)(rows.high - rows.low);
}

static rml_tensor rows_of(const rml_tensor *all, int64_t image, rml_rows rows)
{
    rml_tensor view = *all;
    rml_tensor_advance(&view,
                       (view.dim[0] > 1 ? image : 0) * view.stride[0] + rows.low * view.stride[2]);
    view.dim[0] = 1;
    view.dim[2] = rows.high - rows.low;
    return view;
}

bool rml_crop_run(const rml_plan *plan, const rml_step *step)
{
    const rml_graph *graph = plan->graph;
    const rml_node *node = &graph->nodes[step->node];
    if (!is_cut(plan, step))
        return false;
    const rml_rows rows = plan->crop[node->out];
    rml_tensor in[RML_BANDS_MAX_INPUTS];
    for (int64_t image = 0; image < step->args.out[0].dim[0]; image++) {
        const rml_tensor out = rows_of(&step->args.out[0], image, rows);
        for (int k = 0; k < node->in_count; k++)
            if (node->in[k] != RML_NO_VALUE && rml_bands_cuts(plan, node, k))
                in[k] = rows_of(&step->args.in[k], image,
                                rml_bands_input_rows(plan, graph, step, k, rows));
        rml_bands_compute(plan, graph, step, rows, in, &out, step->args.scratch);
    }
    return true;
}
