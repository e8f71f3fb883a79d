// Operators along one axis: softmax, sum, mean, maximum.
#include "ops/walk.h"

#include "tensor/size.h"

static rml_status check_axis(int axis, const rml_shape *shape, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    if (axis < 0 || axis >= shape->rank)
        return rml_fail(err, RML_ERR_SHAPE, "axis %d is not one of input %s", axis,
                        rml_shape_text(shape, text));
    return RML_OK;
}

// ---- softmax ------------------------------------------------------------------------------------

static rml_status infer_softmax(const rml_op_attr *attr, const rml_shape *in, int in_count,
                                rml_shape *out, rml_error *err)
{
    (void)in_count;
    RML_TRY(check_axis(attr->softmax.axis, &in[0], err));
    *out = in[0];
    return RML_OK;
}

static size_t row_bytes(const rml_op_args *args)
{
    return rml_round_up((size_t)args->in[0].dim[args->attr->softmax.axis] * sizeof(float),
                        RML_ALIGNMENT);
}

static size_t softmax_scratch(const rml_op_args *args)
{
    return (size_t)args->threads * row_bytes(args);
}

static void softmax_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const int axis = args->attr->softmax.axis;
    const size_t count = (size_t)in->dim[axis];
    const int64_t step = in->stride[axis]; // both views are plain, so strides agree
    float *row = (float *)(args->scratch + (size_t)worker * row_bytes(args));
    for (size_t i = begin; i < end; i++) {
        const size_t inner = (size_t)step;
        const size_t at = i / inner * inner * count + i % inner;
        if (step == 1) {
            args->kernels->softmax(in->data + at, out->data + at, count);
            continue;
        }
        for (size_t k = 0; k < count; k++)
            row[k] = in->data[at + k * inner];
        args->kernels->softmax(row, row, count);
        for (size_t k = 0; k < count; k++)
            out->data[at + k * inner] = row[k];
    }
}

static void run_softmax(const rml_op_args *args)
{
    const size_t count = (size_t)args->in[0].dim[args->attr->softmax.axis];
    rml_op_args copy = *args;
    if (count)
        rml_pool_run(args->pool, rml_tensor_count(&args->in[0]) / count, 16, softmax_rows, &copy);
}

static const rml_algorithm softmax_algorithms[] = {
    {.name = "rows", .scratch_bytes = softmax_scratch, .run = run_softmax}};

const rml_op rml_op_softmax = {.name = "softmax",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .layout = RML_OP_PLAIN,
                               .packed_input = -1,
                               .in_place = true,
                               .infer = infer_softmax,
                               .algorithms = softmax_algorithms};

// ---- reductions: slice after slice in rising order, so that the order depends on the shape only -

static rml_status infer_reduce(const rml_op_attr *attr, const rml_shape *in, int in_count,
                               rml_shape *out, rml_error *err)
{
    const rml_reduce_attr *reduce = &attr->reduce;
    (void)in_count;
    RML_TRY(check_axis(reduce->axis, &in[0], err));
    if (in[0].dim[reduce->axis] == 0)
        return rml_fail(err, RML_ERR_SHAPE, "nothing to reduce: axis %d has size 0", reduce->axis);
    *out = (rml_shape){.rank = 0};
    for (int i = 0; i < in[0].rank; i++)
        if (i != reduce->axis)
            out->dim[out->rank++] = in[0].dim[i];
        else if (reduce->keep)
            out->dim[out->rank++] = 1;
    return RML_OK;
}

typedef struct reduce_context {
    const rml_kernels *kernels;
    const rml_reduce_attr *attr;
    int64_t count, step; // of the reduced axis
} reduce_context;

static void reduce_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const reduce_context *reduce = context;
    const rml_binary kind = reduce->attr->kind == RML_REDUCE_MAX ? RML_BINARY_MAX : RML_BINARY_ADD;
    rml_binary_f32_fn *fn = reduce->kernels->binary[kind];
    const bool contiguous = stride[0] == 1 && stride[1] == 1;
    for (size_t i = 0; i < count; i++)
        at[0][(int64_t)i * stride[0]] = at[1][(int64_t)i * stride[1]];
    for (int64_t k = 1; k < reduce->count; k++) {
        const float *slice = at[1] + k * reduce->step;
        if (contiguous)
            fn(at[0], slice, at[0], count);
        else
            for (size_t i = 0; i < count; i++) {
                float *sum = at[0] + (int64_t)i * stride[0];
                fn(sum, slice + (int64_t)i * stride[1], sum, 1);
            }
    }
    if (reduce->attr->kind == RML_REDUCE_MEAN)
        for (size_t i = 0; i < count; i++)
            at[0][(int64_t)i * stride[0]] /= (float)reduce->count;
}

static void run_reduce(const rml_op_args *args)
{
    const rml_reduce_attr *reduce = &args->attr->reduce;
    const reduce_context context = {args->kernels, reduce, args->in[0].dim[reduce->axis],
                                    args->in[0].stride[reduce->axis]};
    // The first slice, in the shape of the output.
    rml_tensor slice = {.data = args->in[0].data};
    for (int i = 0; i < args->in[0].rank; i++) {
        if (i == reduce->axis && !reduce->keep)
            continue;
        slice.dim[slice.rank] = i == reduce->axis ? 1 : args->in[0].dim[i];
        slice.stride[slice.rank++] = args->in[0].stride[i];
    }
    const rml_tensor *views[2] = {&args->out[0], &slice};
    const rml_walk walk = rml_walk_make(views, 2);
    rml_walk_run(&walk, args->pool, reduce_run, &context);
}

static const rml_algorithm reduce_algorithms[] = {{.name = "slices", .run = run_reduce}};

const rml_op rml_op_reduce = {.name = "reduce",
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .layout = RML_OP_PLAIN,
                              .packed_input = -1,
                              .infer = infer_reduce,
                              .algorithms = reduce_algorithms};
