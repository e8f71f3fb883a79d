// Shared by the files of check-kernels: the run, reporting, random numbers, shapes of real layers.
#ifndef RML_TESTS_KERNELS_CHECK_KERNELS_H
#define RML_TESTS_KERNELS_CHECK_KERNELS_H

#include "kernels/kernels.h"
#include "tests/support/guard_buf.h"
#include "tests/support/oracle.h"

#include <stdint.h>

#define MAX_SHAPES 256
#define MAX_BUFFERS 6
#define MAX_FLOATS ((size_t)2 << 20) // of one guarded buffer
#define MAX_TAPS 49

typedef enum shape_op {
    SHAPE_CONV,
    SHAPE_CONV_TRANSPOSED,
    SHAPE_MAXPOOL,
    SHAPE_L2NORM,
    SHAPE_SOFTMAX,
    SHAPE_UNARY,
    SHAPE_TRANSPOSE
} shape_op;

typedef struct shape {
    shape_op op;
    char name[48];
    size_t size[10]; // as in the file, after the name
} shape;

typedef struct check {
    rml_kernels kernels;
    const char *kernel; // name of the function under test
    const shape *shapes;
    size_t shape_count;
    uint64_t random;
    size_t cases, failures;
    double worst; // largest error seen, as a part of its bound
    guard_buf buffer[MAX_BUFFERS];
} check;

typedef void check_fn(check *c, int which);

// One of the functions that check a field of rml_kernels; `which` tells entries of an array apart.
check_fn check_gemm, check_gemm_bf16, check_to_bf16, check_conv_direct, check_pool_max,
    check_pool_sum, check_lerp;
check_fn check_winograd_input, check_winograd_output, check_winograd_complex_input,
    check_winograd_complex_output, check_softmax, check_l2norm, check_transpose, check_turn;
check_fn check_layer_norm, check_softmax_step, check_moments, check_affine, check_lstm, check_unary,
    check_binary, check_binary_scalar, check_convert, check_typed_binary, check_typed_unary,
    check_gemm_f64, check_add_scaled, check_quantize, check_pick, check_fold, check_fold_rows,
    check_select, check_running, check_search_lines, check_search_row, check_conv_plain,
    check_pad_rows;

// Counts a case's failure and prints the first few of a kernel.
void check_fail(check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Compares one element; `what` and two indices are for the message.
void check_element(check *c, float got, oracle_value want, const char *what, size_t i, size_t j);
// The same for bits, where no rounding is allowed.
void check_bits(check *c, float got, float want, const char *what, size_t i, size_t j);
// Every buffer's open side untouched; call after each case.
void check_guards(check *c, const char *what);

// Room for `count` bf16, all UNTOUCHED, in a guarded buffer; and the number that one is.
#define UNTOUCHED 0x7fc1
uint16_t *place_bf16(check *c, size_t slot, size_t count, guard_side side);
float bf16_to_float(uint16_t half);

uint64_t random_bits(check *c);
size_t random_below(check *c, size_t limit);
float random_float(check *c); // uniform in [-1, 1)
void random_fill(check *c, float *dst, size_t count);
void random_order(check *c, size_t *order, size_t count); // a permutation of 0 .. count - 1

// Numbers that arithmetic likes to trip over; past the end of the list they repeat.
float special_float(size_t index);
#define SPECIAL_COUNT 30

// --bench: one level, or all that `features` suffice for.
int bench_run(const char *filter, uint32_t features, rml_cpu_level only, bool json,
              const shape *shapes, size_t shape_count);

// Of a clock that only goes forward.
double bench_seconds(void);

#endif
