#include "engine/bands_draft.h"

#include <string.h>

#define ROUNDS 8       // of making up for gaps between buffers ...
#define ROUND_SHARE 16 // ... by this part of the limit at least
// Looks at a step of a stage or a pass: the search grows as the fourth power of the steps. Beyond
// the first number what helps at all is taken for what helps most, beyond the second nothing more
// is tried.
#define MOST_FOR_BEST ((uint64_t)1 << 27)
#define MOST_FOR_ANY ((uint64_t)1 << 28)

typedef struct room {
    rml_draft draft;
    unsigned char *marks;
    int64_t *height;
    bool *kept; // banded, before a trial
} room;

static rml_status judge(const rml_chooser *at, room *r, bool trial, rml_error *err)
{
    return rml_bands_judge(at, &r->draft, r->marks, r->height, trial, err);
}

// Bands a value and, since moments are only taken of whole values or by sweeps, the norms that read
// it. False when something that reads it needs it whole.
static bool band(const rml_chooser *at, rml_draft *d, rml_value_id id)
{
    const size_t maker = d->bands.maker[id];
    if (maker != NONE ? !rml_bands_fit(at->plan, at->graph, node_of(at, maker), RML_NO_VALUE)
                      : !at->plan->places[id].streamed)
        return false;
    d->bands.banded[id] = true;
    for (size_t i = maker == NONE ? 0 : maker + 1; i < at->plan->step_count; i++) {
        const rml_node *node = node_of(at, i);
        for (int k = 0; k < node->in_count; k++)
            if (node->in[k] == id && (!rml_bands_fit(at->plan, at->graph, node, id) ||
                                      (node->op == RML_OP_GROUP_NORM &&
                                       !d->bands.banded[node->out] && !band(at, d, node->out))))
                return false;
    }
    return !rml_graph_is_output(at->graph, id) || at->plan->places[id].streamed;
}

// Bands, or leaves everything as it was.
static bool try_band(const rml_chooser *at, room *r, rml_value_id id)
{
    bool *banded = r->draft.bands.banded;
    const size_t bytes = at->graph->value_count * sizeof *banded;
    memcpy(r->kept, banded, bytes);
    const bool done = band(at, &r->draft, id);
    if (!done)
        memcpy(banded, r->kept, bytes);
    return done;
}

// How many steps read a value.
static size_t readers_of(const rml_chooser *at, rml_value_id id)
{
    size_t readers = 0;
    for (size_t i = 0; i < at->plan->step_count; i++)
        for (int k = 0; k < node_of(at, i)->in_count; k++)
            readers += node_of(at, i)->in[k] == id;
    return readers;
}

// Streams what is bound of inputs, where all that reads them can be swept, and of outputs that
// nobody reads.
static void stream_ports(const rml_chooser *at, room *r)
{
    const rml_plan *plan = at->plan;
    const size_t inputs = at->graph->input_count;
    for (size_t i = 0; plan->bound && i < inputs + at->graph->output_count; i++) {
        const rml_value_id id = rml_port_value(plan->graph, i);
        const rml_fact *fact = &plan->facts[id];
        size_t outputs = 0;
        for (size_t k = 0; k < at->graph->output_count; k++)
            outputs += at->graph->outputs[k] == id;
        const bool fits = plan->bound[i] && fact->dtype == RML_F32 && fact->shape.rank == 4 &&
                          !plan->places[id].dynamic && fact->shape.dim[2] >= plan->band_rows &&
                          (readers_of(at, id) > 0) == (i < inputs) && outputs == (i >= inputs) &&
                          (r->draft.bands.maker[id] == NONE) == (i < inputs);
        plan->places[id].streamed = fits; // that is what makes it fit to be banded
        plan->places[id].streamed = fits && try_band(at, r, id);
    }
}

// Bands every value that costs no multiplications to make again.
static void band_cheap(const rml_chooser *at, room *r)
{
    for (size_t i = 0; i < at->plan->step_count; i++)
        if (!at->plan->steps[i].macs && !r->draft.bands.banded[node_of(at, i)->out])
            try_band(at, r, node_of(at, i)->out);
}

