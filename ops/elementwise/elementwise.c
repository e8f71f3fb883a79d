// Unary functions, and binary operators with broadcast by the rules of numpy.
#include "ops/elementwise/nd_iterator.h"

#include <string.h>

#define MAX_STEP 512 // floats on the stack where an operand is not contiguous

// ---- unary --------------------------------------------------------------------------------------

typedef struct unary_context {
    const rml_kernels *kernels;
    const rml_activation *act;
} unary_context;

static void unary_run_inner(const void *context, float *const *at, const int64_t *stride,
                            size_t count)
{
    const unary_context *unary = context;
    rml_unary_f32_fn *fn = unary->kernels->unary[unary->act->kind];
    if (stride[0] == 1 && stride[1] == 1) {
        fn(at[1], at[0], count, unary->act->param);
        return;
    }
    for (size_t i = 0; i < count; i++)
        fn(at[1] + (int64_t)i * stride[1], at[0] + (int64_t)i * stride[0], 1, unary->act->param);
}

static void run_unary(const rml_op_args *args)
{
    const rml_tensor *views[2] = {&args->out[0], &args->in[0]};
    const rml_nd_iterator walk = rml_nd_iterator_make(views, 2);
    const unary_context context = {args->kernels, &args->attr->unary};
    rml_nd_iterator_run(&walk, args->pool, unary_run_inner, &context);
}

static const rml_algorithm unary_algorithms[] = {{.name = "elementwise", .run = run_unary}};

const rml_op rml_op_unary = {.name = "unary",
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .layout = RML_OP_FOLLOW,
                             .packed_input = -1,
                             .in_place = true,
                             .infer = rml_infer_same,
                             .algorithms = unary_algorithms};

// ---- binary -------------------------------------------------------------------------------------

static rml_status infer_binary(const rml_op_attr *attr, const rml_shape *in, int in_count,
                               rml_shape *out, rml_error *err)
{
    (void)attr;
    return rml_broadcast_shape(in, in_count, out, err);
}

typedef struct binary_context {
    const rml_kernels *kernels;
    const rml_binary_attr *attr;
} binary_context;

static void binary_run_inner(const void *context, float *const *at, const int64_t *stride,
                             size_t count)
{
    const binary_context *binary = context;
    const rml_kernels *kernels = binary->kernels;
    const rml_binary kind = binary->attr->kind;
    const rml_activation *act = &binary->attr->act;
    float buffer[3][MAX_STEP];
    if (stride[0] == 1 && (stride[1] == 1 || stride[2] == 1) && stride[1] >= 0 && stride[1] <= 1 &&
        stride[2] >= 0 && stride[2] <= 1) {
        if (stride[1] == 1 && stride[2] == 1)
            kernels->binary[kind](at[1], at[2], at[0], count);
        else if (stride[1] == 1)
            kernels->binary_scalar[kind](at[1], *at[2], at[0], count, false);
        else
            kernels->binary_scalar[kind](at[2], *at[1], at[0], count, true);
        if (!rml_activation_is_none(act))
            kernels->unary[act->kind](at[0], at[0], count, act->param);
        return;
    }
    for (size_t first = 0; first < count; first += MAX_STEP) {
        const size_t step = count - first < MAX_STEP ? count - first : MAX_STEP;
        for (int v = 1; v < 3; v++)
            for (size_t i = 0; i < step; i++)
                buffer[v][i] = at[v][(int64_t)(first + i) * stride[v]];
        kernels->binary[kind](buffer[1], buffer[2], buffer[0], step);
        if (!rml_activation_is_none(act))
            kernels->unary[act->kind](buffer[0], buffer[0], step, act->param);
        for (size_t i = 0; i < step; i++)
            at[0][(int64_t)(first + i) * stride[0]] = buffer[0][i];
    }
}

static void run_binary(const rml_op_args *args)
{
    const rml_tensor *views[3] = {&args->out[0], &args->in[0], &args->in[1]};
    const rml_nd_iterator walk = rml_nd_iterator_make(views, 3);
    const binary_context context = {args->kernels, &args->attr->binary};
    rml_nd_iterator_run(&walk, args->pool, binary_run_inner, &context);
}

static const rml_algorithm binary_algorithms[] = {{.name = "elementwise", .run = run_binary}};

const rml_op rml_op_binary = {.name = "binary",
                              .min_inputs = 2,
                              .max_inputs = 2,
                              .layout = RML_OP_FOLLOW,
                              .packed_input = -1,
                              .in_place = true,
                              .infer = infer_binary,
                              .algorithms = binary_algorithms};
