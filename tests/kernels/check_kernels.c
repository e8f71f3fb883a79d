// check-kernels: every kernel that a mask can reach against the double-precision oracle, and
// --bench.
//
//   check-kernels [--cpu LEVEL] [--seed N] [--shapes DIR] [--bench [FILTER]] [--json] [FILTER]
//
// FILTER is a part of a kernel's name. Exit 0: all passed; 1: a failure; 2: wrong usage.
#define _POSIX_C_SOURCE 200809L
#include "kernels/cpu.h"
#include "kernels/kernels_internal.h"
#include "tests/kernels/check_kernels.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct kernel_entry {
    uint32_t needs;
    const char *field, *function;
} kernel_entry;

#if defined(RML_HAVE_NEON)
#define HERE_neon true
#else
#define HERE_neon false
#endif
#if defined(RML_HAVE_AVX2)
#define HERE_avx2 true
#else
#define HERE_avx2 false
#endif
#if defined(RML_HAVE_AVX512)
#define HERE_avx512 true
#else
#define HERE_avx512 false
#endif
#define HERE_portable true
#define NEEDS_portable RML_ISA_PORTABLE
#define NEEDS_neon RML_ISA_NEON
#define NEEDS_avx2 RML_ISA_AVX2
#define NEEDS_avx512 RML_ISA_AVX512

// What serves in several sets is listed as often; check_all passes over all but the first.
#define ENTRY(field, function, level)                                                              \
    {                                                                                              \
        HERE_##level ? NEEDS_##level : UINT32_MAX, field, #function "_" #level                     \
    }
#define ENTRIES(field, function, neon, avx2, avx512)                                               \
    ENTRY(field, function, portable), ENTRY(field, function, neon), ENTRY(field, function, avx2),  \
        ENTRY(field, function, avx512),

static const kernel_entry entries[] = {
    ENTRIES("gemm_f32.run", rml_gemm_f32, neon, avx2, avx512)
        ENTRIES("gemm_f64.run", rml_gemm_f64, portable, avx2, avx512)
#define KERNEL(type, place, ...) ENTRIES(#place, __VA_ARGS__)
#define UNARY_KERNEL(kind, ...) ENTRIES("unary[RML_UNARY_" #kind "]", __VA_ARGS__)
#define BINARY_KERNEL(kind, ...) ENTRIES("binary[RML_BINARY_" #kind "]", __VA_ARGS__)
#define SCALAR_KERNEL(kind, ...) ENTRIES("binary_scalar[RML_BINARY_" #kind "]", __VA_ARGS__)
#include "kernels/kernels.inc"
#if defined(RML_HAVE_AVX512BF16)
            {RML_ISA_AVX512BF16, "gemm_bf16.run", "rml_gemm_bf16_avx512bf16"},
    {RML_ISA_AVX512BF16, "to_bf16", "rml_to_bf16_avx512bf16"},
    {RML_ISA_AVX512BF16, "winograd_complex_input", "rml_winograd_complex_input_bf16_avx512bf16"},
    {RML_ISA_AVX512BF16, "winograd_complex_output", "rml_winograd_complex_output_bf16_avx512bf16"},
#endif
#if defined(RML_HAVE_AMXBF16)
    {RML_ISA_AMXBF16, "gemm_bf16.run", "rml_gemm_bf16_amxbf16"},
#endif
};

static bool is_listed(size_t index)
{
    for (size_t i = index; i > 0; i--)
        if (strcmp(entries[i - 1].function, entries[index].function) == 0)
            return true;
    return false;
}

typedef struct field_check {
    const char *field;
    check_fn *run;
    int which;
} field_check;

#define UNARY(op)                                                                                  \
    {                                                                                              \
        "unary[" #op "]", check_unary, op                                                          \
    }
#define BINARY(op)                                                                                 \
    {                                                                                              \
        "binary[" #op "]", check_binary, op                                                        \
    }
#define SCALAR(op)                                                                                 \
    {                                                                                              \
        "binary_scalar[" #op "]", check_binary_scalar, op                                          \
    }

