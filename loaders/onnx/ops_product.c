// Matrix products: MatMul, Gemm, Einsum, Det.
#include "loaders/onnx/handler.h"
#include "loaders/onnx/make.h"

#include <string.h>

// Halves are computed in f32 and rounded once.
static rml_dtype work_dtype(const rml_onnx_call *call)
{
    const rml_dtype dtype = rml_onnx_fact(call, 0).dtype;
    return rml_dtype_is_half(dtype) ? RML_F32 : dtype;
}

static rml_value_id operand(rml_onnx_call *call, int input)
{
    return rml_onnx_cast(call, rml_onnx_in(call, input), work_dtype(call));
}

static void product(rml_onnx_call *call, const rml_matmul_attr *matmul, rml_value_id c)
{
    const rml_op_attr attr = {.matmul = *matmul};
    const rml_value_id in[] = {operand(call, 0), operand(call, 1), c};
    call->out[0] = rml_onnx_cast(call, rml_onnx_make(call, RML_OP_MATMUL, &attr, in, 3),
                                 rml_onnx_fact(call, 0).dtype);
}

static void import_matmul(rml_onnx_call *call)
{
    const rml_matmul_attr plain = rml_matmul_plain(false, false);
    product(call, &plain, RML_NO_VALUE);
}

static void import_gemm(rml_onnx_call *call)
{
    rml_matmul_attr matmul = rml_matmul_plain(rml_onnx_int(call, "transA", 0) != 0,
                                              rml_onnx_int(call, "transB", 0) != 0);
    const double beta = rml_onnx_float(call, "beta", 1);
    const bool adds = beta != 0 && rml_onnx_in(call, 2) != RML_NO_VALUE;
    matmul.alpha = (float)rml_onnx_float(call, "alpha", 1);
    matmul.beta = adds ? (float)beta : 1;
    rml_onnx_ignore(call, "broadcast"); // before opset 7; shapes tell the same
    for (int k = 0; k < 2; k++) {
        const int rank = rml_onnx_fact(call, k).shape.rank;
        if (rank >= 0 && rank != 2) {
            rml_onnx_refuse(call, "input %d has %d dimensions, not 2", k, rank);
            return;
        }
    }
    product(call, &matmul, adds ? operand(call, 2) : RML_NO_VALUE);
}

static void import_fused_gemm(rml_onnx_call *call)
{
    static const char *const names[] = {"activation_alpha", "activation_beta", "activation_gamma"};
    const char *name = rml_onnx_text_of(call, "activation", NULL);
    float param[2];
    size_t count = 0;
    for (int i = 0; i < 3; i++) { // in the order of the function's own
        const float value = (float)rml_onnx_float(call, names[i], 0);
        if (rml_onnx_has(call, names[i]) && count < 2)
            param[count++] = value;
    }
    import_gemm(call);
    call->out[0] = rml_onnx_activate(call, call->out[0], name, param, count);
}

// Dimensions 1 to rank - 2 in front of dimension 0, if they are the batch.
static rml_value_id batch_first(rml_onnx_call *call, int input, bool turns)
{
    const rml_value_id x = operand(call, input);
    const int rank = rml_onnx_fact(call, input).shape.rank;
    int order[RML_MAX_RANK];
    if (!turns || rank == 2)
        return x;
    if (rank < 2) {
        rml_onnx_refuse(call, "the number of dimensions of input %d is not known", input);
        return RML_NO_VALUE;
    }
    for (int i = 0; i < rank - 2; i++)
        order[i] = i + 1;
    order[rank - 2] = 0;
    order[rank - 1] = rank - 1;
    return rml_graph_transpose(call->graph, x, order, rank, call->name);
}

static void import_fused_matmul(rml_onnx_call *call)
{
    rml_op_attr attr = {.matmul = rml_matmul_plain(rml_onnx_int(call, "transA", 0) != 0,
                                                   rml_onnx_int(call, "transB", 0) != 0)};
    attr.matmul.alpha = (float)rml_onnx_float(call, "alpha", 1);
    const rml_value_id in[] = {batch_first(call, 0, rml_onnx_int(call, "transBatchA", 0) != 0),
                               batch_first(call, 1, rml_onnx_int(call, "transBatchB", 0) != 0)};
    if (!call->refused)
        call->out[0] = rml_onnx_cast(call, rml_onnx_make(call, RML_OP_MATMUL, &attr, in, 2),
                                     rml_onnx_fact(call, 0).dtype);
}

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
    rml_onnx_emit(call, RML_OP_EINSUM, &attr, call->in, call->in_count);
}

const rml_onnx_entry rml_onnx_product[] = {
    {.op_type = "MatMul", .import = import_matmul, .since = 1},
    {.op_type = "Gemm", .import = import_gemm, .since = 1},
    {.op_type = "com.microsoft.FusedGemm", .import = import_fused_gemm},
    {.op_type = "com.microsoft.FusedMatMul", .import = import_fused_matmul},
    {.op_type = "Einsum", .import = import_einsum, .since = 12},
    {.op_type = "Det", .op = RML_OP_DET, .since = 11},
    {.op_type = NULL},
};
