#include "engine/bands_draft.h"
#include "engine/region.h"

#include "tensor/size.h"

#include <string.h>

#define TRIAL_BANDS 8

// ---- stages -----------------------------------------------------------------------------------

static rml_stage *add_stage(rml_draft *d, size_t steps)
{
    rml_stage *stage = &d->bands.stages[d->bands.stage_count++];
    memset(stage->member, 0, steps);
    return stage;
}

// Marks the steps that make the banded inputs of `step`, and theirs. Steps stand in an order in
// which they can run, so one pass backwards sees every reader before its maker.
static void mark_makers(const rml_chooser *at, const rml_draft *d, unsigned char *member,
                        size_t step)
{
    member[step] = member[step] == RML_MEMBER_NONE ? RML_MEMBER_COMPUTE : member[step];
    for (size_t i = step + 1; i-- > 0;) {
        if (member[i] == RML_MEMBER_NONE)
            continue;
        const rml_node *node = node_of(at, i);
        const int count = member[i] == RML_MEMBER_MOMENTS ? 1 : node->in_count;
        for (int k = 0; k < count; k++) {
            const size_t maker = is_banded(d, node->in[k]) ? d->bands.maker[node->in[k]] : NONE;
            if (maker != NONE && !member[maker])
                member[maker] = RML_MEMBER_COMPUTE;
        }
    }
}

// Whether what is marked reads something that `stage` is for: a whole value or moments.
static bool reads_from(const rml_chooser *at, const rml_draft *d, const unsigned char *member,
                       const rml_stage *stage)
{
    for (size_t i = 0; i < at->plan->step_count; i++) {
        if (member[i] == RML_MEMBER_NONE)
            continue;
        if (member[i] == RML_MEMBER_COMPUTE && stage->member[i] == RML_MEMBER_MOMENTS)
            return true;
        const rml_node *node = node_of(at, i);
        for (int k = 0; k < node->in_count; k++) {
            const rml_value_id id = node->in[k];
            const size_t maker = id == RML_NO_VALUE ? NONE : d->bands.maker[id];
            if (maker != NONE && !d->bands.banded[id] && stage->member[maker])
                return true;
        }
    }
    return false;
}

static void add_to_sweep(const rml_chooser *at, rml_draft *d, size_t step, rml_member kind,
                         unsigned char *marks)
{
    const rml_node *node = node_of(at, step);
    const rml_shape *shape =
        &at->plan->facts[kind == RML_MEMBER_MOMENTS ? node->in[0] : node->out].shape;
    const size_t steps = at->plan->step_count;
    memset(marks, 0, steps);
    marks[step] = (unsigned char)kind;
    mark_makers(at, d, marks, step);
    rml_stage *stage = d->bands.stage_count ? &d->bands.stages[d->bands.stage_count - 1] : NULL;
    if (!stage || !stage->sweep || stage->rows != shape->dim[2] || stage->images != shape->dim[0] ||
        reads_from(at, d, marks, stage)) {
        stage = add_stage(d, steps);
        stage->sweep = true;
        stage->images = shape->dim[0];
        stage->rows = shape->dim[2];
    }
    for (size_t i = 0; i < steps; i++)
        if (marks[i])
            stage->member[i] = marks[i];
}

static void make_stages(const rml_chooser *at, rml_draft *d, unsigned char *marks)
{
    d->bands.stage_count = 0;
    for (size_t i = 0; i < at->plan->step_count; i++) {
        const rml_node *node = node_of(at, i);
        const bool target = rml_bands_is_target(&d->bands, at->graph, node->out);
        bool sweep = d->bands.banded[node->out];
        for (int k = 0; k < node->in_count; k++)
            sweep = sweep || is_banded(d, node->in[k]);
        if (d->bands.banded[node->out] && node->op == RML_OP_GROUP_NORM)
            add_to_sweep(at, d, i, RML_MEMBER_MOMENTS, marks);
        if (target && sweep) {
            add_to_sweep(at, d, i, RML_MEMBER_COMPUTE, marks);
        } else if (target) {
            rml_stage *stage = add_stage(d, at->plan->step_count);
            stage->sweep = false;
            stage->step = i;
            stage->member[i] = RML_MEMBER_COMPUTE;
        }
    }
}

// ---- what it takes ----------------------------------------------------------------------------

