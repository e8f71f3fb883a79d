#include "graph/passes/passes.h"
#include "ops/matmul/matmul.h"

// The live node that computes `value`, if nobody else reads it.
static rml_node *sole_producer(rml_graph *graph, rml_value_id value)
{
    if (value == RML_NO_VALUE || graph->values[value].kind != RML_VALUE_ACTIVATION ||
        graph->values[value].uses != 1)
        return NULL;
    return &graph->nodes[graph->values[value].producer];
}

// Products by constant matrices have an epilogue.
static bool is_layer(const rml_graph *graph, const rml_node *node)
{
    if (node->op != RML_OP_MATMUL)
        return false;
    const rml_value *b = &graph->values[node->in[1]];
    const bool has_c = node->in_count > 2 && node->in[2] != RML_NO_VALUE;
    return b->kind == RML_VALUE_CONSTANT && b->dtype == RML_F32 &&
           rml_matmul_fuses(&node->attr.matmul, &b->shape,
                            has_c ? &graph->values[node->in[2]].shape : NULL);
}

static bool is_product(const rml_graph *graph, const rml_node *node)
{
    return node->op == RML_OP_CONV || node->op == RML_OP_CONV_TRANSPOSE || is_layer(graph, node);
}

// Puts `producer` in the place of `consumer`, which stands later, so that everything it may read by
// now is computed before it; `consumer`'s output becomes its output.
static void take_place(rml_node *producer, rml_node *consumer)
{
    const rml_value_id out = consumer->out;
    *consumer = *producer;
    consumer->out = out;
    producer->dead = true;
}

// Where an activation behind the node can go; NULL: it stays a node.
static rml_activation *activation_of(const rml_graph *graph, rml_node *node)
{
    const bool lacks_epilogue =
        (node->op == RML_OP_MATMUL && !is_layer(graph, node)) ||
        (node->op == RML_OP_BINARY && node->attr.binary.kind >= RML_BINARY_KERNELS);
    return lacks_epilogue ? NULL : rml_op_activation(node->op, &node->attr);
}

// A constant added to each row of a linear layer that has no bias of its own, as graph files write
// layers: it is one.
static bool is_bias(const rml_graph *graph, const rml_node *product, rml_value_id other)
{
    const rml_value *value = &graph->values[other];
    const rml_shape *out = &graph->values[product->out].shape;
    return is_layer(graph, product) && value->kind == RML_VALUE_CONSTANT &&
           value->dtype == RML_F32 && value->shape.rank == 1 && out->rank > 0 &&
           value->shape.dim[0] == out->dim[out->rank - 1] &&
           (product->in_count < 3 || product->in[2] == RML_NO_VALUE);
}

// Two sizes that only the run tells may turn out to be broadcast, unless they have one symbol.
static bool is_residual(const rml_graph *graph, const rml_fact *facts, const rml_node *product,
                        rml_value_id other)
{
    return graph->values[other].kind != RML_VALUE_CONSTANT && facts[other].shape.rank >= 0 &&
           rml_shape_equal(&facts[other].shape, &facts[product->out].shape);
}

// The function that the node computes of its first input and that can be computed as part of
// another node; false for any other node. A power of two is a square, and PReLU with one slope for
// all is LeakyReLU.
static bool is_activation(const rml_graph *graph, const rml_node *node, rml_activation *act)
{
    double number;
    if (graph->values[node->out].dtype != RML_F32)
        return false;
    if (node->op == RML_OP_UNARY) {
        *act = node->attr.unary;
        return act->kind < RML_UNARY_KERNELS;
    }
    if (node->op != RML_OP_BINARY || !rml_activation_is_none(&node->attr.binary.act) ||
        !rml_constant_number(graph->values[node->in[1]].constant, &number) ||
        graph->values[node->in[0]].shape.rank < 0 ||
        !rml_shape_equal(&graph->values[node->in[0]].shape, &graph->values[node->out].shape))
        return false;
    const bool prelu = node->attr.binary.kind == RML_BINARY_PRELU;
    *act = prelu ? (rml_activation){.kind = RML_UNARY_LEAKY_RELU, .param = {(float)number}}
                 : (rml_activation){.kind = RML_UNARY_SQUARE};
    return prelu || (node->attr.binary.kind == RML_BINARY_POW && number == 2);
}

