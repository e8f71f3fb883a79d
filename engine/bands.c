#include "engine/bands.h"

#include "tensor/size.h"

#include <string.h>

#define NONE SIZE_MAX
#define ROUNDS 8       // of making up for gaps between buffers ...
#define ROUND_SHARE 16 // ... by this part of the limit at least

// One way to do it, and what it takes.
typedef struct draft {
    rml_bands bands;
    size_t *first, *last; // stages, of each buffer of the plan
    size_t *bytes;        // of each buffer
    rml_value_id *shares; // value whose buffer this one's is, for each value
    uint64_t macs;
    size_t excess; // bytes over the limit, of all stages together
} draft;

typedef struct chooser {
    rml_plan *plan;
    const rml_graph *graph;
    size_t limit;
    size_t scratch; // first buffer of sweeps' scratch, one a stage
    size_t *whole;  // bytes of each buffer in a plan without bands
} chooser;

static bool is_banded(const draft *d, rml_value_id id)
{
    return id != RML_NO_VALUE && d->bands.banded[id];
}

static const rml_node *node_of(const chooser *at, size_t step)
{
    return &at->graph->nodes[at->plan->steps[step].node];
}

// ---- stages -----------------------------------------------------------------------------------

static rml_stage *add_stage(draft *d, size_t steps)
{
    rml_stage *stage = &d->bands.stages[d->bands.stage_count++];
    memset(stage->member, 0, steps);
    return stage;
}

// Marks the steps that make the banded inputs of `step`, and theirs. Steps stand in an order in
// which they can run, so one pass backwards sees every reader before its maker.
static void mark_makers(const chooser *at, const draft *d, unsigned char *member, size_t step)
{
    member[step] = member[step] == RML_MEMBER_NONE ? RML_MEMBER_COMPUTE : member[step];
    for (size_t i = step + 1; i-- > 0;) {
        if (member[i] == RML_MEMBER_NONE)
            continue;
        const rml_node *node = node_of(at, i);
        const int count = member[i] == RML_MEMBER_MOMENTS ? 1 : node->in_count;
        for (int k = 0; k < count; k++)
            if (is_banded(d, node->in[k]) && !member[d->bands.maker[node->in[k]]])
                member[d->bands.maker[node->in[k]]] = RML_MEMBER_COMPUTE;
    }
}

