// Cases of check-kernels --bench: one kernel on one layer's shape.
#ifndef RML_TESTS_KERNELS_BENCH_H
#define RML_TESTS_KERNELS_BENCH_H

#include "kernels/kernels.h"

#define BENCH_MAX_CASES 512

typedef struct bench_case bench_case;

struct bench_case {
    const char *field; // of rml_kernels
    char name[96];
    double flops, bytes; // of one run; bytes are those of inputs and outputs, each once
    size_t size[6];
    int which; // entry of an array of kernels
    bool bf16; // measured only where the level has products of bf16
    void (*prepare)(const rml_kernels *kernels, const bench_case *c); // may be NULL
    void (*run)(const rml_kernels *kernels, const bench_case *c);
};

struct shape; // check_kernels.h

// Cases of the shapes, each different shape once, then of sizes chosen here. False: out of memory.
bool bench_cases_create(bench_case *cases, size_t *count, const struct shape *shapes,
                        size_t shape_count);
void bench_cases_destroy(void);

#endif