static const field_check checks[] = {
    {"gemm_f32.run", check_gemm, 0},
    {"gemm_bf16.run", check_gemm_bf16, 0},
    {"to_bf16", check_to_bf16, 0},
    {"conv_direct", check_conv_direct, 0},
    {"conv_plain", check_conv_plain, 0},
    {"pad_rows", check_pad_rows, 0},
    {"pool_max", check_pool_max, 0},
    {"pool_sum", check_pool_sum, 0},
    {"lerp", check_lerp, 0},
    {"winograd_input", check_winograd_input, 0},
    {"winograd_output", check_winograd_output, 0},
    {"winograd_complex_input", check_winograd_complex_input, 0},
    {"winograd_complex_output", check_winograd_complex_output, 0},
    {"softmax", check_softmax, 0},
    {"softmax_step", check_softmax_step, 0},
    {"moments", check_moments, 0},
    {"fold", check_fold, 0},
    {"fold_rows", check_fold_rows, 0},
    {"affine", check_affine, 0},
    {"l2norm", check_l2norm, 0},
    {"layer_norm", check_layer_norm, 0},
    {"transpose", check_transpose, 0},
    {"turn", check_turn, 0},
    {"lstm", check_lstm, 0},
    {"convert", check_convert, 0},
    {"typed_binary", check_typed_binary, 0},
    {"typed_unary", check_typed_unary, 0},
    {"gemm_f64.run", check_gemm_f64, 0},
    {"add_scaled", check_add_scaled, 0},
    {"quantize", check_quantize, 0},
    {"pick", check_pick, 0},
    {"select", check_select, 0},
    {"running", check_running, 0},
    {"search_lines", check_search_lines, 0},
    {"search_row", check_search_row, 0},
    UNARY(RML_UNARY_CLAMP),
    UNARY(RML_UNARY_LEAKY_RELU),
    UNARY(RML_UNARY_SIGMOID),
    UNARY(RML_UNARY_TANH),
    UNARY(RML_UNARY_EXP),
    UNARY(RML_UNARY_SILU),
    UNARY(RML_UNARY_GELU),
    UNARY(RML_UNARY_ERF),
    UNARY(RML_UNARY_GELU_TANH),
    UNARY(RML_UNARY_ELU),
    UNARY(RML_UNARY_ABS),
    UNARY(RML_UNARY_NEG),
    UNARY(RML_UNARY_SQRT),
    UNARY(RML_UNARY_SQUARE),
    UNARY(RML_UNARY_HARD_SIGMOID),
    UNARY(RML_UNARY_HARD_SWISH),
    UNARY(RML_UNARY_THRESHOLDED_RELU),
    UNARY(RML_UNARY_SOFTSIGN),
    UNARY(RML_UNARY_SIGN),
    UNARY(RML_UNARY_FLOOR),
    UNARY(RML_UNARY_CEIL),
    UNARY(RML_UNARY_ROUND),
    UNARY(RML_UNARY_CELU),
    UNARY(RML_UNARY_SELU),
    UNARY(RML_UNARY_SWISH),
    UNARY(RML_UNARY_LOG),
    UNARY(RML_UNARY_SOFTPLUS),
    UNARY(RML_UNARY_MISH),
    UNARY(RML_UNARY_ATAN),
    BINARY(RML_BINARY_ADD),
    BINARY(RML_BINARY_SUB),
    BINARY(RML_BINARY_MUL),
    BINARY(RML_BINARY_DIV),
    BINARY(RML_BINARY_MAX),
    BINARY(RML_BINARY_MIN),
    SCALAR(RML_BINARY_ADD),
    SCALAR(RML_BINARY_SUB),
    SCALAR(RML_BINARY_MUL),
    SCALAR(RML_BINARY_DIV),
    SCALAR(RML_BINARY_MAX),
    SCALAR(RML_BINARY_MIN),
};

static sigjmp_buf fault_return;

static void on_fault(int signal_number)
{
    siglongjmp(fault_return, signal_number);
}

static void run_checked(check *c, const field_check *run)
{
    int fault = sigsetjmp(fault_return, 1);
    if (fault == 0)
        run->run(c, run->which);
    else
        check_fail(c, "signal %d (%s) after %zu cases", fault,
                   fault == SIGILL    ? "SIGILL"
                   : fault == SIGSEGV ? "SIGSEGV"
                                      : "SIGBUS or SIGFPE",
                   c->cases);
}

static const field_check *find_check(const char *field)
{
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (strcmp(checks[i].field, field) == 0)
            return &checks[i];
    }
    return NULL;
}

