// Matrix products.
#include "writers/coreml/nn.h"

static const rml_value *value_of(const rml_graph *graph, const rml_node *node, int input)
{
    return &graph->values[node->in[input]];
}

static const char *lacks_matmul(const rml_net_node *n)
{
    if (!rml_activation_is_none(&n->attr->matmul.act))
        return "an activation inside";
    return rml_input_given(n->node, 3) ? "a form for speed alone" : NULL;
}

// Whether the second operand is a matrix of weights.
static bool has_weights(const rml_graph *graph, const rml_node *node)
{
    const rml_value *b = value_of(graph, node, 1);
    return b->kind == RML_VALUE_CONSTANT && b->shape.rank == 2 && b->dtype == RML_F32 &&
           value_of(graph, node, 0)->shape.rank >= 2 && !node->attr.matmul.transpose_a &&
           node->attr.matmul.alpha == 1;
}

// Whether what is added is a number for each column.
static bool has_bias(const rml_graph *graph, const rml_node *node, int64_t columns)
{
    size_t count;
    if (!rml_input_given(node, 2) || node->attr.matmul.beta != 1)
        return false;
    const rml_value *c = value_of(graph, node, 2);
    return c->kind == RML_VALUE_CONSTANT && rml_shape_count(&c->shape, &count) && columns > 0 &&
           count == (size_t)columns && c->shape.dim[c->shape.rank - 1] == columns;
}

// The matrix as a linear layer has it, (columns, rows).
static const float *columns_of(rml_net_emitter *e, const rml_node *node, size_t *count)
{
    const rml_shape *shape = rml_net_shape(e, 1);
    const float *numbers = rml_net_numbers(e, node->in[1], count);
    if (!numbers || node->attr.matmul.transpose_b)
        return numbers;
    const size_t rows = (size_t)shape->dim[0], columns = (size_t)shape->dim[1];
    float *turned = rml_net_alloc(e, *count);
    for (size_t i = 0; turned && i < rows; i++)
        for (size_t k = 0; k < columns; k++)
            turned[k * rows + i] = numbers[i * columns + k];
    return turned;
}

void rml_net_inner_product(rml_net_emitter *e, const rml_node *node, bool bias, const char *out)
{
    const rml_shape *shape = rml_net_shape(e, 1);
    const bool turned = node->attr.matmul.transpose_b;
    const int64_t rows = shape->dim[turned ? 1 : 0], columns = shape->dim[turned ? 0 : 1];
    // Of more dimensions, the layer takes the last three for one.
    const bool inner = e->old || rml_net_shape(e, 0)->rank <= 3;
    size_t count;
    const float *numbers = columns_of(e, node, &count);
    rml_net_one(e, inner ? RML_NET_INNER_PRODUCT : RML_NET_MATMUL, rml_net_in(e, 0), out);
    rml_fields_int(&e->m, inner ? 1 : 5, rows);
    rml_fields_int(&e->m, inner ? 2 : 6, columns);
    rml_net_int(e, inner ? 10 : 7, bias);
    rml_net_weights(e, inner ? 20 : 8, numbers, count, (size_t)columns, (size_t)rows);
    if (bias) {
        numbers = rml_net_numbers(e, node->in[2], &count);
        rml_net_vector(e, inner ? 21 : 9, numbers, count, false);
    }
    rml_net_end(e);
}

// A vector as a row, or as a column.
static const char *as_matrix(rml_net_emitter *e, int input)
{
    const rml_shape *shape = rml_net_shape(e, input);
    const char *in = rml_net_in(e, input);
    if (shape->rank != 1)
        return in;
    const rml_shape row = {2, {1, shape->dim[0]}}, column = {2, {shape->dim[0], 1}};
    const char *matrix = rml_net_between(e);
    rml_net_reshape(e, in, input ? &column : &row, matrix);
    return matrix;
}

static void emit_product(rml_net_emitter *e, const rml_node *node, const char *out)
{
    const bool vectors = rml_net_shape(e, 0)->rank == 1 || rml_net_shape(e, 1)->rank == 1;
    const char *const in[] = {as_matrix(e, 0), as_matrix(e, 1)};
    const char *product = vectors ? rml_net_between(e) : out;
    rml_net_layer(e, RML_NET_MATMUL, in, 2, &product, 1);
    rml_net_int(e, 1, node->attr.matmul.transpose_a);
    rml_net_int(e, 2, node->attr.matmul.transpose_b);
    rml_net_end(e);
    if (vectors)
        rml_net_reshape(e, product, rml_net_out_shape(e, 0), out);
}

static void emit_matmul(rml_net_emitter *e, const rml_node *node)
{
    const rml_matmul_attr *matmul = &node->attr.matmul;
    const char *out = rml_net_out(e, 0);
    const bool weights = has_weights(e->graph, node);
    const int64_t columns = rml_net_shape(e, 1)->dim[matmul->transpose_b ? 0 : 1];
    const bool bias = weights && has_bias(e->graph, node, columns);
    const bool adds = rml_input_given(node, 2) && !bias;
    const char *product = adds || matmul->alpha != 1 ? rml_net_between(e) : out;
    if (weights)
        rml_net_inner_product(e, node, bias, product);
    else
        emit_product(e, node, product);
    if (matmul->alpha != 1) {
        const char *scaled = adds ? rml_net_between(e) : out;
        rml_net_linear(e, product, matmul->alpha, 0, scaled);
        product = scaled;
    }
    if (!adds)
        return;
    const char *c = rml_net_in(e, 2), *scaled = c;
    if (matmul->beta != 1)
        rml_net_linear(e, c, matmul->beta, 0, scaled = rml_net_between(e));
    rml_net_binary(e, RML_NET_ADD, product, scaled, out);
}

const rml_net_rule rml_net_product_rules[] = {
    {RML_OP_MATMUL, lacks_matmul, emit_matmul},
    {RML_OP_COUNT, NULL, NULL},
};
