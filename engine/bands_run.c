// Sweeps over images, band by band.
#include "engine/bands.h"
#include "engine/region.h"

#include "ops/norm/group_norm.h"

#include <string.h>

typedef struct sweep {
    const rml_plan *plan;
    const rml_graph *graph;
    const rml_stage *stage;
    char *block;
    int64_t image;
    rml_range band;
} sweep;

// ---- rows of values -----------------------------------------------------------------------------

// Rows of the image at hand, of a whole value or of the buffer of a banded one.
static rml_tensor rows_of(const sweep *at, rml_value_id id, rml_range rows)
{
    const rml_bands *bands = at->plan->bands;
    rml_tensor view = at->plan->places[id].view;
    const int64_t image = view.dim[0] > 1 && !bands->banded[id] ? at->image : 0;
    const int64_t first = bands->banded[id] ? bands->roll[id].low : 0;
    rml_tensor_advance(&view, image * view.stride[0] + (rows.low - first) * view.stride[2]);
    view.dim[0] = 1;
    view.dim[2] = rows.high - rows.low;
    return view;
}

// Moves the rows that are still read to the front of the buffer.
static void shift(const sweep *at, rml_value_id id)
{
    rml_roll *roll = &at->plan->bands->roll[id];
    const rml_range kept = {roll->keep, roll->made};
    if (roll->keep == roll->low)
        return;
    const rml_tensor from = rows_of(at, id, kept);
    roll->low = roll->keep;
    const rml_tensor to = rows_of(at, id, kept);
    const bool planes = to.stride[3] == 1 && to.dim[1] > 1;
    const size_t row = (size_t)(planes ? to.dim[3] : to.dim[3] * to.dim[1]);
    for (int64_t c = 0; c < (planes ? to.dim[1] : 1); c++)
        memmove(to.data + c * to.stride[1], from.data + c * from.stride[1],
                (size_t)(kept.high - kept.low) * row * sizeof(float));
}

// Between the rows just made, or to be made, and the caller's view.
static void stream(const sweep *at, size_t port, bool store)
{
    const rml_value_id id = rml_port_value(at->graph, port);
    rml_roll *roll = &at->plan->bands->roll[id];
    const rml_shape *shape = &at->plan->facts[id].shape;
    const rml_tensor rows = rows_of(at, id, (rml_range){roll->made, roll->goal});
    const int64_t image = shape->dim[0] > 1 ? at->image : 0;
    if (roll->goal > roll->made)
        rml_binding_copy(at->plan->bound[port], shape, image, roll->made, &rows, store,
                         at->plan->pool);
}

static void load_inputs(const sweep *at)
{
    for (size_t i = 0; i < at->graph->input_count; i++) {
        const rml_value_id id = at->graph->inputs[i];
        if (!at->plan->places[id].streamed)
            continue;
        shift(at, id);
        stream(at, i, false);
        at->plan->bands->roll[id].made = at->plan->bands->roll[id].goal;
    }
}

static void store_output(const sweep *at, rml_value_id id)
{
    for (size_t i = 0; i < at->graph->output_count; i++)
        if (at->graph->outputs[i] == id)
            stream(at, at->graph->input_count + i, true);
}

// ---- members ------------------------------------------------------------------------------------

// Takes the moments of the blocks that end in the band at hand.
static void take_moments(const sweep *at, size_t index)
{
    const rml_op_args *args = &at->plan->steps[index].args;
    const rml_value_id x = at->graph->nodes[at->plan->steps[index].node].in[0];
    const int64_t width = args->in[0].dim[3];
    const rml_range rows = rml_bands_moment_rows(width, at->band);
    const size_t first = (size_t)(at->band.low * width) / RML_NORM_BLOCK;
    const bool last = at->band.high == at->stage->rows;
    const size_t pixels = (size_t)(at->band.high * width) + (last ? RML_NORM_BLOCK - 1 : 0);
    const size_t count = pixels / RML_NORM_BLOCK - first;
    if (count == 0)
        return;
    const rml_tensor view = rows_of(at, x, rows);
    const size_t skipped = first * RML_NORM_BLOCK - (size_t)(rows.low * width);
    rml_group_norm_blocks(args, (size_t)at->image, first, count,
                          view.data + skipped * (size_t)view.dim[1]);
    if (last)
        rml_group_norm_join(args, (size_t)at->image);
}

