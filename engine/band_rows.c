// Bands: which nodes can be computed in them, and the rows that each value needs.
#include "engine/bands.h"
#include "engine/region.h"

#include "ops/conv/conv.h"
#include "ops/norm/group_norm.h"

// ---- which nodes ------------------------------------------------------------------------------

static bool is_image(const rml_plan *plan, rml_value_id id)
{
    return id != RML_NO_VALUE && plan->facts[id].shape.rank == 4 && !plan->places[id].dynamic &&
           plan->facts[id].dtype == RML_F32;
}

static int64_t height_of(const rml_plan *plan, rml_value_id id)
{
    return plan->facts[id].shape.dim[2];
}

static bool is_f32(const rml_plan *plan, const rml_node *node)
{
    for (int k = 0; k < node->in_count; k++)
        if (node->in[k] != RML_NO_VALUE && plan->facts[node->in[k]].dtype != RML_F32)
            return false;
    return true;
}

static bool conv_fits(const rml_plan *plan, const rml_graph *graph, const rml_node *node)
{
    rml_window w;
    // so that every row reads a row that is inside
    return !node->generic &&
           rml_window_make(&node->attr.conv.window, &plan->facts[node->in[0]].shape,
                           &graph->values[node->in[1]].shape.dim[2], &w, NULL) == RML_OK &&
           w.before[0] < rml_window_span(&w, 0) && w.after[0] < rml_window_span(&w, 0);
}

// A pad or slice of nothing, as exporters write for sides that are even.
static bool changes_nothing(const rml_plan *plan, const rml_node *node)
{
    const rml_fact *x = &plan->facts[node->in[0]];
    bool same = rml_shape_equal(&x->shape, &plan->facts[node->out].shape) &&
                (node->op == RML_OP_PAD || node->in_count > 1 || node->attr.slice.step == 1);
    for (int k = 1; k < node->in_count && same; k++) {
        const rml_fact *list = node->in[k] == RML_NO_VALUE ? NULL : &plan->facts[node->in[k]];
        const bool pads = node->op == RML_OP_PAD && k == 1,
                   steps = node->op == RML_OP_SLICE && k == 4;
        size_t count = 0;
        if (!list || !(pads || steps))
            continue;
        same = list->data && list->dtype == RML_I64 && rml_shape_count(&list->shape, &count);
        for (size_t i = 0; i < count && same; i++)
            same = ((const int64_t *)list->data)[i] == (pads ? 0 : 1);
    }
    return same;
}

static bool reads_shape_only(const rml_node *node, int index)
{
    return index == 1 && (node->op == RML_OP_DEPTH_TO_SPACE || node->op == RML_OP_EXPAND);
}

// Whether the operator's own conditions hold; its inputs and output are looked at elsewhere.
static bool op_fits(const rml_plan *plan, const rml_graph *graph, const rml_node *node)
{
    const rml_shape *out = &plan->facts[node->out].shape;
    const bool pixels = graph->values[node->out].layout == RML_LAYOUT_CHANNELS_LAST;
    int64_t times[2];
    switch (node->op) {
    case RML_OP_CONV:
        return pixels && conv_fits(plan, graph, node);
    case RML_OP_RESIZE:
        // no further than its rows go, where another image gives the size
        return pixels && !node->generic && rml_region_repeats(plan, node, times) &&
               times[0] <= RML_BAND_MOST && out->dim[2] <= height_of(plan, node->in[0]) * times[0];
    case RML_OP_GROUP_NORM:
        // one channel lies in memory as planes do, whose blocks are others
        return pixels && (node->in_count < 4 || node->in[3] == RML_NO_VALUE) && out->dim[1] > 1 &&
               is_f32(plan, node);
    case RML_OP_BINARY:
        return rml_shape_equal(&plan->facts[node->in[0]].shape, &plan->facts[node->in[1]].shape);
    case RML_OP_CONCAT:
        return node->attr.concat.axis == 1 || node->attr.concat.axis == -3;
    case RML_OP_PAD:
    case RML_OP_SLICE:
        return changes_nothing(plan, node);
    case RML_OP_EXPAND: // what is not cut is the same for all images
        return rml_region_cuts(plan, node, 0, RML_ROWS) ||
               plan->facts[node->in[0]].shape.rank < 4 ||
               plan->facts[node->in[0]].shape.dim[0] == 1;
    case RML_OP_UNARY:
    case RML_OP_SPACE_TO_DEPTH:
    case RML_OP_DEPTH_TO_SPACE:
    case RML_OP_LAYOUT_TRANSFORM:
        return true;
    default:
        return false;
    }
}

