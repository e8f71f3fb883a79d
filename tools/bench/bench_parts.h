// Parts of run-model bench: measuring, and saying what was measured.
#ifndef RML_TOOLS_BENCH_BENCH_PARTS_H
#define RML_TOOLS_BENCH_BENCH_PARTS_H

#include "tools/options.h"

#define BENCH_RUNS_MAX 100000

typedef enum bench_form { BENCH_TEXT, BENCH_JSON, BENCH_CSV, BENCH_MARKDOWN } bench_form;

typedef struct bench_settings {
    common_options common;
    const char *model, *weights, *config, *function;
    bool is_file; // of a graph
    option_list shapes, inputs;
    int runs;
    double seconds;
    bench_form form;
} bench_settings;

typedef struct bench_result {
    int threads, batch;
    rml_cpu_level cpu;
    uint64_t macs;
    double load_ms, first_ms;
    double peak_gflops; // of the threads together, 0: not known
    size_t planned_bytes, packed_bytes;
    uint64_t resident_bytes, peak_rss_bytes;
    const rml_session *session; // for the profile
    int count;
    double ms[BENCH_RUNS_MAX]; // sorted
} bench_result;

// Shapes of all inputs, by --shape, --input, `batch` and the sizes that networks are used at.
rml_status bench_set_shapes(const bench_settings *settings, rml_session *session,
                            const rml_model *model, int batch, rml_error *err);

// What --input says; else floats in [0,1), the same every time, and zeros in other types.
rml_status bench_fill_inputs(const bench_settings *settings, rml_session *session,
                             const rml_model *model, rml_error *err);

// Loads, plans, runs and reports one combination. `batch` 0: as --shape has it, or 1. `result` is
// the caller's room.
rml_status bench_measure(const bench_settings *settings, int batch, int threads,
                         bench_result *result, rml_error *err);

// What stands above the results: machine and build, the head of a table.
void bench_report_head(const bench_settings *settings);
void bench_report(const bench_settings *settings, const bench_result *result);

// Multiply-adds of f32 in registers, in GFLOP/s (two a multiply-add) of one core, the best of
// several measurements of about a millisecond each; 0 for levels that have no such loop here.
double fma_peak(rml_cpu_level level);

#endif
