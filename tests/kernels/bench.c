// --bench: minimum and median of every case, what it is of the peak, and how often portable C fits
// in.
#define _POSIX_C_SOURCE 200809L
#include "kernels/cpu.h"
#include "tests/kernels/bench.h"
#include "tests/kernels/check_kernels.h"
#include "tools/bench/bench_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAMPLES 15
#define SAMPLE_SECONDS 1e-3 // shorter cases are repeated within one sample

double bench_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

typedef struct timing {
    double min, median; // seconds of one run
} timing;

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static timing measure(const rml_kernels *kernels, const bench_case *c, size_t samples)
{
    double seconds[SAMPLES];
    size_t repeats = 1;
    if (c->prepare)
        c->prepare(kernels, c);
    c->run(kernels, c);
    double begin = bench_seconds();
    c->run(kernels, c);
    double once = bench_seconds() - begin;
    if (once < SAMPLE_SECONDS)
        repeats = (size_t)(SAMPLE_SECONDS / (once + 1e-9)) + 1;
    for (size_t i = 0; i < samples; i++) {
        begin = bench_seconds();
        for (size_t r = 0; r < repeats; r++)
            c->run(kernels, c);
        seconds[i] = (bench_seconds() - begin) / (double)repeats;
    }
    qsort(seconds, samples, sizeof *seconds, compare_doubles);
    return (timing){seconds[0], seconds[samples / 2]};
}

static void report(bool json, const char *level, const bench_case *c, timing t, double portable,
                   double peak)
{
    double rate = (c->flops > 0.0 ? c->flops : c->bytes) / t.min * 1e-9;
    const char *unit = c->flops > 0.0 ? "GFLOP/s" : "GB/s";
    double part = c->flops > 0.0 && peak > 0.0 ? rate / peak : 0.0;
    if (json) {
        printf("{\"cpu\": \"%s\", \"kernel\": \"%s\", \"case\": \"%s\", \"min_ms\": %.6f, "
               "\"median_ms\": %.6f, \"%s\": %.2f, \"part_of_peak\": %.3f, "
               "\"times_portable\": %.2f}\n",
               level, c->field, c->name, t.min * 1e3, t.median * 1e3,
               c->flops > 0.0 ? "gflops" : "gbytes", rate, part, portable / t.min);
        return;
    }
    printf("%-8s %-29s %-44s min %9.4f ms  median %9.4f ms  %7.1f %-7s", level, c->field, c->name,
           t.min * 1e3, t.median * 1e3, rate, unit);
    if (part > 0.0)
        printf(" %5.1f%% of peak", 100.0 * part);
    printf("  %5.1f x portable\n", portable / t.min);
}

int bench_run(const char *filter, uint32_t features, rml_cpu_level only, bool json,
              const shape *shapes, size_t shape_count)
{
    static bench_case cases[BENCH_MAX_CASES];
    size_t count = 0;
    if (!bench_cases_create(cases, &count, shapes, shape_count)) {
        printf("out of memory\n");
        return 1;
    }
    rml_kernels portable;
    rml_kernels_init(&portable, 0);
    for (int level = RML_CPU_PORTABLE; level <= RML_CPU_AVX512; level++) {
        uint32_t lowered;
        if ((only != RML_CPU_BEST && (int)only != level) ||
            rml_cpu_features((rml_cpu_level)level, NULL, &lowered, NULL) != RML_OK)
            continue;
        rml_kernels kernels;
        rml_kernels_init(&kernels, lowered & features);
        const char *name = rml_cpu_level_name((rml_cpu_level)level);
        double peak = fma_peak((rml_cpu_level)level);
        if (!json)
            printf("%s: peak %.1f GFLOP/s on one core\n", name, peak);
        for (size_t i = 0; i < count; i++) {
            if (filter && !strstr(cases[i].field, filter) && !strstr(cases[i].name, filter))
                continue;
            if (cases[i].bf16 && !RML_KERNEL(&kernels, gemm_bf16).run)
                continue;
            timing t = measure(&kernels, &cases[i], SAMPLES);
            timing base = level == RML_CPU_PORTABLE ? t : measure(&portable, &cases[i], 3);
            report(json, name, &cases[i], t, base.min, peak);
            fflush(stdout);
        }
    }
    bench_cases_destroy();
    return 0;
}