static void compute(const sweep *at, size_t index, rml_range rows)
{
    const rml_step *step = &at->plan->steps[index];
    const rml_node *node = &at->graph->nodes[step->node];
    rml_tensor in[RML_REGION_MAX_INPUTS], out = rows_of(at, node->out, rows);
    const rml_region part = {{rows, {0, out.dim[3]}}};
    for (int k = 0; k < node->in_count; k++)
        in[k] =
            node->in[k] != RML_NO_VALUE && rml_region_cuts(at->plan, node, k, RML_ROWS)
                ? rows_of(at, node->in[k], rml_bands_input_rows(at->plan, at->graph, step, k, rows))
                : step->args.in[k];
    if (node->op == RML_OP_GROUP_NORM) // of one image, where a sweep is for several made of it
        rml_group_norm_apply(&step->args, step->args.in[0].dim[0] > 1 ? (size_t)at->image : 0,
                             in[0].data, out.data, (size_t)(out.dim[2] * out.dim[3]));
    else
        rml_region_compute(at->plan, at->graph, step, &part, in, &out,
                           at->block + at->plan->buffers[at->stage->scratch].offset);
}

// True where these are the first rows of all.
static bool run_member(const sweep *at, size_t index)
{
    const rml_value_id id = at->graph->nodes[at->plan->steps[index].node].out;
    const bool moments = at->stage->member[index] == RML_MEMBER_MOMENTS;
    rml_roll *roll = &at->plan->bands->roll[id];
    const bool first = at->image == 0 && roll->made == 0 && roll->goal > 0;
    if (!moments && at->plan->bands->banded[id])
        shift(at, id);
    if (roll->goal > roll->made && moments)
        take_moments(at, index);
    else if (roll->goal > roll->made)
        compute(at, index, (rml_range){roll->made, roll->goal});
    if (at->plan->places[id].streamed)
        store_output(at, id);
    roll->made = roll->goal;
    return first && !moments;
}

// ---- the whole ----------------------------------------------------------------------------------

static void count_time(const sweep *at, size_t index, double ms, bool first, rml_node_time *times)
{
    const rml_step *step = &at->plan->steps[index];
    rml_node_time *time = &times[step->node];
    time->total_ms += ms;
    if (first) {
        time->macs += step->macs;
        time->runs++;
    }
}

static void run_pass(const sweep *at)
{
    rml_node_time *times = at->plan->times;
    load_inputs(at);
    for (size_t i = 0; i < at->plan->step_count; i++) {
        if (at->stage->member[i] == RML_MEMBER_NONE)
            continue;
        const double start = times ? rml_clock_ms() : 0;
        const bool first = run_member(at, i);
        if (times)
            count_time(at, i, rml_clock_ms() - start, first, times);
    }
}

size_t rml_bands_count(const rml_plan *plan, const rml_stage *stage)
{
    return (size_t)stage->images * (size_t)((stage->rows + plan->band_rows - 1) / plan->band_rows);
}

rml_status rml_bands_sweep(const rml_plan *plan, const rml_graph *graph, const rml_stage *stage,
                           char *block, rml_watch *watch, rml_error *err)
{
    sweep at = {plan, graph, stage, block, 0, {0, 0}};
    for (; at.image < stage->images; at.image++) {
        rml_bands_start(plan, graph, plan->bands, stage);
        for (int64_t low = 0; low < stage->rows; low += plan->band_rows) {
            RML_TRY(rml_watch_go_on(watch, err));
            at.band = rml_bands_band(plan, stage, low);
            bool more = true;
            while (more) {
                more = rml_bands_next(plan, graph, plan->bands, stage, low);
                run_pass(&at);
            }
            rml_watch_done(watch);
        }
    }
    return RML_OK;
}
