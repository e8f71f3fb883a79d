// Computing large images in bands of rows, for sessions with a memory limit.
//
// Each value is either kept whole or, chosen here, banded: then its buffer holds only the rows that
// are still to be read. The work falls into stages: a single step on whole values as in a plain
// plan, or a sweep, which goes over the images band by band and computes in each the next rows of
// the banded values and of what it is for, its targets: whole values, moments, and outputs that
// leave through a view of the caller's. A sweep computes no row twice: where readers overlap (the
// halo of a convolution), the rows stay in the buffer as in a line buffer. A banded group norm
// takes its moments from a sweep over its whole input first.
//
// Inputs and outputs bound to a view when the plan was made are streamed where all readers are
// swept: their rows are converted band by band, and the block never holds them whole.
//
// Results have the bits of the plain plan: rows are computed in the units in which an algorithm
// rounds together, and blocks of moments are the same.
#ifndef RML_ENGINE_BANDS_H
#define RML_ENGINE_BANDS_H

#include "engine/plan.h"

#define RML_BAND_LEAST 2         // rows of a band of what a sweep is for; heights that are tried
#define RML_BAND_MOST 128        // are RML_BAND_STEP times each other
#define RML_BAND_STEP 4          //
#define RML_BANDS_MAX_STEPS 2048 // of a plan that is looked at

typedef enum rml_member {
    RML_MEMBER_NONE,
    RML_MEMBER_COMPUTE, // of a step: makes its output
    RML_MEMBER_MOMENTS  // of a banded norm: takes the moments of its input
} rml_member;

// Rows of a value during a sweep. In the pass at hand, rows from `made` to `goal` are added.
typedef struct rml_roll {
    int64_t low;  // the first row in the buffer
    int64_t made; // rows so far; of a norm whose moments are taken, those that they are of
    int64_t goal;
    int64_t keep; // the first row that this pass or a later one reads
} rml_roll;

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
    rml_roll *roll; // of each value, in the sweep at hand
};

// Chooses which values of a plan without shared places are banded so that at most `limit` bytes are
// planned, or as few more as can be, and sets lifetimes and sizes of the plan's buffers.
// plan->band_rows is set. What is banded goes by its cost: first what takes no multiplications,
// then products, by bytes saved for each multiplication that a second sweep repeats.
rml_status rml_bands_choose(rml_plan *plan, const rml_graph *graph, size_t limit, rml_error *err);

// How many bands of how many images a sweep has together.
size_t rml_bands_count(const rml_plan *plan, const rml_stage *stage);

// ---- rows (band_rows.c) -------------------------------------------------------------------------

// Whether a node may be computed in bands while its input `id` (RML_NO_VALUE: all of them) is
// banded.
bool rml_bands_fit(const rml_plan *plan, const rml_graph *graph, const rml_node *node,
                   rml_value_id id);

// Whether values of this id are what a sweep is for.
bool rml_bands_is_target(const rml_bands *bands, const rml_graph *graph, rml_value_id id);

// Rows of the step's input `index` that rows `out` of its output need; inside the input. None where
// only its shape is read.
rml_range rml_bands_input_rows(const rml_plan *plan, const rml_graph *graph, const rml_step *step,
                               int index, rml_range out);

// Rows of a norm's input that hold the blocks which end in `band`.
rml_range rml_bands_moment_rows(int64_t width, rml_range band);

// The rows of the band that begins at `low`, of what the sweep is for.
rml_range rml_bands_band(const rml_plan *plan, const rml_stage *stage, int64_t low);

// To the start of an image, and then for each pass the goals and what is kept of the values that
// the sweep's members read or make. True: the band takes another pass.
void rml_bands_start(const rml_plan *plan, const rml_graph *graph, const rml_bands *bands,
                     const rml_stage *stage);
bool rml_bands_next(const rml_plan *plan, const rml_graph *graph, const rml_bands *bands,
                    const rml_stage *stage, int64_t low);

// ---- running (bands_run.c) ----------------------------------------------------------------------

// Runs a sweep. `block`: the memory that the plan points into. Fails only where it is cancelled.
rml_status rml_bands_sweep(const rml_plan *plan, const rml_graph *graph, const rml_stage *stage,
                           char *block, rml_watch *watch, rml_error *err);

#endif
