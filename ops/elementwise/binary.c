// Functions of two operands with broadcast, see kernels/functions.inc: f32 kernels where there are
// any, and otherwise widened to double or to integers of 64 bits, a chunk at a time.
#include "ops/alone.h"
#include "ops/elementwise/functions.h"
#include "ops/elementwise/nd_iterator.h"
#include "ops/elementwise/widen.h"

#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define MAX_STEP 512 // floats on the stack where an operand is not contiguous

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    return rml_broadcast_shape(node->shape, node->in_count, out, err);
}

static rml_status types(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    const rml_binary kind = node->attr->binary.kind;
    if (!rml_binary_takes(kind, node->in[0].dtype) ||
        (node->in[0].dtype != node->in[1].dtype && kind != RML_BINARY_POW))
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s of %s and %s is not defined",
                        rml_binary_name(kind), rml_dtype_name(node->in[0].dtype),
                        rml_dtype_name(node->in[1].dtype));
    *out = rml_binary_compares(kind) ? RML_BOOL : node->in[0].dtype;
    return RML_OK;
}

static void run_over(const rml_op_args *args, rml_nd_iterator_fn fn)
{
    const rml_tensor *all[3] = {&args->out[0], &args->in[0], &args->in[1]};
    const rml_nd_iterator walk = rml_nd_iterator_make(all, 3);
    rml_nd_iterator_run(&walk, args->pool, fn, args);
}

// ---- f32 kernels --------------------------------------------------------------------------------

static bool has_kernel(const rml_op_args *args)
{
    const rml_binary kind = args->attr->binary.kind;
    return args->in[0].dtype == RML_F32 && args->in[1].dtype == RML_F32 &&
           (kind < RML_BINARY_KERNELS || kind == RML_BINARY_PRELU);
}

// The same slope for all, or one each.
static void prelu(const float *x, const float *slope, size_t slope_step, float *dst, size_t count)
{
    if (slope_step == 0)
        for (size_t i = 0; i < count; i++)
            dst[i] = x[i] < 0 ? x[i] * *slope : x[i];
    else
        for (size_t i = 0; i < count; i++)
            dst[i] = x[i] < 0 ? x[i] * slope[i] : x[i];
}

// Contiguous runs. `swap`: the first operand is one number, instead of the second.
static void apply(const rml_op_args *args, const float *a, const float *b, float *dst, size_t count,
                  bool scalar, bool swap)
{
    const rml_kernels *kernels = args->kernels;
    const rml_binary kind = args->attr->binary.kind;
    const rml_activation *act = &args->attr->binary.act;
    if (kind == RML_BINARY_PRELU)
        prelu(a, b, !scalar, dst, count);
    else if (scalar)
        RML_KERNEL(kernels, binary_scalar[kind])(swap ? b : a, swap ? *a : *b, dst, count, swap);
    else
        RML_KERNEL(kernels, binary[kind])(a, b, dst, count);
    if (!rml_activation_is_none(act))
        RML_KERNEL(kernels, unary[act->kind])(dst, dst, count, act->param);
}

static void kernel_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const rml_op_args *args = context;
    float buffer[3][MAX_STEP];
    const bool swap = stride[1] == 0;
    if (stride[0] == 1 && (stride[1] == 1 || stride[2] == 1) && stride[1] >= 0 && stride[1] <= 1 &&
        stride[2] >= 0 && stride[2] <= 1 &&
        !(swap && args->attr->binary.kind == RML_BINARY_PRELU)) {
        apply(args, at[1], at[2], at[0], count, swap || stride[2] == 0, swap);
        return;
    }
    for (size_t first = 0; first < count; first += MAX_STEP) {
        const size_t step = rml_min_size(MAX_STEP, count - first);
        for (int v = 1; v < 3; v++)
            for (size_t i = 0; i < step; i++)
                buffer[v][i] = at[v][(int64_t)(first + i) * stride[v]];
        apply(args, buffer[1], buffer[2], buffer[0], step, false, false);
        for (size_t i = 0; i < step; i++)
            at[0][(int64_t)(first + i) * stride[0]] = buffer[0][i];
    }
}

