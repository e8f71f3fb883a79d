// Functions of two operands, choices, and changes of type.
#include "tensor/dtype.h"
#include "writers/coreml/nn.h"

static const struct {
    rml_binary kind;
    uint32_t layer;
} layers[] = {
    {RML_BINARY_ADD, RML_NET_ADD},
    {RML_BINARY_SUB, RML_NET_SUBTRACT},
    {RML_BINARY_MUL, RML_NET_MULTIPLY},
    {RML_BINARY_DIV, RML_NET_DIVIDE},
    {RML_BINARY_MAX, RML_NET_MAX},
    {RML_BINARY_MIN, RML_NET_MIN},
    {RML_BINARY_POW, RML_NET_POW},
    {RML_BINARY_MOD, RML_NET_MOD},
    {RML_BINARY_EQUAL, RML_NET_EQUAL},
    {RML_BINARY_LESS, RML_NET_LESS},
    {RML_BINARY_LESS_EQUAL, RML_NET_LESS_EQUAL},
    {RML_BINARY_GREATER, RML_NET_GREATER},
    {RML_BINARY_GREATER_EQUAL, RML_NET_GREATER_EQUAL},
    {RML_BINARY_AND, RML_NET_AND},
    {RML_BINARY_OR, RML_NET_OR},
    {RML_BINARY_XOR, RML_NET_XOR},
};

static uint32_t layer_of(rml_binary kind)
{
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (layers[i].kind == kind)
            return layers[i].layer;
    return 0;
}

static const char *lacks_binary(const rml_net_node *n)
{
    const rml_binary kind = n->attr->binary.kind;
    if (!rml_activation_is_none(&n->attr->binary.act))
        return "an activation inside";
    if (kind == RML_BINARY_PRELU)
        return NULL;
    if (!layer_of(kind))
        return "no layer has this function";
    if (kind == RML_BINARY_POW && !rml_dtype_is_float(n->out.dtype))
        return "a whole number to a power that is no whole constant is cut off, and what a device "
               "rounds before that is not told";
    return NULL;
}

// ---- with a constant ----------------------------------------------------------------------------

// Whether a constant has a number for all of an image, or one for each channel; *count of them.
static bool is_of_channels(const rml_shape *image, const rml_value *value, size_t *count)
{
    const rml_shape *shape = &value->shape;
    if (value->kind != RML_VALUE_CONSTANT || image->rank != 4 || !rml_shape_count(shape, count) ||
        shape->rank > 4 || value->dtype != RML_F32)
        return false;
    if (*count == 1)
        return true;
    return shape->rank >= 3 && shape->dim[shape->rank - 3] == image->dim[1] &&
           (size_t)image->dim[1] == *count;
}

// The side of the constant in x * a or x + a that is one of these; -1: there is none. One number
// is one where `ends`, at the end of a network, whose pixels are scaled.
static int side_of_channels(const rml_graph *graph, const rml_node *node, bool ends)
{
    const int rank = graph->values[node->out].shape.rank;
    size_t count;
    for (int i = 0; i < 2; i++) {
        const rml_shape *x = &graph->values[node->in[1 - i]].shape;
        if (x->rank == rank && is_of_channels(x, &graph->values[node->in[i]], &count) &&
            (ends || count > 1))
            return i;
    }
    return -1;
}

// ... of one number, for values that are no images.
static int side_of_number(const rml_graph *graph, const rml_node *node)
{
    double number;
    for (int i = 1; i >= 0; i--)
        if (rml_input_number(graph, node, i, &number) &&
            graph->values[node->in[i]].shape.rank <= graph->values[node->in[1 - i]].shape.rank &&
            graph->values[node->in[i]].dtype == RML_F32)
            return i;
    return -1;
}

static bool is_binary(const rml_node *node, rml_binary kind)
{
    return !node->dead && node->op == RML_OP_BINARY && node->attr.binary.kind == kind;
}

// The x * a that only `add`, x * a + b, reads, where one layer does both; NULL: there is none.
static const rml_node *product_of(const rml_graph *graph, const rml_node *add)
{
    if (!is_binary(add, RML_BINARY_ADD))
        return NULL;
    const bool ends = rml_graph_is_output(graph, add->out);
    for (int channels = 0; channels < 2; channels++) {
        const int side = channels ? side_of_channels(graph, add, ends) : side_of_number(graph, add);
        const rml_value *x = side < 0 ? NULL : &graph->values[add->in[1 - side]];
        if (!x || x->uses != 1 || rml_graph_is_output(graph, add->in[1 - side]) ||
            x->producer == RML_NO_NODE)
            continue;
        const rml_node *product = &graph->nodes[x->producer];
        if (is_binary(product, RML_BINARY_MUL) &&
            (channels ? side_of_channels(graph, product, ends) >= 0
                      : side_of_number(graph, product) >= 0))
            return product;
    }
    return NULL;
}