bool rml_bands_fit(const rml_plan *plan, const rml_graph *graph, const rml_node *node,
                   rml_value_id id)
{
    bool fits = node->out_count == 1 && node->in_count <= RML_REGION_MAX_INPUTS &&
                is_image(plan, node->out) && height_of(plan, node->out) >= plan->band_rows &&
                op_fits(plan, graph, node);
    for (int k = 0; fits && k < node->in_count; k++) {
        const rml_value_id in = node->in[k];
        if (in == RML_NO_VALUE)
            fits = k > 0;
        else if (rml_region_cuts(plan, node, k, RML_ROWS))
            fits = is_image(plan, in);
        else // what only a run tells is whole
            fits = !plan->places[in].dynamic && (in != id || reads_shape_only(node, k));
    }
    return fits;
}

bool rml_bands_is_target(const rml_bands *bands, const rml_graph *graph, rml_value_id id)
{
    return !bands->banded[id] || rml_graph_is_output(graph, id);
}

// ---- which rows -------------------------------------------------------------------------------

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

rml_range rml_bands_input_rows(const rml_plan *plan, const rml_graph *graph, const rml_step *step,
                               int index, rml_range out)
{
    return rml_region_cuts(plan, &graph->nodes[step->node], index, RML_ROWS)
               ? rml_region_reads(plan, graph, step, index, RML_ROWS, out)
               : (rml_range){0, 0};
}

// One that straddles the band's upper edge begins above it.
rml_range rml_bands_moment_rows(int64_t width, rml_range band)
{
    const int64_t first = band.low * width / RML_NORM_BLOCK * RML_NORM_BLOCK;
    return (rml_range){width > 0 ? first / width : band.low, band.high};
}

rml_range rml_bands_band(const rml_plan *plan, const rml_stage *stage, int64_t low)
{
    const int64_t high = low + plan->band_rows;
    return (rml_range){low, high < stage->rows ? high : stage->rows};
}

// To a multiple of `unit`, or `most`.
static int64_t round_up(int64_t rows, int64_t unit, int64_t most)
{
    return smaller((rows + unit - 1) / unit * unit, most);
}

static void want(rml_roll *roll, rml_range rows, bool now)
{
    roll->keep = rows.low < roll->keep ? rows.low : roll->keep;
    roll->goal = now && rows.high > roll->goal ? rows.high : roll->goal;
}

void rml_bands_start(const rml_plan *plan, const rml_graph *graph, const rml_bands *bands,
                     const rml_stage *stage)
{
    for (size_t i = 0; i < graph->input_count; i++)
        bands->roll[graph->inputs[i]] = (rml_roll){0};
    for (size_t i = 0; i < plan->step_count; i++)
        if (stage->member[i])
            bands->roll[graph->nodes[plan->steps[i].node].out] = (rml_roll){0};
}