static void run_kernel(const rml_op_args *args)
{
    run_over(args, kernel_run);
}

// ---- powers of f32, by the C library of f32 -----------------------------------------------------

static bool is_power(const rml_op_args *args)
{
    return args->attr->binary.kind == RML_BINARY_POW && args->in[0].dtype == RML_F32 &&
           args->in[1].dtype == RML_F32;
}

// What exporters write as powers: squares, cubes, roots.
static bool power_of_all(const rml_kernels *kernels, const float *x, float exponent, float *dst,
                         size_t count)
{
    if (exponent == 2)
        RML_KERNEL(kernels, unary[RML_UNARY_SQUARE])(x, dst, count, NULL);
    else if (exponent == 1)
        memmove(dst, x, count * sizeof *x);
    else if (exponent == -1)
        RML_KERNEL(kernels, binary_scalar[RML_BINARY_DIV])(x, 1, dst, count, true);
    else if (exponent == 3)
        for (size_t i = 0; i < count; i++)
            dst[i] = x[i] * x[i] * x[i];
    else if (exponent == 0.5f) // of -0 it is 0, and of -inf inf
        for (size_t i = 0; i < count; i++)
            dst[i] = x[i] == -INFINITY ? INFINITY : sqrtf(x[i]) + 0.0f;
    else
        return false;
    return true;
}

static void power_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const rml_op_args *args = context;
    if (stride[0] == 1 && stride[1] == 1 && stride[2] == 0 &&
        power_of_all(args->kernels, at[1], *at[2], at[0], count))
        return;
    for (int64_t i = 0; i < (int64_t)count; i++) {
        const float x = at[1][i * stride[1]], y = at[2][i * stride[2]];
        at[0][i * stride[0]] = powf(x, y);
    }
}

static void run_power(const rml_op_args *args)
{
    run_over(args, power_run);
}

// ---- other types in loops of their own ----------------------------------------------------------

static bool has_typed(const rml_op_args *args)
{
    const uint64_t none[1] = {0};
    uint64_t out[1];
    return args->in[0].dtype == args->in[1].dtype &&
           RML_KERNEL(args->kernels, typed_binary)(args->attr->binary.kind, args->in[0].dtype, none,
                                                   none, out, 0);
}

static void typed_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const rml_op_args *args = context;
    const rml_binary kind = args->attr->binary.kind;
    const rml_dtype type = args->in[0].dtype;
    const size_t bytes = rml_dtype_size(type), out_bytes = rml_dtype_size(args->out[0].dtype);
    uint64_t buffer[3][MAX_STEP];
    const void *a = NULL, *b = NULL;
    const size_t most = stride[0] == 1 && stride[1] == 1 && stride[2] == 1 ? count : MAX_STEP;
    for (size_t first = 0, step; first < count; first += step) {
        step = rml_min_size(most, count - first);
        if (!a || stride[1]) // one number is repeated once
            a = rml_line_up(at[1], stride[1], first, step, bytes, buffer[1]);
        if (!b || stride[2])
            b = rml_line_up(at[2], stride[2], first, step, bytes, buffer[2]);
        void *out = (char *)at[0] + (int64_t)first * stride[0] * (int64_t)out_bytes;
        if (stride[0] == 1) {
            RML_KERNEL(args->kernels, typed_binary)(kind, type, a, b, out, step);
        } else {
            RML_KERNEL(args->kernels, typed_binary)(kind, type, a, b, buffer[0], step);
            rml_line_spread(buffer[0], out, stride[0], step, out_bytes);
        }
    }
}

static void run_typed(const rml_op_args *args)
{
    run_over(args, typed_run);
}

// ---- squares of other types ---------------------------------------------------------------------

static bool is_square(const rml_op_args *args)
{
    const uint64_t none[1] = {0};
    uint64_t out[1];
    double exponent;
    return args->attr->binary.kind == RML_BINARY_POW &&
           rml_constant_number(rml_op_constant(args, 1), &exponent) && exponent == 2 &&
           RML_KERNEL(args->kernels, typed_binary)(RML_BINARY_MUL, args->in[0].dtype, none, none,
                                                   out, 0);
}