static rml_status fuse_add(rml_graph *graph, const rml_fact *facts, rml_node *add, size_t *changed,
                           rml_error *err)
{
    for (int side = 0; side < 2; side++) {
        rml_node *product = sole_producer(graph, add->in[side]);
        const rml_value_id other = add->in[1 - side];
        if (!product || !is_product(graph, product) || product->in_count > 3 ||
            !rml_activation_is_none(activation_of(graph, product)) ||
            !rml_activation_is_none(&add->attr.binary.act))
            continue;
        const bool bias = is_bias(graph, product, other);
        if (!bias && !is_residual(graph, facts, product, other))
            continue;
        const rml_value_id in[4] = {product->in[0], product->in[1],
                                    bias                    ? other
                                    : product->in_count > 2 ? product->in[2]
                                                            : RML_NO_VALUE,
                                    other};
        if (!rml_graph_set_inputs(graph, product, in, bias ? 3 : 4))
            return rml_fail_nomem(err, sizeof in, "fusing a sum");
        take_place(product, add);
        ++*changed;
        return RML_OK;
    }
    return RML_OK;
}

// The function that x times `gate` of it is, with the same bits; false where there is none.
static bool is_gate(const rml_activation *gate, rml_unary *product)
{
    const float *p = gate->param;
    *product = gate->kind == RML_UNARY_SIGMOID ? RML_UNARY_SILU : RML_UNARY_HARD_SWISH;
    return gate->kind == RML_UNARY_SIGMOID ||
           (gate->kind == RML_UNARY_HARD_SIGMOID && p[0] == 0.166666667f && p[1] == 0.5f);
}

// A product x * gate(x), as graph files write SiLU, becomes the one function.
static void join_gate(rml_graph *graph, rml_node *product, size_t *changed)
{
    for (int side = 0; side < 2; side++) {
        rml_node *gate = sole_producer(graph, product->in[side]);
        const rml_value_id x = product->in[1 - side];
        rml_unary kind;
        if (!gate || gate->op != RML_OP_UNARY || gate->in[0] != x ||
            graph->values[product->out].dtype != RML_F32 ||
            !rml_activation_is_none(&product->attr.binary.act) ||
            !is_gate(&gate->attr.unary, &kind))
            continue;
        gate->dead = true;
        product->op = gate->op;
        product->def = gate->def;
        product->attr.unary = (rml_activation){.kind = kind};
        product->in = gate->in;
        product->in_count = 1;
        graph->values[x].uses--;
        ++*changed;
        return;
    }
}

static rml_status fuse_all(rml_graph *graph, const rml_fact *facts, size_t *changed, rml_error *err)
{
    rml_graph_count_uses(graph);
    for (size_t i = 0; i < graph->node_count; i++) {
        rml_node *node = &graph->nodes[i];
        rml_activation act;
        if (node->dead)
            continue;
        if (node->op == RML_OP_BINARY && node->attr.binary.kind == RML_BINARY_MUL)
            join_gate(graph, node, changed);
        if (node->op == RML_OP_BINARY && node->attr.binary.kind == RML_BINARY_ADD) {
            RML_TRY(fuse_add(graph, facts, node, changed, err));
        } else if (is_activation(graph, node, &act)) {
            rml_node *producer = sole_producer(graph, node->in[0]);
            rml_activation *at = producer ? activation_of(graph, producer) : NULL;
            const bool is_f32 = producer && graph->values[producer->out].dtype == RML_F32;
            if (!at || !is_f32 || !rml_activation_is_none(at))
                continue;
            *at = act;
            take_place(producer, node);
            ++*changed;
        }
    }
    return RML_OK;
}

rml_status rml_pass_fuse_act(rml_graph *graph, size_t *changed, rml_error *err)
{
    const rml_allocator *allocator = graph->arena.allocator;
    rml_fact *facts;
    RML_TRY(rml_make(allocator, &facts, graph->value_count + 1, sizeof *facts, "fusing", err));
    rml_arena lists;
    rml_arena_init(&lists, allocator);
    rml_status status = rml_graph_symbols(graph, facts, &lists, err);
    if (status == RML_OK)
        status = fuse_all(graph, facts, changed, err);
    rml_arena_release(&lists);
    rml_free(allocator, facts);
    return status;
}