// Whether the layer of a later x * a + b does x * a, too.
static bool is_part(const rml_graph *graph, const rml_node *product)
{
    for (const rml_node *next = product + 1; next < graph->nodes + graph->node_count; next++)
        if (product_of(graph, next) == product)
            return true;
    return false;
}

static void write_channels(rml_net_emitter *e, uint32_t field, rml_value_id constant)
{
    size_t count;
    const float *numbers = rml_net_numbers(e, constant, &count);
    const int64_t shape[] = {(int64_t)count, 1, 1};
    rml_fields_ints(&e->m, field, shape, count == 1 ? 1 : 3);
    rml_net_vector(e, field + 1, numbers, count, false);
}

// A scale layer, with the bias of `add`, or one of a bias. False: the constant is none of channels.
static bool emit_channels(rml_net_emitter *e, const rml_node *first, const rml_node *add)
{
    const bool ends = rml_graph_is_output(e->graph, e->node->out);
    const int side = side_of_channels(e->graph, first, ends);
    const rml_binary kind = first->attr.binary.kind;
    if (side < 0 || (kind != RML_BINARY_MUL && kind != RML_BINARY_ADD))
        return false;
    rml_net_one(e, kind == RML_BINARY_MUL ? RML_NET_SCALE : RML_NET_BIAS,
                rml_net_blob(e, first->in[1 - side]), rml_net_out(e, 0));
    write_channels(e, 1, first->in[side]);
    if (add) {
        rml_fields_int(&e->m, 3, 1);
        write_channels(e, 4, add->in[side_of_channels(e->graph, add, ends)]);
    }
    rml_net_end(e);
    return true;
}

// x * a + b in one layer.
static void emit_both(rml_net_emitter *e, const rml_node *product, const rml_node *add)
{
    double a = 0, b = 0;
    const int side = side_of_number(e->graph, product);
    if (emit_channels(e, product, add))
        return;
    rml_input_number(e->graph, product, side, &a);
    rml_input_number(e->graph, add, side_of_number(e->graph, add), &b);
    rml_net_linear(e, rml_net_blob(e, product->in[1 - side]), (float)a, (float)b,
                   rml_net_out(e, 0));
}

// x + a, x - a, a - x, x * a, x / a, x ^ a, max(x, a) of one number; on `side`.
static bool emit_number(rml_net_emitter *e, const rml_node *node, int side)
{
    enum { POWER = 3, THRESHOLD = 7 };
    double number;
    if (!rml_input_number(e->graph, node, side, &number) ||
        rml_net_shape(e, side)->rank > rml_net_shape(e, 1 - side)->rank)
        return false;
    const float a = (float)number;
    const char *x = rml_net_in(e, 1 - side), *out = rml_net_out(e, 0);
    switch (node->attr.binary.kind) {
    case RML_BINARY_ADD:
        rml_net_linear(e, x, 1, a, out);
        return true;
    case RML_BINARY_SUB:
        rml_net_linear(e, x, side ? 1 : -1, side ? -a : a, out);
        return true;
    case RML_BINARY_MUL:
        rml_net_linear(e, x, a, 0, out);
        return true;
    case RML_BINARY_POW:
        if (!side)
            return false;
        rml_net_unary(e, POWER, x, a, 0, out);
        return true;
    case RML_BINARY_MAX:
        rml_net_unary(e, THRESHOLD, x, a, 0, out);
        return true;
    default:
        return false;
    }
}

// ---- any operands -------------------------------------------------------------------------------

