// Sums of products of codes, to codes again. The factor of a sum has more digits than floats, which
// round to another code where the product lies next to the middle between two: so it is compared
// with that middle, part by part, each product of parts being exact.
#include "writers/rewrite.h"

#include "ops/matmul/quantize.h"

#include <math.h>

#define P(part) rml_part_name(l, node, part)

enum { SUMS, A_SCALE, B_SCALE, Y_SCALE, ZERO, INPUTS };
enum { PARTS = 3, WHOLE = PARTS, PART_BITS = 12 };

#define MOST_EXACT 16777216.0 // below it floats hold all whole numbers
#define LOW_PART 4096.0       // of a sum: what is below it, and what is above
#define BEYOND 1024.0         // all codes

// ---- what is asked for --------------------------------------------------------------------------

typedef struct factor {
    rml_shape shape; // that of the scales of which there are several
    size_t count;
    double *of; // f64, as the operator has it
} factor;

// All elements of a constant in floats, which scales are, and then in f64; NULL: memory is out.
static double *numbers_of(rml_lowering *l, const rml_value *value, size_t count)
{
    float *numbers = rml_arena_alloc(&l->to->arena, count + 1, sizeof *numbers);
    double *wide = rml_arena_alloc(&l->to->arena, 2 * count + 1, sizeof *wide);
    if (!numbers || !wide) {
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for scales");
        return NULL;
    }
    rml_constant_copy(value->constant, RML_F32, numbers);
    for (size_t i = 0; i < count; i++)
        wide[i] = (double)numbers[i];
    return wide;
}

// Takes a scale into the factor; those before are one, or this one is.
static bool read_scale(rml_lowering *l, const rml_node *node, int index, factor *f, bool divides)
{
    const rml_value *value = &l->to->values[node->in[index]];
    size_t count = 0;
    if (value->kind != RML_VALUE_CONSTANT || !rml_shape_count(&value->shape, &count) ||
        count == 0 || (count > 1 && (f->count > 1 || divides)))
        return false;
    double *numbers = numbers_of(l, value, count);
    if (!numbers)
        return false;
    if (count > 1) {
        for (size_t i = 0; i < count; i++)
            numbers[count + i] = f->of[0];
        f->of = numbers + count;
        f->count = count;
        f->shape = value->shape;
    }
    for (size_t i = 0; i < f->count; i++)
        f->of[i] = divides ? f->of[i] / numbers[0] : f->of[i] * numbers[count > 1 ? i : 0];
    return true;
}

// The largest of what is added to the sums behind the product that was made last; below 0: it is
// not that.
static double added(rml_lowering *l, rml_value_id id)
{
    double most = 0;
    while (id != l->sums.of) {
        const rml_value *value = &l->to->values[id];
        const rml_node *node =
            value->kind == RML_VALUE_ACTIVATION ? &l->to->nodes[value->producer] : NULL;
        if (!node || node->op != RML_OP_BINARY || node->attr.binary.kind != RML_BINARY_ADD)
            return -1;
        const int side = l->to->values[node->in[1]].kind == RML_VALUE_CONSTANT ? 1 : 0;
        const rml_value *bias = &l->to->values[node->in[side]];
        size_t count = 0;
        if (bias->kind != RML_VALUE_CONSTANT || !rml_shape_count(&bias->shape, &count))
            return -1;
        const double *numbers = numbers_of(l, bias, count);
        if (!numbers)
            return -1;
        double own = 0;
        for (size_t i = 0; i < count; i++)
            own = fmax(own, fabs(numbers[i]));
        most += own;
        id = node->in[1 - side];
    }
    return most;
}

// ---- the product --------------------------------------------------------------------------------

// Parts of 12, 12 and as many bits as a float has, and the whole as a float.
static bool split(rml_lowering *l, const rml_node *node, const factor *f, rml_value_id part[])
{
    static const char *const names[PARTS + 1] = {"factor_high", "factor_middle", "factor_low",
                                                 "factor"};
    float *numbers = rml_arena_alloc(&l->to->arena, (PARTS + 1) * f->count, sizeof *numbers);
    if (!numbers) {
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for scales");
        return false;
    }
    for (size_t i = 0; i < f->count; i++) {
        double rest = f->of[i];
        int exponent;
        frexp(rest, &exponent);
        for (int k = 0; k < PARTS - 1; k++) {
            const double unit = ldexp(1, exponent - PART_BITS * (k + 1));
            const double own = trunc(rest / unit) * unit;
            numbers[(size_t)k * f->count + i] = (float)own;
            rest -= own;
        }
        numbers[(PARTS - 1) * f->count + i] = (float)rest;
        numbers[WHOLE * f->count + i] = (float)f->of[i];
    }
    for (int k = 0; k <= WHOLE; k++) {
        const rml_stored stored = rml_stored_f32(numbers + (size_t)k * f->count, &f->shape);
        part[k] = rml_graph_typed_constant(l->to, P(names[k]), &stored);
    }
    return true;
}

