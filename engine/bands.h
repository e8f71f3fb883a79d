// Computing large images in bands of rows, for sessions with a memory limit.
//
// Each value is either kept whole or, chosen here, banded: then a band of its rows is made anew
// whenever somebody needs it. A banded group norm takes its moments from a pass over its whole
// input first. The work falls into stages: a single step on whole values as in a plain plan, or a
// sweep, which goes over the images band by band and computes in each the banded values and what
// it is for: whole values, and moments.
//
// Results have the bits of the plain plan: bands begin and end where tiles of rows do, and blocks
// of moments are the same.
#ifndef RML_ENGINE_BANDS_H
#define RML_ENGINE_BANDS_H

#include "engine/plan.h"

#define RML_BAND_ROWS 32         // of what a sweep is for, at most
#define RML_BANDS_MAX_STEPS 2048 // of a plan that is looked at

typedef enum rml_member {
    RML_MEMBER_NONE,
    RML_MEMBER_COMPUTE, // of a step: makes its output
    RML_MEMBER_MOMENTS  // of a banded norm: takes the moments of its input
} rml_member;

// Rows of an image.
typedef struct rml_rows {
    int64_t low, high;
} rml_rows;

typedef struct rml_stage {
    bool sweep;
    size_t step;           // where it is no sweep
    int64_t images, rows;  // of what a sweep is for
    unsigned char *member; // rml_member of each step
    size_t scratch;        // buffer that the members of a sweep use one after the other
} rml_stage;

struct rml_bands {
    rml_stage *stages;
    size_t stage_count;
    bool *banded;   // of each value
    size_t *maker;  // step of each value, or SIZE_MAX
    rml_rows *need; // of each value, in the band at hand
};

// Chooses which values of a plan without shared places are banded so that at most `limit` bytes are
// planned, or as few more as can be, and sets lifetimes and sizes of the plan's buffers.
// plan->band_rows is set. What is banded goes by its cost: first what takes no multiplications to
// make again, then products, by bytes saved for each multiplication.
rml_status rml_bands_choose(rml_plan *plan, const rml_graph *graph, size_t limit, rml_error *err);

// Whether a node's images may be computed in bands.
bool rml_bands_fit(const rml_plan *plan, const rml_graph *graph, const rml_node *node);

// Sets bands->need of every value that a member of the sweep makes to the rows of it that the band
// from row `low` on needs.
void rml_bands_need(const rml_plan *plan, const rml_graph *graph, const rml_bands *bands,
                    const rml_stage *stage, int64_t low);

// Runs a sweep. `block`: the memory that the plan points into. Fails only where it is cancelled.
rml_status rml_bands_sweep(const rml_plan *plan, const rml_graph *graph, const rml_stage *stage,
                           char *block, rml_watch *watch, rml_error *err);

// How many bands of how many images a sweep has together.
size_t rml_bands_count(const rml_plan *plan, const rml_stage *stage);

#endif
