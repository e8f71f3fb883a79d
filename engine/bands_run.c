// Sweeps over images: what each operator needs of its inputs, and how it runs on a band of them.
#include "engine/bands.h"

#include "ops/conv/conv.h"
#include "ops/image/resize.h"
#include "ops/norm/group_norm.h"

#include <math.h>

#define MAX_INPUTS 5 // of a node that fits

// ---- which nodes, which rows ------------------------------------------------------------------

static bool conv_fits(const rml_plan *plan, const rml_graph *graph, const rml_node *node)
{
    rml_window w;
    // so that every row reads a row that is inside
    return !node->generic &&
           rml_window_make(&node->attr.conv.window, &plan->facts[node->in[0]].shape,
                           &graph->values[node->in[1]].shape.dim[2], &w, NULL) == RML_OK &&
           w.before[0] < rml_window_span(&w, 0) && w.after[0] < rml_window_span(&w, 0);
}

// How often a resize repeats rows and columns; false where it does anything else.
static bool repeats(const rml_plan *plan, const rml_node *node, int64_t times[2])
{
    rml_fact in[MAX_INPUTS];
    for (int k = 0; k < node->in_count; k++)
        in[k] =
            node->in[k] == RML_NO_VALUE ? (rml_fact){.shape.rank = -1} : plan->facts[node->in[k]];
    return rml_resize_repeats(&node->attr.resize, in, node->in_count, times) &&
           times[0] <= RML_BAND_ROWS;
}

static bool is_image(const rml_plan *plan, const rml_graph *graph, rml_value_id id)
{
    return id != RML_NO_VALUE && plan->facts[id].shape.rank == 4 && !plan->places[id].dynamic &&
           plan->facts[id].dtype == RML_F32 && graph->values[id].layout == RML_LAYOUT_CHANNELS_LAST;
}

// Inputs that are cut into bands, as bits.
static unsigned images_of(const rml_node *node)
{
    switch (node->op) {
    case RML_OP_CONV:
        return 1 | (node->in_count > 3 && node->in[3] != RML_NO_VALUE ? 8 : 0);
    case RML_OP_BINARY:
        return 3;
    default:
        return 1;
    }
}

bool rml_bands_fit(const rml_plan *plan, const rml_graph *graph, const rml_node *node)
{
    bool fits = node->in_count <= MAX_INPUTS && node->out_count == 1 &&
                is_image(plan, graph, node->out) &&
                plan->facts[node->out].shape.dim[2] >= 2 * plan->band_rows;
    int64_t times[2];
    switch (node->op) {
    case RML_OP_CONV:
        fits = fits && conv_fits(plan, graph, node);
        break;
    case RML_OP_RESIZE:
        fits = fits && !node->generic && repeats(plan, node, times);
        break;
    case RML_OP_GROUP_NORM:
        // one channel lies in memory as planes do, whose blocks are others
        fits = fits && (node->in_count < 4 || node->in[3] == RML_NO_VALUE) &&
               plan->facts[node->out].shape.dim[1] > 1;
        break;
    case RML_OP_BINARY:
        fits = fits &&
               rml_shape_equal(&plan->facts[node->in[0]].shape, &plan->facts[node->in[1]].shape);
        break;
    case RML_OP_UNARY:
        break;
    default:
        return false;
    }
    for (int k = 0; fits && k < node->in_count; k++) // what only a run tells is whole
        fits = images_of(node) & (1u << k)
                   ? is_image(plan, graph, node->in[k])
                   : node->in[k] == RML_NO_VALUE || !plan->places[node->in[k]].dynamic;
    return fits;
}

// Rows that rows `out` of a convolution's output read, those of the padding included.
static rml_rows window_rows(const rml_window *w, rml_rows out)
{
    return (rml_rows){out.low * w->stride[0] - w->before[0],
                      (out.high - 1) * w->stride[0] - w->before[0] + rml_window_span(w, 0)};
}