// Whether what is marked reads something that `stage` is for: a whole value or moments.
static bool reads_from(const chooser *at, const draft *d, const unsigned char *member,
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

static void add_to_sweep(const chooser *at, draft *d, size_t step, rml_member kind,
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

static void make_stages(const chooser *at, draft *d, unsigned char *marks)
{
    d->bands.stage_count = 0;
    for (size_t i = 0; i < at->plan->step_count; i++) {
        const rml_node *node = node_of(at, i);
        bool sweep = false;
        for (int k = 0; k < node->in_count; k++)
            sweep = sweep || is_banded(d, node->in[k]);
        if (d->bands.banded[node->out]) {
            if (node->op == RML_OP_GROUP_NORM)
                add_to_sweep(at, d, i, RML_MEMBER_MOMENTS, marks);
        } else if (sweep) {
            add_to_sweep(at, d, i, RML_MEMBER_COMPUTE, marks);
        } else {
            rml_stage *stage = add_stage(d, at->plan->step_count);
            stage->sweep = false;
            stage->step = i;
            stage->member[i] = RML_MEMBER_COMPUTE;
        }
    }
}

// ---- what it takes ----------------------------------------------------------------------------

static void use(draft *d, size_t buffer, size_t stage)
{
    if (buffer == NONE)
        return;
    d->first[buffer] = stage < d->first[buffer] ? stage : d->first[buffer];
    d->last[buffer] = stage > d->last[buffer] ? stage : d->last[buffer];
}

static size_t buffer_of(const chooser *at, const draft *d, rml_value_id id)
{
    return id == RML_NO_VALUE ? NONE : at->plan->places[d->shares[id]].buffer;
}

// A convolution may write over what it adds, when nothing else reads that from then on: it reads
// each pixel just before it writes it.
static bool adds_in_place(const chooser *at, const draft *d, const rml_stage *stage, size_t step)
{
    const rml_node *node = node_of(at, step);
    const rml_value_id added = node->in_count > 3 ? node->in[3] : RML_NO_VALUE;
    if (node->op != RML_OP_CONV || added == RML_NO_VALUE || d->bands.banded[added] ||
        d->bands.banded[node->out] || rml_graph_is_output(at->graph, node->out) ||
        rml_graph_is_output(at->graph, added) ||
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

static void set_lifetimes(const chooser *at, draft *d)
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
    // Inputs and outputs belong to the caller between runs.
    for (size_t i = 0; i < at->graph->input_count; i++) {
        use(d, buffer_of(at, d, at->graph->inputs[i]), 0);
        use(d, buffer_of(at, d, at->graph->inputs[i]), d->bands.stage_count);
    }
    for (size_t i = 0; i < at->graph->output_count; i++) {
        use(d, buffer_of(at, d, at->graph->outputs[i]), 0);
        use(d, buffer_of(at, d, at->graph->outputs[i]), d->bands.stage_count);
    }
}

// Rows of each banded value that a band of some stage needs at most, in bands.need[].high.
static void find_heights(const chooser *at, const draft *d, int64_t *height)
{
    memset(height, 0, at->graph->value_count * sizeof *height);
    for (size_t s = 0; s < d->bands.stage_count; s++) {
        const rml_stage *stage = &d->bands.stages[s];
        for (int64_t low = 0; stage->sweep && low < stage->rows; low += at->plan->band_rows) {
            rml_bands_need(at->plan, at->graph, &d->bands, stage, low);
            for (size_t i = 0; i < at->plan->step_count; i++) {
                const rml_value_id id = node_of(at, i)->out;
                const rml_rows rows = d->bands.need[id];
                if (stage->member[i] == RML_MEMBER_COMPUTE && rows.high - rows.low > height[id])
                    height[id] = rows.high - rows.low;
            }
        }
    }
}

static size_t largest_scratch(const chooser *at, const rml_stage *stage)
{
    size_t most = 0;
    for (size_t i = 0; i < at->plan->step_count; i++) {
        const size_t buffer = at->plan->scratch[i];
        if (stage->member[i] == RML_MEMBER_COMPUTE && buffer != NONE &&
            node_of(at, i)->op != RML_OP_GROUP_NORM && at->whole[buffer] > most)
            most = at->whole[buffer];
    }
    return most;
}

static rml_status set_sizes(const chooser *at, draft *d, int64_t *height, rml_error *err)
{
    const rml_plan *plan = at->plan;
    for (size_t b = 0; b < plan->buffer_count; b++)
        d->bytes[b] = d->first[b] == NONE ? 0 : at->whole[b];
    find_heights(at, d, height);
    for (rml_value_id id = 0; id < at->graph->value_count; id++) {
        const rml_shape *shape = &plan->facts[id].shape;
        if (!d->bands.banded[id])
            continue;
        const rml_shape band = {4, {1, shape->dim[1], height[id], shape->dim[3]}};
        size_t count;
        if (!rml_shape_count(&band, &count)) // less than the whole, which was counted
            return rml_fail(err, RML_ERR_INTERNAL, "a band is larger than its image");
        d->bytes[plan->places[id].buffer] = count * sizeof(float);
    }
    for (size_t s = 0; s < d->bands.stage_count; s++)
        if (d->first[at->scratch + s] != NONE)
            d->bytes[at->scratch + s] = largest_scratch(at, &d->bands.stages[s]);
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

// ---- choosing ---------------------------------------------------------------------------------

typedef struct room {
    draft draft;
    unsigned char *marks;
    int64_t *height;
    bool *kept; // banded, before a trial
} room;

static rml_status judge(const chooser *at, room *r, rml_error *err)
{
    make_stages(at, &r->draft, r->marks);
    set_lifetimes(at, &r->draft);
    return set_sizes(at, &r->draft, r->height, err);
}

// Bands a value and, since moments are only taken of whole values or by sweeps, the norms that read
// it. False when something that reads it needs it whole.
static bool band(const chooser *at, draft *d, rml_value_id id)
{
    const rml_plan *plan = at->plan;
    const size_t maker = d->bands.maker[id];
    if (maker == NONE || rml_graph_is_output(at->graph, id) ||
        !rml_bands_fit(plan, at->graph, node_of(at, maker)))
        return false;
    d->bands.banded[id] = true;
    for (size_t i = maker + 1; i < plan->step_count; i++) {
        const rml_node *node = node_of(at, i);
        for (int k = 0; k < node->in_count; k++)
            if (node->in[k] == id && (!rml_bands_fit(plan, at->graph, node) ||
                                      (node->op == RML_OP_GROUP_NORM &&
                                       !d->bands.banded[node->out] && !band(at, d, node->out))))
                return false;
    }
    return true;
}

// Bands every value that costs no multiplications to make again.
static void band_cheap(const chooser *at, room *r)
{
    bool *banded = r->draft.bands.banded;
    for (size_t i = 0; i < at->plan->step_count; i++) {
        const rml_value_id id = node_of(at, i)->out;
        if (at->plan->steps[i].macs || banded[id])
            continue;
        memcpy(r->kept, banded, at->graph->value_count * sizeof *banded);
        if (!band(at, &r->draft, id))
            memcpy(banded, r->kept, at->graph->value_count * sizeof *banded);
    }
}

// Bands the product that takes the most off the excess for what it costs; false when none does.
static rml_status band_best(const chooser *at, room *r, bool *found, rml_error *err)
{
    draft *d = &r->draft;
    const size_t bytes = at->graph->value_count * sizeof *d->bands.banded;
    const size_t excess = d->excess;
    const uint64_t macs = d->macs;
    rml_value_id best = RML_NO_VALUE;
    double best_score = 0;
    memcpy(r->kept, d->bands.banded, bytes);
    for (size_t i = 0; i < at->plan->step_count; i++) {
        const rml_value_id id = node_of(at, i)->out;
        if (d->bands.banded[id] || !band(at, d, id)) {
            memcpy(d->bands.banded, r->kept, bytes);
            continue;
        }
        RML_TRY(judge(at, r, err));
        const double cost = (double)d->macs - (double)macs + (double)at->plan->macs / 1000;
        const double score = ((double)excess - (double)d->excess) / (cost > 1 ? cost : 1);
        if (score > best_score) {
            best_score = score;
            best = id;
        }
        memcpy(d->bands.banded, r->kept, bytes);
    }
    *found = best != RML_NO_VALUE;
    if (*found)
        band(at, d, best);
    return judge(at, r, err);
}

static void commit(const chooser *at, const draft *d)
{
    rml_plan *plan = at->plan;
    for (size_t b = 0; b < plan->buffer_count; b++) {
        const bool used = d->first[b] != NONE;
        plan->buffers[b].bytes = d->bytes[b];
        plan->buffers[b].first = used ? d->first[b] : 0;
        plan->buffers[b].last = used ? d->last[b] : 0;
    }
}

static void *take(const chooser *at, size_t count, size_t element_bytes)
{
    return rml_arena_alloc(&at->plan->arena, count ? count : 1, element_bytes);
}

static rml_status make_room(chooser *at, room *r, rml_error *err)
{
    const size_t steps = at->plan->step_count, values = at->graph->value_count;
    const size_t buffers = at->plan->buffer_count;
    draft *d = &r->draft;
    rml_bands *bands = &d->bands;
    // stages, at most one a step, each with a byte for every step
    unsigned char *members = take(at, steps, steps);
    bands->stages = take(at, steps, sizeof *bands->stages);
    bands->banded = take(at, values, sizeof *bands->banded);
    bands->maker = take(at, values, sizeof *bands->maker);
    bands->need = take(at, values, sizeof *bands->need);
    d->first = take(at, buffers, sizeof *d->first);
    d->last = take(at, buffers, sizeof *d->last);
    d->bytes = take(at, buffers, sizeof *d->bytes);
    at->whole = take(at, buffers, sizeof *at->whole);
    d->shares = take(at, values, sizeof *d->shares);
    r->marks = take(at, steps, 1);
    r->height = take(at, values, sizeof *r->height);
    r->kept = take(at, values, sizeof *r->kept);
    if (!members || !bands->stages || !bands->banded || !bands->maker || !bands->need ||
        !d->first || !d->last || !d->bytes || !at->whole || !d->shares || !r->marks || !r->height ||
        !r->kept)
        return rml_fail_nomem(err, steps * steps, "the bands");
    for (size_t b = 0; b < buffers; b++)
        at->whole[b] = at->plan->buffers[b].bytes;
    for (size_t i = 0; i < steps; i++) {
        bands->stages[i].member = members + i * steps;
        bands->stages[i].scratch = at->scratch + i;
    }
    for (rml_value_id id = 0; id < values; id++)
        bands->maker[id] = NONE;
    for (size_t i = 0; i < steps; i++)
        for (int k = 0; k < node_of(at, i)->out_count; k++)
            bands->maker[node_of(at, i)->out + (rml_value_id)k] = i;
    return RML_OK;
}

rml_status rml_bands_choose(rml_plan *plan, const rml_graph *graph, size_t limit, rml_error *err)
{
    // Below the limit where gaps between buffers or a dead end of single steps want it.
    chooser at = {plan, graph, limit, plan->buffer_count, NULL};
    room r = {0};
    if (plan->step_count > RML_BANDS_MAX_STEPS)
        return RML_OK;
    for (size_t i = 0; i < plan->step_count; i++)
        plan->buffers[plan->buffer_count++] = (rml_buffer){0};
    RML_TRY(make_room(&at, &r, err));
    band_cheap(&at, &r);
    RML_TRY(judge(&at, &r, err));
    for (int round = 0; round < ROUNDS; round++) {
        bool found = true;
        while (r.draft.excess && found)
            RML_TRY(band_best(&at, &r, &found, err));
        commit(&at, &r.draft);
        RML_TRY(rml_memory_plan(plan->buffers, plan->buffer_count, &plan->bytes,
                                plan->arena.allocator, err));
        const size_t over = plan->bytes > limit ? plan->bytes - limit : 0;
        const size_t less = over > limit / ROUND_SHARE ? over : limit / ROUND_SHARE;
        if (!over || less >= at.limit)
            break;
        at.limit -= less;
        RML_TRY(judge(&at, &r, err));
    }
    for (rml_value_id id = 0; id < graph->value_count; id++)
        plan->places[id].root = r.draft.shares[id];
    plan->macs = r.draft.macs;
    plan->bands = rml_arena_alloc(&plan->arena, 1, sizeof *plan->bands);
    if (!plan->bands)
        return rml_fail_nomem(err, sizeof *plan->bands, "the bands");
    *plan->bands = r.draft.bands;
    return RML_OK;
}