static void use(rml_draft *d, size_t buffer, size_t stage)
{
    if (buffer == NONE)
        return;
    d->first[buffer] = stage < d->first[buffer] ? stage : d->first[buffer];
    d->last[buffer] = stage > d->last[buffer] ? stage : d->last[buffer];
}

static size_t buffer_of(const rml_chooser *at, const rml_draft *d, rml_value_id id)
{
    return id == RML_NO_VALUE ? NONE : at->plan->places[d->shares[id]].buffer;
}

// A convolution of images may write over what it adds, when nothing else reads that from then on:
// it reads each pixel just before it writes it. Generic ones add at the end.
static bool adds_in_place(const rml_chooser *at, const rml_draft *d, const rml_stage *stage,
                          size_t step)
{
    const rml_node *node = node_of(at, step);
    const rml_value_id added = node->in_count > 3 ? node->in[3] : RML_NO_VALUE;
    if (node->op != RML_OP_CONV || node->generic || at->plan->steps[step].dynamic ||
        added == RML_NO_VALUE || d->bands.banded[added] || d->bands.banded[node->out] ||
        rml_graph_is_output(at->graph, node->out) || rml_graph_is_output(at->graph, added) ||
        at->graph->values[added].kind != RML_VALUE_ACTIVATION || at->plan->places[added].constant)
        return false;
    for (const rml_stage *s = stage; s < d->bands.stages + d->bands.stage_count; s++)
        for (size_t i = 0; i < at->plan->step_count; i++) {
            const rml_node *reader = node_of(at, i);
            for (int k = 0; s->member[i] && k < reader->in_count; k++)
                if (reader->in[k] == added && !(s == stage && i == step && k == 3))
                    return false;
        }
    return true;
}

static void set_lifetimes(const rml_chooser *at, rml_draft *d)
{
    const rml_plan *plan = at->plan;
    for (size_t b = 0; b < plan->buffer_count; b++) {
        d->first[b] = NONE;
        d->last[b] = 0;
    }
    for (rml_value_id id = 0; id < at->graph->value_count; id++)
        d->shares[id] = id;
    d->macs = 0;
    for (size_t s = 0; s < d->bands.stage_count; s++) {
        const rml_stage *stage = &d->bands.stages[s];
        for (size_t i = 0; i < plan->step_count; i++) {
            const rml_node *node = node_of(at, i);
            if (stage->member[i] == RML_MEMBER_NONE)
                continue;
            const bool banded = d->bands.banded[node->out];
            // a banded norm keeps its moments from the sweep that takes them to the last use
            const bool keeps = node->op == RML_OP_GROUP_NORM || !stage->sweep;
            use(d, keeps ? plan->scratch[i] : at->scratch + s, s);
            if (stage->member[i] == RML_MEMBER_COMPUTE) {
                d->macs += plan->steps[i].macs;
                if (!banded && adds_in_place(at, d, stage, i))
                    d->shares[node->out] = d->shares[node->in[3]];
                for (int k = 0; k < node->out_count; k++)
                    use(d, buffer_of(at, d, node->out + (rml_value_id)k), s);
            }
            for (int k = 0; k < node->in_count; k++)
                use(d, buffer_of(at, d, node->in[k]), s);
        }
    }
    // Inputs and outputs belong to the caller between runs, but for those that are streamed.
    for (size_t i = 0; i < at->graph->input_count + at->graph->output_count; i++) {
        const rml_value_id id = rml_port_value(plan->graph, i);
        if (d->bands.banded[id])
            continue;
        use(d, buffer_of(at, d, id), 0);
        use(d, buffer_of(at, d, id), d->bands.stage_count);
    }
}

// Bytes of the buffer that a sweep's members use in turn, for bands of no more rows than these.
static size_t band_scratch(const rml_chooser *at, size_t step, int64_t in_rows, int64_t out_rows)
{
    const rml_step *of = &at->plan->steps[step];
    const size_t whole = at->whole[at->plan->scratch[step]];
    if (node_of(at, step)->op != RML_OP_CONV)
        return whole;
    rml_tensor in[RML_REGION_MAX_INPUTS], out = of->args.out[0];
    rml_op_args args = of->args;
    memcpy(in, of->args.in, (size_t)args.in_count * sizeof *in);
    in[0].dim[0] = out.dim[0] = 1;
    in[0].dim[2] = in_rows;
    out.dim[2] = out_rows;
    args.in = in;
    args.out = &out;
    return rml_min_size(whole, of->algorithm->scratch_bytes(&args));
}

