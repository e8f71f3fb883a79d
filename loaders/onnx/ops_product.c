// Matrix products: MatMul, Gemm, Einsum, Det.
#include "loaders/onnx/handler.h"
#include "loaders/onnx/make.h"

#include <string.h>

// ---- products with constant weights -------------------------------------------------------------

// A weight of two dimensions with the outputs in rows, as `linear` wants it: turned where `turn`
// says so, which costs nothing as strides are free. False where the weight is not for `linear`.
static bool take_weight(const rml_onnx_call *call, rml_value_id value, bool turn, rml_stored *out)
{
    const rml_stored *stored = rml_onnx_stored(call, value);
    if (!stored || stored->shape.rank != 2 || stored->shape.dim[0] < 1 || stored->shape.dim[1] < 1)
        return false;
    if (stored->dtype != RML_F32 && !rml_dtype_is_half(stored->dtype))
        return false;
    *out = *stored;
    if (turn)
        for (int i = 0; i < 2; i++) {
            out->shape.dim[i] = stored->shape.dim[1 - i];
            out->stride[i] = stored->stride[1 - i];
        }
    return true;
}

// A constant for `linear`, times `factor`.
static rml_value_id packed_constant(rml_onnx_call *call, const char *name, const rml_stored *stored,
                                    double factor)
{
    rml_constant constant = {.stored = *stored};
    const size_t count = (size_t)stored->shape.dim[0];
    if (factor != 1) {
        double *scale = rml_arena_alloc(&call->graph->arena, count, sizeof *scale);
        if (!scale)
            return rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for a constant");
        for (size_t i = 0; i < count; i++)
            scale[i] = factor;
        constant.scale = scale;
    }
    return rml_graph_constant(call->graph, name, &constant);
}

static const char *value_name(const rml_onnx_call *call, int input)
{
    return call->graph->values[rml_onnx_in(call, input)].name;
}

// Halves are computed in f32 and rounded once.
static rml_dtype work_dtype(const rml_onnx_call *call)
{
    const rml_dtype dtype = rml_onnx_fact(call, 0).dtype;
    return rml_dtype_is_half(dtype) ? RML_F32 : dtype;
}

// ---- MatMul -------------------------------------------------------------------------------------

static void import_matmul(rml_onnx_call *call)
{
    const rml_fact a = rml_onnx_fact(call, 0);
    const rml_dtype work = work_dtype(call);
    const rml_value_id x = rml_onnx_cast(call, rml_onnx_in(call, 0), work);
    rml_value_id y;
    rml_stored weight;
    if (work == RML_F32 && a.shape.rank != 0 &&
        take_weight(call, rml_onnx_in(call, 1), true, &weight)) {
        const rml_value_id w = packed_constant(call, value_name(call, 1), &weight, 1);
        y = rml_graph_linear(call->graph, x, w, RML_NO_VALUE, call->name);
    } else {
        const rml_value_id b = rml_onnx_cast(call, rml_onnx_in(call, 1), work);
        y = rml_graph_matmul(call->graph, x, b, false, false, call->name);
    }
    call->out[0] = rml_onnx_cast(call, y, a.dtype);
}

// ---- Gemm ---------------------------------------------------------------------------------------

typedef struct gemm {
    double alpha, beta;
    bool turn_a, turn_b;
    rml_value_id c; // RML_NO_VALUE: none, or done with
} gemm;

static rml_value_id scaled(rml_onnx_call *call, rml_value_id x, double factor)
{
    if (factor == 1 || x >= call->graph->value_count)
        return x;
    const rml_dtype dtype = call->graph->values[x].dtype;
    const bool floats = dtype == RML_F32 || dtype == RML_F64;
    if (!floats && factor != (double)(int64_t)factor) {
        rml_onnx_refuse(call, "a factor of %g for %s", factor, rml_dtype_name(dtype));
        return RML_NO_VALUE;
    }
    return rml_onnx_multiply(call, x, rml_onnx_scalar(call, dtype, factor));
}