// max(0, x) + slope * min(0, x), by a layer where the slopes are those of channels.
static void emit_prelu(rml_net_emitter *e, const rml_node *node)
{
    const char *x = rml_net_in(e, 0), *out = rml_net_out(e, 0);
    const rml_value *slope = &e->graph->values[node->in[1]];
    size_t count;
    if (is_of_channels(rml_net_shape(e, 0), slope, &count)) {
        const float *numbers = rml_net_numbers(e, node->in[1], &count);
        rml_net_one(e, RML_NET_ACTIVATION, x, out);
        rml_fields_begin(&e->m, 25);
        rml_net_vector(e, 1, numbers, count, false);
        rml_fields_end(&e->m);
        rml_net_end(e);
        return;
    }
    const char *above = rml_net_between(e), *below = rml_net_between(e),
               *scaled = rml_net_between(e);
    rml_net_one(e, RML_NET_ACTIVATION, x, above);
    rml_net_choose(e, 10);
    rml_net_end(e);
    rml_net_binary(e, RML_NET_SUBTRACT, x, above, below);
    rml_net_binary(e, RML_NET_MULTIPLY, below, rml_net_in(e, 1), scaled);
    rml_net_binary(e, RML_NET_ADD, above, scaled, out);
}

// Towards zero, as numbers become whole: sign(x) * floor(|x|).
static void emit_truncated(rml_net_emitter *e, const char *x, const char *out)
{
    enum { ABS = 6 };
    const char *size = rml_net_between(e), *whole = rml_net_between(e), *sign = rml_net_between(e);
    rml_net_unary(e, ABS, x, 0, 0, size);
    rml_net_plain(e, RML_NET_FLOOR, &size, 1, whole);
    rml_net_plain(e, RML_NET_SIGN, &x, 1, sign);
    rml_net_binary(e, RML_NET_MULTIPLY, sign, whole, out);
}

static void emit_binary(rml_net_emitter *e, const rml_node *node)
{
    const rml_binary kind = node->attr.binary.kind;
    const bool is_float = rml_dtype_is_float(e->graph->values[node->in[0]].dtype);
    if (kind == RML_BINARY_PRELU) {
        emit_prelu(e, node);
        return;
    }
    const rml_node *product = product_of(e->graph, node);
    if (product) {
        emit_both(e, product, node);
        return;
    }
    if (kind == RML_BINARY_MUL && is_part(e->graph, node))
        return;
    if (is_float &&
        (emit_channels(e, node, NULL) || emit_number(e, node, 1) || emit_number(e, node, 0)))
        return;
    const rml_shape *a = rml_net_shape(e, 0), *b = rml_net_shape(e, 1);
    uint32_t layer = layer_of(kind);
    if (rml_shape_known(a) && rml_shape_equal(a, b) && kind == RML_BINARY_ADD)
        layer = RML_NET_OLD_ADD;
    if (rml_shape_known(a) && rml_shape_equal(a, b) && kind == RML_BINARY_MUL)
        layer = RML_NET_OLD_MULTIPLY;
    const bool truncates = kind == RML_BINARY_DIV && !is_float;
    const char *out = truncates ? rml_net_between(e) : rml_net_out(e, 0);
    rml_net_binary(e, layer, rml_net_in(e, 0), rml_net_in(e, 1), out);
    if (truncates)
        emit_truncated(e, out, rml_net_out(e, 0));
}

static void emit_where(rml_net_emitter *e, const rml_node *node)
{
    (void)node;
    const char *const in[] = {rml_net_in(e, 0), rml_net_in(e, 1), rml_net_in(e, 2)};
    rml_net_plain(e, RML_NET_WHERE, in, 3, rml_net_out(e, 0));
}

static const char *lacks_cast(const rml_net_node *n)
{
    return n->attr->cast.to == RML_U8 || n->attr->cast.to == RML_I8 ||
                   n->attr->cast.to == RML_F16 || n->attr->cast.to == RML_BF16
               ? "numbers are rounded to a type of few bits"
               : NULL;
}

// All types are floats, but what truth and whole numbers lose is lost.
static void emit_cast(rml_net_emitter *e, const rml_node *node)
{
    const rml_dtype from = e->graph->values[node->in[0]].dtype, to = node->attr.cast.to;
    const char *x = rml_net_in(e, 0);
    if (to == RML_BOOL && from != RML_BOOL) {
        rml_net_one(e, RML_NET_NOT_EQUAL, x, rml_net_out(e, 0));
        rml_net_end(e);
    } else if (rml_dtype_is_float(from) && !rml_dtype_is_float(to)) {
        emit_truncated(e, x, rml_net_out(e, 0));
    } else {
        rml_net_same(e, 0, 0);
    }
}

const rml_net_rule rml_net_elementwise_rules[] = {
    {RML_OP_BINARY, lacks_binary, emit_binary},
    {RML_OP_WHERE, NULL, emit_where},
    {RML_OP_CAST, lacks_cast, emit_cast},
    {RML_OP_COUNT, NULL, NULL},
};