static int64_t most(int64_t height, const rml_roll *roll)
{
    return roll->goal - roll->keep > height ? roll->goal - roll->keep : height;
}

// What the pass at hand takes of each buffer.
static void size_band(const rml_chooser *at, rml_draft *d, const rml_stage *stage, int64_t *height)
{
    for (size_t i = 0; i < at->plan->step_count; i++) {
        const rml_node *node = node_of(at, i);
        rml_roll *roll = &d->bands.roll[node->out];
        if (stage->member[i] == RML_MEMBER_MOMENTS)
            roll->made = roll->goal;
        if (stage->member[i] != RML_MEMBER_COMPUTE)
            continue;
        if (at->plan->scratch[i] != NONE && node->op != RML_OP_GROUP_NORM &&
            roll->goal > roll->made) {
            const rml_range rows = rml_bands_input_rows(at->plan, at->graph, &at->plan->steps[i], 0,
                                                        (rml_range){roll->made, roll->goal});
            const size_t bytes = band_scratch(at, i, rows.high - rows.low, roll->goal - roll->made);
            if (bytes > d->bytes[stage->scratch])
                d->bytes[stage->scratch] = bytes;
        }
        height[node->out] = most(height[node->out], roll);
        roll->made = roll->goal;
    }
    for (size_t i = 0; i < at->graph->input_count; i++) {
        const rml_value_id id = at->graph->inputs[i];
        rml_roll *roll = &d->bands.roll[id];
        height[id] = most(height[id], roll);
        roll->made = roll->goal;
    }
}

// The most rows that the buffer of each banded value holds, and scratch of sweeps. In a trial the
// first bands tell enough.
static void size_sweeps(const rml_chooser *at, rml_draft *d, int64_t *height, bool trial)
{
    memset(height, 0, at->graph->value_count * sizeof *height);
    for (size_t s = 0; s < d->bands.stage_count; s++) {
        const rml_stage *stage = &d->bands.stages[s];
        const int64_t stop = trial ? TRIAL_BANDS * at->plan->band_rows : INT64_MAX;
        if (!stage->sweep)
            continue;
        rml_bands_start(at->plan, at->graph, &d->bands, stage);
        for (int64_t low = 0; low < stage->rows && low < stop; low += at->plan->band_rows) {
            bool more = true;
            while (more) {
                more = rml_bands_next(at->plan, at->graph, &d->bands, stage, low);
                size_band(at, d, stage, height);
                d->work += at->plan->step_count;
            }
        }
    }
}

rml_shape rml_bands_shape(const rml_chooser *at, rml_value_id id, int64_t rows)
{
    const rml_shape *shape = &at->plan->facts[id].shape;
    return (rml_shape){4, {1, shape->dim[1], rows, shape->dim[3]}};
}

static rml_status set_sizes(const rml_chooser *at, rml_draft *d, int64_t *height, bool trial,
                            rml_error *err)
{
    const rml_plan *plan = at->plan;
    for (size_t b = 0; b < plan->buffer_count; b++)
        d->bytes[b] = d->first[b] == NONE || b >= at->scratch ? 0 : at->whole[b];
    size_sweeps(at, d, height, trial);
    for (rml_value_id id = 0; id < at->graph->value_count; id++) {
        size_t count;
        if (!d->bands.banded[id])
            continue;
        const rml_shape band = rml_bands_shape(at, id, height[id]);
        if (!rml_shape_count(&band, &count)) // less than the whole, which was counted
            return rml_fail(err, RML_ERR_INTERNAL, "a band is larger than its image");
        d->bytes[plan->places[id].buffer] = count * sizeof(float);
    }
    d->excess = 0;
    for (size_t s = 0; s < d->bands.stage_count; s++) {
        size_t alive = 0;
        for (size_t b = 0; b < plan->buffer_count; b++)
            if (d->bytes[b] && d->first[b] <= s && s <= d->last[b])
                alive += d->bytes[b];
        d->excess += alive > at->limit ? alive - at->limit : 0;
    }
    return RML_OK;
}

rml_status rml_bands_judge(const rml_chooser *at, rml_draft *d, unsigned char *marks,
                           int64_t *height, bool trial, rml_error *err)
{
    make_stages(at, d, marks);
    set_lifetimes(at, d);
    d->work += (uint64_t)d->bands.stage_count * at->plan->step_count;
    return set_sizes(at, d, height, trial, err);
}