static void square_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const rml_op_args *args = context;
    const rml_dtype type = args->in[0].dtype;
    const int64_t bytes = (int64_t)rml_dtype_size(type);
    const size_t step = stride[0] == 1 && stride[1] == 1 ? count : 1;
    for (size_t i = 0; i < count; i += step) {
        const char *x = (const char *)at[1] + (int64_t)i * stride[1] * bytes;
        RML_KERNEL(args->kernels, typed_binary)
        (RML_BINARY_MUL, type, x, x, (char *)at[0] + (int64_t)i * stride[0] * bytes, step);
    }
}

static void run_square(const rml_op_args *args)
{
    run_over(args, square_run);
}

// ---- any type -----------------------------------------------------------------------------------

static void wide_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const rml_op_args *args = context;
    const rml_binary kind = args->attr->binary.kind;
    const rml_dtype to = args->out[0].dtype, types[2] = {args->in[0].dtype, args->in[1].dtype};
    const bool floats = rml_dtype_is_float(types[0]) || rml_dtype_is_float(types[1]);
    const rml_wide wide = floats ? RML_WIDE_F64 : rml_wide_of(types[0]);
    const bool is_unsigned = wide == RML_WIDE_U64, compares = rml_binary_compares(kind);
    for (size_t done = 0; done < count; done += RML_WIDEN_COUNT) {
        const size_t some = rml_min_size(RML_WIDEN_COUNT, count - done);
        rml_widen a, b;
        rml_widen_load(types[0], at[1], stride[1], done, some, wide, &a);
        rml_widen_load(types[1], at[2], stride[2], done, some, wide, &b);
        for (size_t i = 0; i < some && compares; i++)
            a.i64[i] = floats ? rml_compare_f64(kind, a.f64[i], b.f64[i])
                              : rml_compare_i64(kind, a.i64[i], b.i64[i], is_unsigned);
        for (size_t i = 0; i < some && !compares; i++)
            if (floats)
                a.f64[i] = rml_binary_f64(kind, a.f64[i], b.f64[i]);
            else
                a.i64[i] = rml_binary_i64(kind, a.i64[i], b.i64[i], is_unsigned,
                                          8 * (int)rml_dtype_size(to));
        rml_widen_store(to, at[0], stride[0], done, some, compares ? RML_WIDE_I64 : wide, &a);
    }
}

static void run_wide(const rml_op_args *args)
{
    run_over(args, wide_run);
}

static const rml_algorithm algorithms[] = {
    {.name = "kernel", .accepts = has_kernel, .run = run_kernel},
    {.name = "power", .accepts = is_power, .run = run_power},
    {.name = "typed", .accepts = has_typed, .run = run_typed},
    {.name = "square", .accepts = is_square, .run = run_square},
    {.name = "widened", .run = run_wide}};

const rml_op rml_op_binary = {.id = RML_OP_BINARY,
                              .name = "binary",
                              .inputs = {2, 2},
                              .layout = RML_OP_FOLLOW,
                              .in_place = true,
                              .types = types,
                              .infer = infer,
                              .algorithms = algorithms};

// ---- a sum of f32 -------------------------------------------------------------------------------

static void add_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const rml_op_args *args = context;
    const size_t step = stride[0] == 1 && stride[1] == 1 && stride[2] == 1 ? count : 1;
    for (size_t i = 0; i < count; i += step)
        RML_KERNEL(args->kernels, binary_ADD)
    (at[1] + (int64_t)i * stride[1], at[2] + (int64_t)i * stride[2], at[0] + (int64_t)i * stride[0],
     step);
}

static void run_add(const rml_op_args *args)
{
    run_over(args, add_run);
}

const rml_op rml_op_add_alone = {.id = RML_OP_BINARY,
                                 .name = "binary",
                                 .inputs = {2, 2},
                                 .layout = RML_OP_FOLLOW,
                                 .in_place = true,
                                 .infer = infer,
                                 .algorithms = RML_ONE_WAY("kernel", run_add)};