// Bands the product that takes the most off the excess for what it costs; false when none does.
static rml_status band_best(const rml_chooser *at, room *r, bool *found, rml_error *err)
{
    rml_draft *d = &r->draft;
    const size_t bytes = at->graph->value_count * sizeof *d->bands.banded;
    rml_value_id best = RML_NO_VALUE;
    double best_score = 0;
    RML_TRY(judge(at, r, true, err));
    const size_t excess = d->excess;
    const uint64_t macs = d->macs;
    for (size_t i = 0; i < at->plan->step_count && r->draft.work < MOST_FOR_ANY; i++) {
        const rml_value_id id = node_of(at, i)->out;
        if (d->bands.banded[id] || !try_band(at, r, id))
            continue;
        RML_TRY(judge(at, r, true, err));
        const double cost = (double)d->macs - (double)macs + (double)at->plan->macs / 1000;
        const double score = ((double)excess - (double)d->excess) / (cost > 1 ? cost : 1);
        if (score > best_score) {
            best_score = score;
            best = id;
        }
        memcpy(d->bands.banded, r->kept, bytes);
        if (best != RML_NO_VALUE && r->draft.work > MOST_FOR_BEST)
            break;
    }
    *found = best != RML_NO_VALUE;
    if (*found)
        try_band(at, r, best);
    return judge(at, r, false, err);
}

static void commit(const rml_chooser *at, const room *r)
{
    rml_plan *plan = at->plan;
    const rml_draft *d = &r->draft;
    for (size_t b = 0; b < plan->buffer_count; b++) {
        const bool used = d->first[b] != NONE;
        plan->buffers[b].bytes = d->bytes[b];
        plan->buffers[b].first = used ? d->first[b] : 0;
        plan->buffers[b].last = used ? d->last[b] : 0;
    }
}

static void *take(const rml_chooser *at, size_t count, size_t element_bytes)
{
    return rml_arena_alloc(&at->plan->arena, count ? count : 1, element_bytes);
}

static rml_status make_room(rml_chooser *at, room *r, rml_error *err)
{
    const size_t steps = at->plan->step_count, values = at->graph->value_count;
    const size_t buffers = at->plan->buffer_count;
    rml_draft *d = &r->draft;
    rml_bands *bands = &d->bands;
    // stages, at most one a step, each with a byte for every step
    unsigned char *members = take(at, steps, steps);
    bands->stages = take(at, steps, sizeof *bands->stages);
    bands->banded = take(at, values, sizeof *bands->banded);
    bands->maker = take(at, values, sizeof *bands->maker);
    bands->roll = take(at, values, sizeof *bands->roll);
    d->first = take(at, buffers, sizeof *d->first);
    d->last = take(at, buffers, sizeof *d->last);
    d->bytes = take(at, buffers, sizeof *d->bytes);
    at->whole = take(at, buffers, sizeof *at->whole);
    d->shares = take(at, values, sizeof *d->shares);
    r->marks = take(at, steps, 1);
    r->height = take(at, values, sizeof *r->height);
    r->kept = take(at, values, sizeof *r->kept);
    if (!members || !bands->stages || !bands->banded || !bands->maker || !bands->roll ||
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
    // at.limit falls below `limit` where gaps between buffers, or a dead end of the greedy search,
    // leave a plan too large.
    rml_chooser at = {plan, graph, limit, plan->buffer_count, NULL};
    room r = {0};
    if (plan->step_count > RML_BANDS_MAX_STEPS)
        return RML_OK;
    for (size_t i = 0; i < plan->step_count; i++)
        plan->buffers[plan->buffer_count++] = (rml_buffer){0};
    RML_TRY(make_room(&at, &r, err));
    stream_ports(&at, &r);
    band_cheap(&at, &r);
    RML_TRY(judge(&at, &r, false, err));
    for (int round = 0; round < ROUNDS; round++) {
        bool found = true;
        while (r.draft.excess && found)
            RML_TRY(band_best(&at, &r, &found, err));
        commit(&at, &r);
        RML_TRY(rml_memory_plan(plan->buffers, plan->buffer_count, &plan->bytes,
                                plan->arena.allocator, err));
        const size_t over = plan->bytes > limit ? plan->bytes - limit : 0;
        const size_t less = over > limit / ROUND_SHARE ? over : limit / ROUND_SHARE;
        if (!over || less >= at.limit)
            break;
        at.limit -= less;
        RML_TRY(judge(&at, &r, false, err));
    }
    for (rml_value_id id = 0; id < graph->value_count; id++) {
        rml_place *place = &plan->places[id];
        const rml_shape band = rml_bands_shape(&at, id, r.height[id]);
        place->root = r.draft.shares[id];
        if (r.draft.bands.banded[id])
            place->view = rml_tensor_make(NULL, &band, graph->values[id].layout);
    }
    plan->macs = r.draft.macs;
    plan->bands = rml_arena_alloc(&plan->arena, 1, sizeof *plan->bands);
    if (!plan->bands)
        return rml_fail_nomem(err, sizeof *plan->bands, "the bands");
    *plan->bands = r.draft.bands;
    return RML_OK;
}