// The bias of `linear`: a constant of one number an output. Otherwise RML_NO_VALUE, and C stays to
// be added.
static rml_value_id take_bias(rml_onnx_call *call, gemm *g, int64_t outputs)
{
    const rml_stored *stored = rml_onnx_stored(call, g->c);
    if (!stored || (stored->dtype != RML_F32 && !rml_dtype_is_half(stored->dtype)))
        return RML_NO_VALUE;
    const int rank = stored->shape.rank;
    rml_stored bias = *stored;
    if (rank < 1 || rank > 2 || stored->shape.dim[rank - 1] != outputs ||
        (rank == 2 && stored->shape.dim[0] != 1))
        return RML_NO_VALUE;
    bias.shape = (rml_shape){1, {outputs}};
    bias.stride[0] = stored->stride[rank - 1];
    g->c = RML_NO_VALUE;
    return packed_constant(call, value_name(call, 2), &bias, g->beta);
}

static rml_value_id gemm_linear(rml_onnx_call *call, gemm *g, rml_value_id a,
                                const rml_stored *weight)
{
    static const int turned[2] = {1, 0};
    if (g->turn_a)
        a = rml_graph_transpose(call->graph, a, turned, 2, call->name);
    const rml_value_id w = packed_constant(call, value_name(call, 1), weight, g->alpha);
    const rml_value_id bias = take_bias(call, g, weight->shape.dim[0]);
    return rml_graph_linear(call->graph, a, w, bias, call->name);
}

static void import_gemm(rml_onnx_call *call)
{
    const rml_dtype dtype = rml_onnx_fact(call, 0).dtype, work = work_dtype(call);
    gemm g = {.alpha = rml_onnx_float(call, "alpha", 1),
              .beta = rml_onnx_float(call, "beta", 1),
              .turn_a = rml_onnx_int(call, "transA", 0) != 0,
              .turn_b = rml_onnx_int(call, "transB", 0) != 0,
              .c = rml_onnx_in(call, 2)};
    const rml_value_id a = rml_onnx_cast(call, rml_onnx_in(call, 0), work);
    rml_stored weight;
    rml_value_id y;
    rml_onnx_ignore(call, "broadcast"); // before opset 7; shapes tell the same
    for (int k = 0; k < 2; k++) {
        const int rank = rml_onnx_fact(call, k).shape.rank;
        if (rank >= 0 && rank != 2) {
            rml_onnx_refuse(call, "input %d has %d dimensions, not 2", k, rank);
            return;
        }
    }
    if (g.beta == 0)
        g.c = RML_NO_VALUE;
    if (work == RML_F32 && take_weight(call, rml_onnx_in(call, 1), !g.turn_b, &weight)) {
        y = gemm_linear(call, &g, a, &weight);
    } else {
        const rml_value_id b = rml_onnx_cast(call, rml_onnx_in(call, 1), work);
        y = rml_graph_matmul(call->graph, a, b, g.turn_a, g.turn_b, call->name);
        y = scaled(call, y, g.alpha);
    }
    if (g.c != RML_NO_VALUE)
        y = rml_onnx_add(call, y, scaled(call, rml_onnx_cast(call, g.c, work), g.beta));
    call->out[0] = rml_onnx_cast(call, y, dtype);
}

// ---- Einsum, Det --------------------------------------------------------------------------------

static void import_einsum(rml_onnx_call *call)
{
    const char *text = rml_onnx_text_of(call, "equation", NULL);
    if (!text) {
        rml_onnx_refuse(call, "it has no equation");
        return;
    }
    char *plain = rml_arena_alloc(&call->graph->arena, strlen(text) + 1, 1);
    if (!plain) {
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for an equation");
        return;
    }
    size_t used = 0;
    for (; *text; text++)
        if (*text != ' ')
            plain[used++] = *text;
    plain[used] = 0;
    const rml_op_attr attr = {.einsum = {plain}};
    call->out[0] =
        rml_graph_node(call->graph, RML_OP_EINSUM, &attr, call->in, call->in_count, call->name);
}

static void import_det(rml_onnx_call *call)
{
    const rml_value_id x = rml_onnx_in(call, 0);
    call->out[0] = rml_graph_node(call->graph, RML_OP_DET, NULL, &x, 1, call->name);
}

const rml_onnx_entry rml_onnx_product[] = {
    {.op_type = "MatMul", .import = import_matmul, .since = 1},
    {.op_type = "Gemm", .import = import_gemm, .since = 1},
    {.op_type = "Einsum", .import = import_einsum, .since = 12},
    {.op_type = "Det", .import = import_det, .since = 11},
    {.op_type = NULL},
};
