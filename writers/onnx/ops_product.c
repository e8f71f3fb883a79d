// Matrix products: MatMul, Gemm, Einsum, Det.
#include "writers/onnx/emit.h"

static bool is_given(const rml_node *node, int index)
{
    return index < node->in_count && node->in[index] != RML_NO_VALUE;
}

static bool is_plain(const rml_node *node)
{
    const rml_matmul_attr *attr = &node->attr.matmul;
    return !attr->transpose_a && !attr->transpose_b && attr->alpha == 1 && !is_given(node, 2);
}

// Of two matrices; what is added is broadcast to the result.
static bool is_gemm(const rml_graph *graph, const rml_node *node)
{
    const rml_shape *a = &graph->values[node->in[0]].shape;
    const rml_shape *b = &graph->values[node->in[1]].shape;
    const rml_dtype dtype = graph->values[node->in[0]].dtype;
    if (a->rank != 2 || b->rank != 2 || dtype != graph->values[node->in[1]].dtype)
        return false;
    if (!is_given(node, 2))
        return true;
    const rml_shape *c = &graph->values[node->in[2]].shape;
    const int64_t rows = a->dim[node->attr.matmul.transpose_a];
    const int64_t columns = b->dim[!node->attr.matmul.transpose_b];
    if (c->rank < 0 || c->rank > 2 || graph->values[node->in[2]].dtype != dtype)
        return false;
    const int64_t last = c->rank ? c->dim[c->rank - 1] : 1;
    return (last == 1 || (last >= 0 && last == columns)) &&
           (c->rank < 2 || c->dim[0] == 1 || (c->dim[0] >= 0 && c->dim[0] == rows));
}

static const char *lacks_matmul(const rml_to_onnx_ask *ask)
{
    const rml_node *node = ask->node;
    if (!rml_activation_is_none(&node->attr.matmul.act) || is_given(node, 3))
        return "it is part of another one";
    return is_plain(node) || is_gemm(ask->graph, node)
               ? NULL
               : "products of more than two dimensions have no factors";
}

static void write_matmul(rml_to_onnx *w, const rml_node *node)
{
    const rml_matmul_attr *attr = &node->attr.matmul;
    const bool plain = is_plain(node);
    rml_to_onnx_open(w, node, plain ? "MatMul" : "Gemm");
    if (attr->transpose_a)
        rml_to_onnx_int(w, "transA", 1);
    if (attr->transpose_b)
        rml_to_onnx_int(w, "transB", 1);
    if (!plain && attr->alpha != 1)
        rml_to_onnx_float(w, "alpha", (double)attr->alpha);
    if (!plain && attr->beta != 1)
        rml_to_onnx_float(w, "beta", (double)attr->beta);
    rml_to_onnx_close(w, node);
}

static void write_einsum(rml_to_onnx *w, const rml_node *node)
{
    rml_to_onnx_open(w, node, "Einsum");
    rml_to_onnx_text(w, "equation", node->attr.einsum.equation);
    rml_to_onnx_close(w, node);
}

const rml_to_onnx_entry rml_to_onnx_product[] = {
    {.op = RML_OP_MATMUL, .lacks = lacks_matmul, .write = write_matmul},
    {.op = RML_OP_EINSUM, .write = write_einsum},
    {.op = RML_OP_DET, .op_type = "Det"},
    {.op = RML_OP_INTEGER_MATMUL, .op_type = "MatMulInteger"},
    {0},
};
