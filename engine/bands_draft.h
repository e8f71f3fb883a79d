// Inside the choice of bands: a draft of the plan, its memory and its cost.
#ifndef RML_ENGINE_BANDS_DRAFT_H
#define RML_ENGINE_BANDS_DRAFT_H

#include "engine/bands.h"

#define NONE SIZE_MAX

// A candidate: which values are banded, and the stages, lifetimes and sizes that follow.
typedef struct rml_draft {
    rml_bands bands;
    size_t *first, *last; // stages, of each buffer of the plan
    size_t *bytes;        // of each buffer
    rml_value_id *shares; // value whose buffer this one's is, for each value
    uint64_t macs;        // what is computed in two sweeps counts twice
    size_t excess;        // bytes over the limit, of all stages together
    uint64_t work;        // looks at a step, of all judgements
} rml_draft;

typedef struct rml_chooser {
    rml_plan *plan;
    const rml_graph *graph;
    size_t limit;
    size_t scratch; // first buffer of sweeps' scratch, one a stage
    size_t *whole;  // bytes of each buffer in a plan without bands
} rml_chooser;

static inline const rml_node *node_of(const rml_chooser *at, size_t step)
{
    return &at->graph->nodes[at->plan->steps[step].node];
}

static inline bool is_banded(const rml_draft *d, rml_value_id id)
{
    return id != RML_NO_VALUE && d->bands.banded[id];
}

// A buffer's shape: rows of one image.
rml_shape rml_bands_shape(const rml_chooser *at, rml_value_id id, int64_t rows);

// From what is banded: stages, lifetimes, sizes, macs and excess. `marks` has a byte for each step,
// `height` a number for each value: rows of its buffer. In a trial sizes may be a little too small.
rml_status rml_bands_judge(const rml_chooser *at, rml_draft *d, unsigned char *marks,
                           int64_t *height, bool trial, rml_error *err);

#endif