// What the band needs in all of what its members read and make, and of that what is kept.
static void set_goals(const rml_plan *plan, const rml_graph *graph, const rml_bands *bands,
                      const rml_stage *stage, rml_range band)
{
    for (size_t i = plan->step_count; i-- > 0;) {
        const rml_step *step = &plan->steps[i];
        const rml_node *node = &graph->nodes[step->node];
        rml_roll *out = &bands->roll[node->out];
        if (stage->member[i] == RML_MEMBER_MOMENTS) {
            out->goal = band.high; // of the moments taken
            if (bands->banded[node->in[0]] && out->made < stage->rows)
                want(&bands->roll[node->in[0]],
                     rml_bands_moment_rows(step->args.in[0].dim[3],
                                           (rml_range){out->made, band.high}),
                     out->made < band.high);
        }
        if (stage->member[i] != RML_MEMBER_COMPUTE)
            continue;
        const int64_t height = step->args.out[0].dim[2];
        if (rml_bands_is_target(bands, graph, node->out) && band.high > out->goal)
            out->goal = band.high;
        out->goal = round_up(out->goal, rml_region_unit(plan, node, step, RML_ROWS), height);
        // Where nothing is made now, what the next row reads is kept all the same.
        const bool now = out->goal > out->made;
        const rml_range rows = {out->made, now ? out->goal : out->made + 1};
        for (int k = 0; k < node->in_count && out->made < height; k++)
            if (node->in[k] != RML_NO_VALUE && bands->banded[node->in[k]] &&
                rml_region_cuts(plan, node, k, RML_ROWS))
                want(&bands->roll[node->in[k]], rml_bands_input_rows(plan, graph, step, k, rows),
                     now);
    }
}

// No more rows at once than a band has of a value: the first band has to fill all buffers, and does
// so in several passes that none of them has to be larger for.
static int64_t share_of(const rml_plan *plan, const rml_stage *stage, int64_t height, int64_t unit)
{
    const int64_t rows = (height * plan->band_rows + stage->rows - 1) / stage->rows;
    return round_up(rows, unit, height);
}

static bool has_rows(const rml_plan *plan, const rml_graph *graph, const rml_bands *bands,
                     const rml_step *step, rml_range rows)
{
    const rml_node *node = &graph->nodes[step->node];
    for (int k = 0; k < node->in_count; k++)
        if (node->in[k] != RML_NO_VALUE && bands->banded[node->in[k]] &&
            rml_bands_input_rows(plan, graph, step, k, rows).high > bands->roll[node->in[k]].goal)
            return false;
    return true;
}

bool rml_bands_next(const rml_plan *plan, const rml_graph *graph, const rml_bands *bands,
                    const rml_stage *stage, int64_t low)
{
    const rml_range band = rml_bands_band(plan, stage, low);
    bool last = true;
    for (size_t i = 0; i < graph->input_count; i++)
        bands->roll[graph->inputs[i]].keep = bands->roll[graph->inputs[i]].goal =
            bands->roll[graph->inputs[i]].made;
    for (size_t i = 0; i < plan->step_count; i++) {
        rml_roll *roll = &bands->roll[graph->nodes[plan->steps[i].node].out];
        if (stage->member[i])
            roll->keep = roll->goal = roll->made;
    }
    set_goals(plan, graph, bands, stage, band);
    for (size_t i = 0; i < graph->input_count; i++) {
        const rml_value_id id = graph->inputs[i];
        rml_roll *roll = &bands->roll[id];
        if (roll->goal > roll->made)
            roll->goal = smaller(
                roll->goal, roll->made + share_of(plan, stage, plan->facts[id].shape.dim[2], 1));
    }
    for (size_t i = 0; i < plan->step_count; i++) {
        const rml_step *step = &plan->steps[i];
        const rml_node *node = &graph->nodes[step->node];
        rml_roll *out = &bands->roll[node->out];
        const bool moments = stage->member[i] == RML_MEMBER_MOMENTS;
        if (!stage->member[i] || out->goal <= out->made)
            continue;
        const int64_t goal = out->goal,
                      unit = moments ? goal : rml_region_unit(plan, node, step, RML_ROWS);
        if (!moments)
            out->goal =
                smaller(goal, out->made + share_of(plan, stage, step->args.out[0].dim[2], unit));
        while (out->goal > out->made &&
               (moments ? bands->banded[node->in[0]] && bands->roll[node->in[0]].goal < goal
                        : !has_rows(plan, graph, bands, step, (rml_range){out->made, out->goal})))
            out->goal = moments ? out->made : (out->goal - 1) / unit * unit;
        last = last &&
               (out->goal == goal || !(moments || rml_bands_is_target(bands, graph, node->out)));
    }
    return !last;
}