// The rows of the step's input `index` that rows `out` of its output need; inside the input.
static rml_rows input_rows(const rml_plan *plan, const rml_node *node, const rml_step *step,
                           int index, rml_rows out)
{
    int64_t times[2];
    const int64_t height = step->args.in[index].dim[2];
    if (node->op == RML_OP_RESIZE && repeats(plan, node, times))
        return (rml_rows){out.low / times[0], (out.high - 1) / times[0] + 1};
    if (node->op != RML_OP_CONV || index != 0)
        return out;
    const rml_window w = rml_conv_window(&step->args);
    const rml_rows window = window_rows(&w, out);
    return (rml_rows){window.low > 0 ? window.low : 0, window.high < height ? window.high : height};
}

static void need_rows(rml_rows *need, rml_rows more)
{
    if (need->low >= need->high)
        *need = more;
    need->low = more.low < need->low ? more.low : need->low;
    need->high = more.high > need->high ? more.high : need->high;
}

// Rows of a norm's input that hold the blocks which end in `band`: one that straddles the edge
// begins above it.
static rml_rows moment_rows(int64_t width, rml_rows band)
{
    const int64_t first = band.low * width / RML_NORM_BLOCK * RML_NORM_BLOCK;
    return (rml_rows){width > 0 ? first / width : band.low, band.high};
}

// What is computed together with rows `out`, of an image of `height` rows.
static rml_rows whole_units(const rml_plan *plan, const rml_node *node, const rml_step *step,
                            int64_t height, rml_rows out)
{
    int64_t times[2];
    const int64_t unit = node->op == RML_OP_RESIZE && repeats(plan, node, times) ? times[0]
                         : step->algorithm->row_unit ? step->algorithm->row_unit
                                                     : 1;
    const int64_t high = (out.high + unit - 1) / unit * unit;
    return (rml_rows){out.low - out.low % unit, high < height ? high : height};
}

static rml_rows band_of(const rml_plan *plan, const rml_stage *stage, int64_t low)
{
    const int64_t high = low + plan->band_rows;
    return (rml_rows){low, high < stage->rows ? high : stage->rows};
}

void rml_bands_need(const rml_plan *plan, const rml_graph *graph, const rml_bands *bands,
                    const rml_stage *stage, int64_t low)
{
    const rml_rows band = band_of(plan, stage, low);
    for (size_t i = 0; i < plan->step_count; i++)
        if (stage->member[i])
            bands->need[graph->nodes[plan->steps[i].node].out] = (rml_rows){0, 0};
    for (size_t i = plan->step_count; i-- > 0;) {
        const rml_step *step = &plan->steps[i];
        const rml_node *node = &graph->nodes[step->node];
        const bool moments = stage->member[i] == RML_MEMBER_MOMENTS;
        rml_rows *out = &bands->need[node->out];
        if (stage->member[i] == RML_MEMBER_NONE)
            continue;
        if (!moments && !bands->banded[node->out])
            *out = band;
        if (!moments)
            *out = whole_units(plan, node, step, step->args.out[0].dim[2], *out);
        for (int k = 0; k < (moments ? 1 : node->in_count); k++)
            if (node->in[k] != RML_NO_VALUE && bands->banded[node->in[k]])
                need_rows(&bands->need[node->in[k]],
                          moments ? moment_rows(step->args.in[0].dim[3], band)
                                  : input_rows(plan, node, step, k, *out));
    }
}

// ---- running ----------------------------------------------------------------------------------

typedef struct sweep {
    const rml_plan *plan;
    const rml_graph *graph;
    const rml_stage *stage;
    char *block;
    int64_t image;
    rml_rows band;
} sweep;

// Rows of the image at hand, of a whole value or of the band of a banded one.
static rml_tensor rows_of(const sweep *at, rml_value_id id, rml_rows rows)
{
    const rml_bands *bands = at->plan->bands;
    rml_tensor view = at->plan->places[id].view;
    const bool banded = bands->banded[id];
    const int64_t first = banded ? bands->need[id].low : 0;
    rml_tensor_advance(&view, (banded ? 0 : at->image * view.stride[0]) +
                                  (rows.low - first) * view.stride[2]);
    view.dim[0] = 1;
    view.dim[2] = rows.high - rows.low;
    return view;
}

