// A classifier of number sequences, many at a time, or step by step with a state that is kept.
#ifndef RML_PIPELINES_SEQUENCE_SEQUENCES_H
#define RML_PIPELINES_SEQUENCE_SEQUENCES_H

#include "pipelines/sequence/number_rows.h"
#include "pipelines/classify/labels.h"

#include "runmodel.h"

typedef struct rml_sequences rml_sequences;

// `model` is the network "lstm", or "lstm-stream", which keeps its state. It must outlive the
// classifier.
rml_status rml_sequences_create(rml_sequences **out, rml_model *model,
                                const rml_session_settings *settings, rml_error *err);
void rml_sequences_destroy(rml_sequences **sequences);

int rml_sequences_inputs(const rml_sequences *sequences); // numbers of one step
int rml_sequences_classes(const rml_sequences *sequences);
int rml_sequences_most(const rml_sequences *sequences); // sequences in one run
const rml_session *rml_sequences_session(const rml_sequences *sequences);

// Sequences of one length: rows[i] has steps * inputs numbers. *probabilities is (count,classes)
// and valid until the next run. With "lstm-stream" `count` is 1, and the sequence goes on where the
// last one ended.
rml_status rml_sequences_run(rml_sequences *sequences, const float *const *rows, int count,
                             int steps, const float **probabilities, rml_error *err);

// With "lstm-stream": the next run begins a sequence.
void rml_sequences_restart(rml_sequences *sequences);

// RML_OK when `count` numbers are a whole number of steps that the network takes. The message has
// no name in front.
rml_status rml_sequences_check(const rml_sequences *sequences, size_t count, rml_error *err);

// ---- rows of a file ---------------------------------------------------------------------------

typedef struct rml_sequence_result {
    int64_t line;
    rml_status status;
    const rml_error *error;
    int steps;
    const rml_top_class *top;
    int top_count;
} rml_sequence_result;

typedef struct rml_sequences_job {
    rml_number_rows *rows;
    rml_sequences *sequences;
    int batch; // most sequences in one run of the network; no influence on the result
    int top;   // classes wanted of each, at least 1
    // Called for each row in their order, also those with a fault, from the caller's thread.
    void (*done)(void *user, const rml_sequence_result *result);
    void *user;
    const rml_allocator *allocator;
} rml_sequences_job;

#define RML_SEQUENCES_MAX_BATCH 4096

// Rows of one length run together, though others lie between them; a bounded number of rows is held
// at a time. Rows with a fault do not stop the others.
rml_status rml_sequences_rows(const rml_sequences_job *job, rml_error *err);

#endif
