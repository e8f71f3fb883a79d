// Rows are read until a bounded number of them is there, sorted by length, and run length by
// length; what comes out is told in the order of the file.
#include "pipelines/sequence/sequences.h"

#include "tensor/alloc.h"

#include <stdlib.h>
#include <string.h>

// What is held at a time: rows, and numbers of all of them beyond which no more are read.
#define CHUNK_ROWS 4096
#define CHUNK_NUMBERS ((size_t)1 << 22)
#define CHUNK_CLASSES ((size_t)1 << 20) // rows times classes told of each
#define RUN_NUMBERS ((size_t)1 << 20)   // of one run, where that is more than one row

typedef struct entry {
    int64_t line;
    rml_status status;
    rml_error *error; // NULL without a fault
    float *values;
    int steps, top_count;
} entry;

typedef struct chunk {
    const rml_sequences_job *job;
    entry *entries;
    entry **order; // those without a fault, by length
    const float **rows;
    rml_top_class *top; // job->top for each entry
    size_t capacity, count;
} chunk;

static void clear(chunk *c)
{
    for (size_t i = 0; i < c->count; i++) {
        rml_free(c->job->allocator, c->entries[i].error);
        rml_free(c->job->allocator, c->entries[i].values);
    }
    c->count = 0;
}

static rml_status set_fault(entry *e, const rml_error *fault, const rml_allocator *allocator,
                            rml_error *err)
{
    e->status = fault->status;
    e->error = rml_alloc(allocator, sizeof *e->error);
    if (!e->error)
        return rml_fail_nomem(err, sizeof *e->error, "a message");
    *e->error = *fault;
    return RML_OK;
}

static rml_status hold(chunk *c, const rml_number_row *row, rml_error *err)
{
    const rml_allocator *allocator = c->job->allocator;
    entry *e = &c->entries[c->count++];
    *e = (entry){.line = row->line};
    if (row->status != RML_OK)
        return set_fault(e, &row->error, allocator, err);
    rml_error fault;
    if (rml_sequences_check(c->job->sequences, row->count, &fault) != RML_OK) {
        char where[64];
        snprintf(where, sizeof where, "line %lld", (long long)row->line);
        rml_error_prefix(&fault, where);
        return set_fault(e, &fault, allocator, err);
    }
    e->steps = (int)(row->count / (size_t)rml_sequences_inputs(c->job->sequences));
    e->values = rml_alloc(allocator, row->count * sizeof *e->values);
    if (!e->values)
        return rml_fail_nomem(err, row->count * sizeof *e->values, "a row of numbers");
    memcpy(e->values, row->values, row->count * sizeof *e->values);
    return RML_OK;
}

static rml_status read_chunk(chunk *c, bool *more, rml_error *err)
{
    size_t numbers = 0;
    *more = true;
    while (c->count < c->capacity && numbers < CHUNK_NUMBERS) {
        const rml_number_row *row;
        RML_TRY(rml_number_rows_next(c->job->rows, &row, err));
        *more = row != NULL;
        if (!row)
            break;
        numbers += row->count;
        RML_TRY(hold(c, row, err));
    }
    return RML_OK;
}

// Equal lengths keep the order of the file.
static int by_length(const void *a, const void *b)
{
    const entry *x = *(entry *const *)a, *y = *(entry *const *)b;
    return x->steps != y->steps ? (x->steps > y->steps) - (x->steps < y->steps) : (x > y) - (x < y);
}

static rml_status run_some(chunk *c, entry **some, size_t count, rml_error *err)
{
    const rml_sequences_job *job = c->job;
    const int classes = rml_sequences_classes(job->sequences);
    const float *probabilities;
    for (size_t i = 0; i < count; i++)
        c->rows[i] = some[i]->values;
    RML_TRY(rml_sequences_run(job->sequences, c->rows, (int)count, some[0]->steps, &probabilities,
                              err));
    for (size_t i = 0; i < count; i++) {
        rml_top_class *top = c->top + (size_t)(some[i] - c->entries) * (size_t)job->top;
        some[i]->top_count =
            rml_top_classes(probabilities + i * (size_t)classes, classes, top, job->top);
    }
    return RML_OK;
}

static rml_status run_chunk(chunk *c, rml_error *err)
{
    size_t good = 0;
    for (size_t i = 0; i < c->count; i++)
        if (c->entries[i].status == RML_OK)
            c->order[good++] = &c->entries[i];
    if (good > 0)
        qsort(c->order, good, sizeof *c->order, by_length);
    for (size_t at = 0; at < good;) {
        const int steps = c->order[at]->steps;
        const size_t numbers = (size_t)steps * (size_t)rml_sequences_inputs(c->job->sequences);
        size_t most = RUN_NUMBERS / numbers;
        most = most < 1 ? 1 : most < (size_t)c->job->batch ? most : (size_t)c->job->batch;
        size_t count = 1;
        while (count < most && at + count < good && c->order[at + count]->steps == steps)
            count++;
        RML_TRY(run_some(c, c->order + at, count, err));
        at += count;
    }
    return RML_OK;
}

static void tell(const chunk *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const entry *e = &c->entries[i];
        const rml_sequence_result result = {.line = e->line,
                                            .status = e->status,
                                            .error = e->error,
                                            .steps = e->steps,
                                            .top = c->top + i * (size_t)c->job->top,
                                            .top_count = e->top_count};
        c->job->done(c->job->user, &result);
    }
}

static rml_status work(chunk *c, rml_error *err)
{
    rml_status status = RML_OK;
    for (bool more = true; more && status == RML_OK;) {
        status = read_chunk(c, &more, err);
        // What was read before something ended the reading is answered all the same.
        rml_error later;
        const rml_status ran = run_chunk(c, status == RML_OK ? err : &later);
        if (ran == RML_OK)
            tell(c);
        if (status == RML_OK)
            status = ran;
        clear(c);
    }
    return status;
}

rml_status rml_sequences_rows(const rml_sequences_job *job, rml_error *err)
{
    const rml_allocator *allocator = job->allocator;
    const int classes = rml_sequences_classes(job->sequences);
    const int most = rml_sequences_most(job->sequences);
    rml_sequences_job bounded = *job;
    bounded.top = job->top < classes ? job->top : classes;
    bounded.batch = job->batch < most ? job->batch : most;
    chunk c = {.job = &bounded, .capacity = CHUNK_CLASSES / (size_t)bounded.top};
    c.capacity = c.capacity < 1 ? 1 : c.capacity < CHUNK_ROWS ? c.capacity : CHUNK_ROWS;
    c.entries = rml_alloc_zero(allocator, c.capacity, sizeof *c.entries);
    c.order = rml_alloc_zero(allocator, c.capacity, sizeof *c.order);
    c.rows = rml_alloc_zero(allocator, (size_t)bounded.batch, sizeof *c.rows);
    c.top = rml_alloc_zero(allocator, c.capacity, (size_t)bounded.top * sizeof *c.top);
    const rml_status status = c.entries && c.order && c.rows && c.top
                                  ? work(&c, err)
                                  : rml_fail_nomem(err, c.capacity * sizeof *c.entries, "rows");
    rml_free(allocator, c.entries);
    rml_free(allocator, c.order);
    rml_free(allocator, c.rows);
    rml_free(allocator, c.top);
    return status;
}