// Takes the moments of the blocks that end in the band at hand.
static void take_moments(const sweep *at, size_t index)
{
    const rml_op_args *args = &at->plan->steps[index].args;
    const rml_value_id x = at->graph->nodes[at->plan->steps[index].node].in[0];
    const int64_t width = args->in[0].dim[3];
    const rml_rows rows = moment_rows(width, at->band);
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

static void normalise(const sweep *at, size_t index, rml_rows rows)
{
    const rml_step *step = &at->plan->steps[index];
    const rml_node *node = &at->graph->nodes[step->node];
    const rml_tensor in = rows_of(at, node->in[0], rows), out = rows_of(at, node->out, rows);
    rml_group_norm_apply(&step->args, (size_t)at->image, in.data, out.data,
                         (size_t)(in.dim[2] * in.dim[3]));
}

static void compute(const sweep *at, size_t index)
{
    const rml_step *step = &at->plan->steps[index];
    const rml_node *node = &at->graph->nodes[step->node];
    const rml_rows rows = at->plan->bands->need[node->out];
    if (node->op == RML_OP_GROUP_NORM) {
        normalise(at, index, rows);
        return;
    }
    rml_tensor in[MAX_INPUTS], out = rows_of(at, node->out, rows);
    rml_op_attr attr = *step->args.attr;
    rml_op_args args = step->args;
    int64_t times[2];
    for (int k = 0; k < node->in_count; k++)
        in[k] = images_of(node) & (1u << k)
                    ? rows_of(at, node->in[k], input_rows(at->plan, node, step, k, rows))
                    : step->args.in[k];
    if (node->op == RML_OP_CONV) {
        rml_window w = rml_conv_window(&step->args);
        const rml_rows window = window_rows(&w, rows);
        const rml_rows inside = input_rows(at->plan, node, step, 0, rows);
        w.before[0] = inside.low - window.low;
        w.after[0] = window.high - inside.high;
        attr.conv.window = rml_window_explicit(&w);
    }
    if (node->op == RML_OP_RESIZE && repeats(at->plan, node, times)) {
        attr.resize = rml_resize_twice();
        for (int i = 0; i < 2; i++)
            attr.resize.scale[i] = (double)times[i];
        args.in_count = 1; // what else there is, speaks of the whole image
    }
    args.attr = &attr;
    args.in = in;
    args.out = &out;
    args.scratch = at->block + at->plan->buffers[at->stage->scratch].offset;
    step->algorithm->run(&args);
}

static void count_time(const sweep *at, size_t index, double ms, rml_node_time *times)
{
    const rml_step *step = &at->plan->steps[index];
    rml_node_time *time = &times[step->node];
    time->total_ms += ms;
    if (at->image == 0 && at->band.low == 0 && at->stage->member[index] == RML_MEMBER_COMPUTE) {
        time->macs += step->macs;
        time->runs++;
    }
}

size_t rml_bands_count(const rml_plan *plan, const rml_stage *stage)
{
    return (size_t)stage->images * (size_t)((stage->rows + plan->band_rows - 1) / plan->band_rows);
}

rml_status rml_bands_sweep(const rml_plan *plan, const rml_graph *graph, const rml_stage *stage,
                           char *block, rml_watch *watch, rml_error *err)
{
    rml_node_time *times = plan->times;
    sweep at = {plan, graph, stage, block, 0, {0, 0}};
    for (; at.image < stage->images; at.image++)
        for (int64_t low = 0; low < stage->rows; low += plan->band_rows) {
            RML_TRY(rml_watch_go_on(watch, err));
            at.band = band_of(plan, stage, low);
            rml_bands_need(plan, graph, plan->bands, stage, low);
            for (size_t i = 0; i < plan->step_count; i++) {
                if (stage->member[i] == RML_MEMBER_NONE)
                    continue;
                const double start = times ? rml_clock_ms() : 0;
                if (stage->member[i] == RML_MEMBER_MOMENTS)
                    take_moments(&at, i);
                else
                    compute(&at, i);
                if (times)
                    count_time(&at, i, rml_clock_ms() - start, times);
            }
            rml_watch_done(watch);
        }
    return RML_OK;
}
