// Functions of one operand, see kernels/functions.inc: f32 kernels where there are any, and
// otherwise widened to double or to integers of 64 bits, a chunk at a time.
#include "ops/alone.h"
#include "ops/elementwise/functions.h"
#include "ops/elementwise/nd_iterator.h"
#include "ops/elementwise/widen.h"

#include "tensor/size.h"

static rml_status types(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    const rml_unary kind = node->attr->unary.kind;
    if (!rml_unary_takes(kind, node->in[0].dtype))
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s of %s is not defined", rml_unary_name(kind),
                        rml_dtype_name(node->in[0].dtype));
    *out = kind == RML_UNARY_IS_NAN || kind == RML_UNARY_IS_INF ? RML_BOOL : node->in[0].dtype;
    return RML_OK;
}

static void run_over(const rml_op_args *args, rml_nd_iterator_fn fn)
{
    const rml_tensor *views[2] = {&args->out[0], &args->in[0]};
    const rml_nd_iterator walk = rml_nd_iterator_make(views, 2);
    rml_nd_iterator_run(&walk, args->pool, fn, args);
}

// ---- f32 kernels --------------------------------------------------------------------------------

static bool has_kernel(const rml_op_args *args)
{
    const rml_unary kind = args->attr->unary.kind;
    return args->in[0].dtype == RML_F32 &&
           (kind < RML_UNARY_KERNELS || kind == RML_UNARY_RECIPROCAL);
}

static void kernel_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const rml_op_args *args = context;
    const rml_activation *function = &args->attr->unary;
    const rml_kernels *kernels = args->kernels;
    const bool dense = stride[0] == 1 && stride[1] == 1;
    const size_t step = dense ? count : 1;
    for (size_t i = 0; i < count; i += step) {
        const float *src = at[1] + (int64_t)i * stride[1];
        float *dst = at[0] + (int64_t)i * stride[0];
        if (function->kind == RML_UNARY_RECIPROCAL)
            RML_KERNEL(kernels, binary_scalar[RML_BINARY_DIV])(src, 1, dst, step, true);
        else
            RML_KERNEL(kernels, unary[function->kind])(src, dst, step, function->param);
    }
}

static void run_kernel(const rml_op_args *args)
{
    run_over(args, kernel_run);
}

// ---- other types in loops of their own ----------------------------------------------------------

static bool has_typed(const rml_op_args *args)
{
    const rml_activation *function = &args->attr->unary;
    const uint64_t none[1] = {0};
    uint64_t out[1];
    return RML_KERNEL(args->kernels, typed_unary)(function->kind, args->in[0].dtype, none, out, 0,
                                                  function->param);
}

static void typed_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const rml_op_args *args = context;
    const rml_activation *function = &args->attr->unary;
    const rml_dtype type = args->in[0].dtype;
    const int64_t bytes = (int64_t)rml_dtype_size(type);
    const int64_t out_bytes = (int64_t)rml_dtype_size(args->out[0].dtype);
    const size_t step = stride[0] == 1 && stride[1] == 1 ? count : 1;
    for (size_t i = 0; i < count; i += step)
        RML_KERNEL(args->kernels, typed_unary)
    (function->kind, type, (const char *)at[1] + (int64_t)i * stride[1] * bytes,
     (char *)at[0] + (int64_t)i * stride[0] * out_bytes, step, function->param);
}

static void run_typed(const rml_op_args *args)
{
    run_over(args, typed_run);
}

// ---- any type -----------------------------------------------------------------------------------

static void wide_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const rml_op_args *args = context;
    const rml_activation *function = &args->attr->unary;
    const rml_dtype from = args->in[0].dtype, to = args->out[0].dtype;
    const rml_wide wide = rml_wide_of(from);
    for (size_t done = 0; done < count; done += RML_WIDEN_COUNT) {
        const size_t some = rml_min_size(RML_WIDEN_COUNT, count - done);
        rml_widen chunk;
        rml_widen_load(from, at[1], stride[1], done, some, wide, &chunk);
        if (wide == RML_WIDE_F64)
            for (size_t i = 0; i < some; i++)
                chunk.f64[i] = rml_unary_f64(function, chunk.f64[i]);
        else
            for (size_t i = 0; i < some; i++)
                chunk.i64[i] = rml_unary_i64(function, chunk.i64[i], wide == RML_WIDE_U64);
        rml_widen_store(to, at[0], stride[0], done, some, wide, &chunk);
    }
}

static void run_wide(const rml_op_args *args)
{
    run_over(args, wide_run);
}

static const rml_algorithm algorithms[] = {
    {.name = "kernel", .accepts = has_kernel, .run = run_kernel},
    {.name = "typed", .accepts = has_typed, .run = run_typed},
    {.name = "widened", .run = run_wide}};

const rml_op rml_op_unary = {.id = RML_OP_UNARY,
                             .name = "unary",
                             .inputs = {1, 1},
                             .layout = RML_OP_FOLLOW,
                             .in_place = true,
                             .types = types,
                             .infer = rml_infer_same,
                             .algorithms = algorithms};

// ---- a clamp of f32 -----------------------------------------------------------------------------

static void clamp_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const rml_op_args *args = context;
    const size_t step = stride[0] == 1 && stride[1] == 1 ? count : 1;
    for (size_t i = 0; i < count; i += step)
        RML_KERNEL(args->kernels, unary_CLAMP)
    (at[1] + (int64_t)i * stride[1], at[0] + (int64_t)i * stride[0], step, args->attr->unary.param);
}

static void run_clamp(const rml_op_args *args)
{
    run_over(args, clamp_run);
}

const rml_op rml_op_clamp_alone = {.id = RML_OP_UNARY,
                                   .name = "unary",
                                   .inputs = {1, 1},
                                   .layout = RML_OP_FOLLOW,
                                   .in_place = true,
                                   .infer = rml_infer_same,
                                   .algorithms = RML_ONE_WAY("kernel", run_clamp)};