static rml_value_id floored(rml_lowering *l, rml_value_id x, const char *name)
{
    return rml_lower_unary(l, RML_UNARY_FLOOR, x, name);
}

// x times the factor, less `middle`: its sign is right.
static rml_value_id beyond(rml_lowering *l, const rml_node *node, rml_value_id x,
                           const rml_value_id part[], rml_value_id middle)
{
    rml_value_id high = rml_lower_by_number(l, RML_BINARY_MUL, x, 1 / LOW_PART, P("shares"));
    high = rml_lower_by_number(l, RML_BINARY_MUL, floored(l, high, P("whole_shares")), LOW_PART,
                               P("high"));
    const rml_value_id low = rml_lower_binary(l, RML_BINARY_SUB, x, high, P("low"));
    const rml_value_id of[5] = {high, high, low, low, x};
    const int by[5] = {0, 1, 0, 1, 2};
    rml_value_id sum = RML_NO_VALUE;
    for (int i = 0; i < 5; i++) { // largest first: what is left gets smaller, and stays exact
        const rml_value_id product =
            rml_lower_binary(l, RML_BINARY_MUL, of[i], part[by[i]], P("product"));
        sum = i == 0 ? rml_lower_binary(l, RML_BINARY_SUB, product, middle, P("distance"))
                     : rml_lower_binary(l, RML_BINARY_ADD, sum, product, P("distance"));
    }
    return sum;
}

static rml_value_id choose(rml_lowering *l, rml_value_id test, rml_value_id a, rml_value_id b,
                           const char *name)
{
    const rml_value_id in[3] = {test, a, b};
    return rml_lower_node(l, RML_OP_WHERE, NULL, in, 3, name);
}

// The nearest whole number to x times the factor; of two the even one.
static rml_value_id rounded(rml_lowering *l, const rml_node *node, rml_value_id x,
                            const rml_value_id part[])
{
    rml_value_id near = rml_lower_binary(l, RML_BINARY_MUL, x, part[WHOLE], P("near"));
    near = rml_lower_by_number(l, RML_BINARY_MAX, near, -BEYOND, P("near_low"));
    near = rml_lower_by_number(l, RML_BINARY_MIN, near, BEYOND, P("near_high"));
    const rml_value_id below = floored(l, near, P("below"));
    const rml_value_id middle = rml_lower_by_number(l, RML_BINARY_ADD, below, 0.5, P("middle"));
    const rml_value_id far = beyond(l, node, x, part, middle);
    const rml_value_id half = rml_lower_by_number(l, RML_BINARY_MUL, below, 0.5, P("half"));
    const rml_value_id odd = rml_lower_by_number( // 1 or 0
        l, RML_BINARY_MUL,
        rml_lower_binary(l, RML_BINARY_SUB, half, floored(l, half, P("pairs")), P("over")), 2,
        P("odd"));
    const rml_value_id one = rml_lower_number(l, x, 1, P("one")),
                       none = rml_lower_number(l, x, 0, P("none"));
    const rml_value_id tie =
        choose(l, rml_lower_by_number(l, RML_BINARY_EQUAL, far, 0, P("is_middle")), odd, none,
               P("to_even"));
    const rml_value_id step = choose(
        l, rml_lower_by_number(l, RML_BINARY_GREATER, far, 0, P("is_above")), one, tie, P("step"));
    return rml_lower_binary(l, RML_BINARY_ADD, below, step, P("rounded"));
}

bool rml_rewrite_requantize(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    double low = 0, high = 0, one = 1;
    factor f = {.count = 1, .of = &one};
    if (node->op != RML_OP_REQUANTIZE || !l->as_codes || node->in_count != INPUTS ||
        !rml_code_range(l->code, &low, &high) || l->to->values[node->in[SUMS]].dtype != RML_I32 ||
        !read_scale(l, node, A_SCALE, &f, false) || !read_scale(l, node, B_SCALE, &f, false) ||
        !read_scale(l, node, Y_SCALE, &f, true) || l->to->values[node->in[ZERO]].dtype != RML_F32)
        return false;
    const double more = added(l, node->in[SUMS]);
    if (more < 0 || l->sums.most + more > MOST_EXACT)
        rml_lower_refuse(l, node,
                         "sums and bias of codes may pass 16777216, up to which floats, in which a "
                         "code is found, are exact");
    rml_value_id part[PARTS + 1];
    if (!split(l, node, &f, part))
        return true; // which the graph tells
    const rml_op_attr floats = {.cast = {.to = RML_F32}};
    const rml_shape scalar = {0};
    rml_value_id x = rml_lower_node(l, RML_OP_CAST, &floats, &node->in[SUMS], 1, P("sums"));
    x = rounded(l, node, x, part);
    x = rml_lower_binary(l, RML_BINARY_ADD, x,
                         rml_lower_reshape(l, node->in[ZERO], &scalar, P("zero")), P("moved"));
    x = rml_lower_by_number(l, RML_BINARY_MAX, x, low, P("least"));
    out[0] = rml_lower_by_number(l, RML_BINARY_MIN, x, high, node->name);
    return true;
}