// Each function once, in the table of a CPU that has no more than what it needs. Returns the number
// of kernels that failed.
static size_t check_all(check *c, uint32_t features, rml_cpu_level only, const char *filter)
{
    const uint64_t seed = c->random;
    size_t bad = 0;
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        const rml_cpu_level level = rml_cpu_level_of(entries[i].needs);
        if (entries[i].needs == UINT32_MAX || is_listed(i) ||
            (only != RML_CPU_BEST && only != level) ||
            (filter && !strstr(entries[i].function, filter)))
            continue;
        if ((features & entries[i].needs) != entries[i].needs) {
            printf("skip %s: this CPU lacks it\n", entries[i].function);
            continue;
        }
        rml_kernels_init(&c->kernels, entries[i].needs);
        const field_check *run = find_check(entries[i].field);
        c->kernel = entries[i].function;
        c->cases = c->failures = 0;
        c->worst = 0.0;
        c->random = seed; // a failure repeats with a filter
        for (size_t b = 0; b < MAX_BUFFERS; b++)
            c->buffer[b].data = NULL;
        if (run)
            run_checked(c, run);
        else
            check_fail(c, "no check for field %s", entries[i].field);
        printf("%-4s %-36s %6zu cases, worst error %4.2f of its bound\n",
               c->failures ? "FAIL" : "ok", c->kernel, c->cases, c->worst);
        fflush(stdout);
        bad += c->failures != 0;
    }
    return bad;
}

static const char *const shape_words[] = {"conv2d",  "convt2d", "maxpool",  "l2norm",
                                          "softmax", "unary",   "transpose"};
static const size_t shape_sizes[] = {10, 10, 5, 2, 2, 1, 2};

// Adds the lines of one file; false with a message when it cannot be used.
static bool read_shapes(const char *folder, const char *file, shape *shapes, size_t *count)
{
    char path[512], line[256], word[16], extra[16];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *in = fopen(path, "r");
    if (!in) {
        printf("%s: cannot be opened\n", path);
        return false;
    }
    bool good = true;
    while (good && fgets(line, sizeof line, in)) {
        shape at = {0};
        int used = 0, step = 0;
        if (line[0] == '#' || line[0] == '\n')
            continue;
        good = sscanf(line, "%15s %47s %n", word, at.name, &used) == 2 && *count < MAX_SHAPES;
        size_t op = 0, words = sizeof shape_words / sizeof *shape_words;
        while (op < words && strcmp(word, shape_words[op]) != 0)
            op++;
        good = good && op < words;
        at.op = (shape_op)op;
        if (good && at.op == SHAPE_UNARY) {
            good = sscanf(line + used, "%15s %n", extra, &step) == 1;
            used += step;
        }
        for (size_t i = 0; good && i < shape_sizes[op]; i++, used += step)
            good = sscanf(line + used, "%zu %n", &at.size[i], &step) == 1;
        if (good)
            shapes[(*count)++] = at;
        else
            printf("%s: bad line: %s", path, line);
    }
    fclose(in);
    return good;
}

int main(int argc, char **argv)
{
    static shape shapes[MAX_SHAPES];
    static check c;
    const char *filter = NULL, *folder = "bench/shapes";
    rml_cpu_level only = RML_CPU_BEST;
    uint64_t seed = 1; // fixed, so that a failure repeats
    bool bench = false, json = false;
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--bench") == 0) {
            bench = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--seed") == 0 && more) {
            seed = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--shapes") == 0 && more) {
            folder = argv[++i];
        } else if (strcmp(argv[i], "--cpu") == 0 && more) {
            if (!rml_cpu_level_parse(argv[++i], &only)) {
                printf("%s: no such CPU level\n", argv[i]);
                return 2;
            }
        } else if (argv[i][0] != '-' && !filter) {
            filter = argv[i];
        } else {
            printf(
                "usage: check-kernels [--cpu LEVEL] [--seed N] [--shapes DIR] [--bench] [--json] "
                "[FILTER]\n");
            return 2;
        }
    }
    uint32_t features;
    rml_error err;
    if (rml_cpu_features(only, NULL, &features, &err) != RML_OK) {
        printf("%s\n", err.message);
        return err.status == RML_ERR_UNSUPPORTED ? 77 : 2;
    }
    features = rml_cpu_request_amx(features);
    if (!read_shapes(folder, "wav2lip.txt", shapes, &c.shape_count) ||
        !read_shapes(folder, "s3fd.txt", shapes, &c.shape_count))
        return 1;
    c.shapes = shapes;
    if (bench)
        return bench_run(filter, features, only, json, shapes, c.shape_count);

    for (size_t i = 0; i < MAX_BUFFERS; i++) {
        if (!guard_create(&c.buffer[i], MAX_FLOATS)) {
            printf("no memory with guard pages\n");
            return 1;
        }
    }
    printf("seed %" PRIu64 "\n", seed);
    c.random = seed;
    struct sigaction action = {.sa_handler = on_fault};
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
    const size_t bad = check_all(&c, features, only, filter);
    for (size_t i = 0; i < MAX_BUFFERS; i++)
        guard_destroy(&c.buffer[i]);
    printf("%zu kernels failed\n", bad);
    return bad ? 1 : 0;
}
