// Group norm of other types than f32: halves in f32, the others in double.
#include "ops/norm/group_norm.h"
#include "ops/norm/norm_rows.h"

#include "tensor/size.h"

#include <string.h>

// Weights as if of x [N,groups,C/groups,places].
static rml_tensor weights_of(const rml_op_args *args, int input, const rml_shape *split)
{
    const rml_tensor *w = rml_op_input(args, input);
    if (!w)
        return (rml_tensor){.rank = -1};
    rml_tensor view = rml_tensor_typed(w->raw, w->dtype, split);
    const bool of_groups = w->dim[0] == split->dim[1];
    view.stride[0] = view.stride[3] = 0;
    view.stride[1] = of_groups ? 1 : split->dim[2];
    view.stride[2] = of_groups ? 0 : 1;
    return view;
}

void rml_group_norm_run_wide(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0];
    const size_t groups = rml_group_norm_groups(args), channels = (size_t)x->dim[1];
    const size_t items = (size_t)x->dim[0], places = rml_tensor_span(x, 2, x->rank);
    if (items * channels * places == 0)
        return;
    const rml_shape split = {
        4, {(int64_t)items, (int64_t)groups, (int64_t)(channels / groups), (int64_t)places}};
    const rml_norm_rows norm = {.rows = items * groups,
                                .count = channels / groups * places,
                                .eps = (double)args->attr->group_norm.eps,
                                .gamma = weights_of(args, 1, &split),
                                .beta = weights_of(args, 2, &split)};
    rml_norm_rows_run(args, &norm);
}

// Halves run in f32, in scratch behind that of f32.
static float *wide_of(const rml_op_args *args)
{
    return (float *)(void *)(args->scratch +
                             rml_round_up(rml_group_norm_scratch(args), RML_ALIGNMENT));
}

size_t rml_group_norm_half_scratch(const rml_op_args *args)
{
    const size_t bytes = rml_sat_mul(rml_tensor_count(&args->in[0]), sizeof(float));
    return rml_sat_add(rml_round_up(rml_group_norm_scratch(args), RML_ALIGNMENT), bytes);
}

static void widen(const rml_op_args *args, size_t begin, size_t end)
{
    rml_dtype_convert(args->in[0].dtype, rml_tensor_at(&args->in[0], (int64_t)begin), RML_F32,
                      wide_of(args) + begin, end - begin);
}

static void narrow(const rml_op_args *args, size_t begin, size_t end)
{
    rml_dtype_convert(RML_F32, wide_of(args) + begin, args->out[0].dtype,
                      rml_tensor_at(&args->out[0], (int64_t)begin), end - begin);
}

void rml_group_norm_run_half(const rml_op_args *args)
{
    const size_t count = rml_tensor_count(&args->in[0]);
    const rml_shape shape = rml_tensor_shape(&args->in[0]);
    rml_tensor in[4] = {[3] = {.rank = -1}};
    memcpy(in, args->in, (size_t)args->in_count * sizeof *in);
    in[0] = rml_tensor_typed(wide_of(args), RML_F32, &shape);
    rml_op_args inner = *args;
    inner.in = in;
    inner.out = in;
    rml_op_parallel(args, count, sizeof(float), widen);
    rml_group_norm_run(&inner);
    rml_op_parallel(args, count, sizeof(float), narrow);
}

bool rml_group_norm_is_half(const rml_op_args *args)
{
    return rml_dtype_is_half(args->in[0].dtype);
}
