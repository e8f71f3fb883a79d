// Products of codes as products of floats, which are exact: all sums are whole numbers that floats
// hold. And codes whose scale follows from the numbers.
#include "writers/rewrite.h"

#include "ops/matmul/matmul.h"

#include <math.h>

#define P(part) rml_part_name(l, node, part)

#define MOST_EXACT 16777216.0 // below it floats hold all whole numbers
#define MOST_CODE 255.0       // from its zero point

enum { A, B, A_ZERO, B_ZERO };

static bool is_given(const rml_node *node, int index)
{
    return index < node->in_count && node->in[index] != RML_NO_VALUE;
}

static size_t count_of(const rml_lowering *l, rml_value_id id)
{
    const rml_shape shape = rml_lowered_shape(l, id);
    size_t count = 0;
    return rml_shape_count(&shape, &count) ? count : 0;
}

// All elements of a constant in floats; NULL: it is none, or memory is out.
static float *numbers_of(rml_lowering *l, rml_value_id id)
{
    const rml_value *value = &l->to->values[id];
    if (value->kind != RML_VALUE_CONSTANT)
        return NULL;
    float *numbers = rml_arena_alloc(&l->to->arena, count_of(l, id) + 1, sizeof *numbers);
    if (numbers)
        rml_constant_copy(value->constant, RML_F32, numbers);
    else
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for codes");
    return numbers;
}

// ---- an operand ---------------------------------------------------------------------------------

typedef struct operand {
    rml_value_id value; // without its zero point
    float *numbers;     // of a constant
    rml_shape shape;
} operand;

// Whether there is one zero point, or one for each place of the axis.
static bool zero_fits(const rml_lowering *l, const rml_node *node, int zero, int64_t dim)
{
    const size_t count = is_given(node, zero) ? count_of(l, node->in[zero]) : 1;
    return count == 1 || (rml_lowered_shape(l, node->in[zero]).rank == 1 && (int64_t)count == dim);
}

static operand without_zero(rml_lowering *l, const rml_node *node, int index, int zero, int axis)
{
    operand x = {node->in[index], numbers_of(l, node->in[index]),
                 rml_lowered_shape(l, node->in[index])};
    rml_shape along = {.rank = x.shape.rank - axis};
    if (!is_given(node, zero))
        return x;
    const size_t zeros = count_of(l, node->in[zero]), count = count_of(l, x.value);
    const float *shift = numbers_of(l, node->in[zero]);
    if (zeros == 1)
        along.rank = 0;
    for (int i = 0; i < along.rank; i++)
        along.dim[i] = i ? 1 : (int64_t)zeros;
    if (!x.numbers || !shift) {
        x.numbers = NULL;
        const rml_value_id moved =
            rml_lower_reshape(l, node->in[zero], &along, P(index == A ? "zero" : "weight_zero"));
        x.value = rml_lower_binary(l, RML_BINARY_SUB, x.value, moved,
                                   P(index == A ? "moved" : "weight_moved"));
        return x;
    }
    size_t inner = 1;
    for (int i = axis + 1; i < x.shape.rank; i++)
        inner *= (size_t)x.shape.dim[i];
    for (size_t i = 0; i < count; i++)
        x.numbers[i] -= shift[i / inner % zeros];
    return x;
}

// An operand is a constant again, where it was one.
static rml_value_id value_of(rml_lowering *l, const operand *x)
{
    if (!x->numbers)
        return x->value;
    const rml_stored stored = rml_stored_f32(x->numbers, &x->shape);
    return rml_graph_typed_constant(l->to, l->to->values[x->value].name, &stored);
}

// The largest sum of the sizes of `depth` numbers, `step` apart, that one result is made of.
static double largest_sum(const float *numbers, size_t count, size_t depth, size_t step)
{
    double most = 0;
    for (size_t first = 0; first < count; first += depth * step)
        for (size_t line = 0; line < step; line++) {
            double sum = 0;
            for (size_t k = 0; k < depth; k++)
                sum += fabs((double)numbers[first + line + k * step]);
            most = sum > most ? sum : most;
        }
    return most;
}

// ---- products -----------------------------------------------------------------------------------

// Why it is not known to be exact; NULL: it is.
static const char *matrices_lack(const rml_lowering *l, const rml_node *node)
{
    const rml_shape a = rml_lowered_shape(l, node->in[A]), b = rml_lowered_shape(l, node->in[B]);
    if (a.rank < 2 || b.rank < 2)
        return "a product of codes that is none of matrices";
    if (!zero_fits(l, node, A_ZERO, a.dim[a.rank - 2]) ||
        !zero_fits(l, node, B_ZERO, b.dim[b.rank - 1]))
        return "zero points of several matrices";
    return a.dim[a.rank - 1] > 0 || b.dim[b.rank - 2] > 0
               ? NULL
               : "how many products of codes are added is not known";
}

static const char *convolution_lacks(const rml_lowering *l, const rml_node *node)
{
    const rml_shape w = rml_lowered_shape(l, node->in[B]);
    if (w.rank < 3 || !rml_shape_known(&w))
        return "a weight of codes whose shape is not known";
    return zero_fits(l, node, A_ZERO, -1) && zero_fits(l, node, B_ZERO, w.dim[0])
               ? NULL
               : "zero points of this shape";
}

// The largest sum that can come of it.
static double most_of(const operand *a, const operand *b, bool conv)
{
    const rml_shape *w = &b->shape;
    size_t count = 0, depth = 1;
    if (!conv) {
        const int64_t known = a->shape.dim[a->shape.rank - 1];
        depth = (size_t)(known > 0 ? known : w->dim[w->rank - 2]);
    }
    for (int i = 1; i < w->rank && conv; i++)
        depth *= (size_t)w->dim[i];
    if (b->numbers && rml_shape_count(w, &count))
        return MOST_CODE *
               largest_sum(b->numbers, count, depth, conv ? 1 : (size_t)w->dim[w->rank - 1]);
    if (!conv && a->numbers && rml_shape_count(&a->shape, &count))
        return MOST_CODE * largest_sum(a->numbers, count, depth, 1);
    return MOST_CODE * MOST_CODE * (double)depth;
}

// Of floats, with a constant or not on the side of the weights.
static rml_value_id multiply(rml_lowering *l, const rml_node *node, const operand *a,
                             const operand *b, const char *name)
{
    const bool conv = node->op == RML_OP_INTEGER_CONV;
    rml_op_attr attr = {.matmul = rml_matmul_plain(false, false)};
    if (conv) {
        attr = node->attr;
        attr.conv.act = rml_activation_none();
    }
    const rml_value_id in[2] = {value_of(l, a), value_of(l, b)};
    return rml_lower_node(l, conv ? RML_OP_CONV : RML_OP_MATMUL, &attr, in, 2, name);
}

// Weights as SHARE times whole numbers, and what is left of them.
#define SHARE 16.0

static bool share(rml_lowering *l, const rml_node *node, const operand *b, operand *high,
                  operand *low)
{
    const size_t count = count_of(l, b->value);
    *high = *low = *b;
    if (!b->numbers) {
        rml_value_id x = rml_lower_by_number(l, RML_BINARY_MUL, b->value, 1 / SHARE, P("shares"));
        high->value = x = rml_lower_unary(l, RML_UNARY_FLOOR, x, P("whole_shares"));
        x = rml_lower_by_number(l, RML_BINARY_MUL, x, SHARE, P("shared"));
        low->value = rml_lower_binary(l, RML_BINARY_SUB, b->value, x, P("left"));
        return true;
    }
    high->numbers = rml_arena_alloc(&l->to->arena, count + 1, sizeof *high->numbers);
    low->numbers = rml_arena_alloc(&l->to->arena, count + 1, sizeof *low->numbers);
    if (!high->numbers || !low->numbers) {
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for codes");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        high->numbers[i] = (float)trunc((double)b->numbers[i] / SHARE);
        low->numbers[i] = b->numbers[i] - (float)SHARE * high->numbers[i];
    }
    return true;
}

// The largest sum of a part of the weights, which are SHARE at most where only a run tells them.
static double most_of_part(const operand *a, const operand *part, bool conv)
{
    const double most = most_of(a, part, conv);
    return part->numbers ? most : most / MOST_CODE * SHARE;
}

static rml_value_id as_whole(rml_lowering *l, rml_value_id x, const char *name)
{
    const rml_op_attr whole = {.cast = {.to = RML_I32}};
    return rml_lower_node(l, RML_OP_CAST, &whole, &x, 1, name);
}

// Sums that floats do not hold, from two that they do, added as whole numbers. RML_NO_VALUE: these
// are too large, too.
static rml_value_id multiply_in_parts(rml_lowering *l, const rml_node *node, const operand *a,
                                      const operand *b)
{
    const bool conv = node->op == RML_OP_INTEGER_CONV;
    operand high, low;
    if (!share(l, node, b, &high, &low) || most_of_part(a, &high, conv) > MOST_EXACT ||
        most_of_part(a, &low, conv) > MOST_EXACT)
        return RML_NO_VALUE;
    rml_value_id x = as_whole(l, multiply(l, node, a, &high, P("high")), P("high_sums"));
    x = rml_lower_by_number(l, RML_BINARY_MUL, x, SHARE, P("high_part"));
    return rml_lower_binary(l, RML_BINARY_ADD, x,
                            as_whole(l, multiply(l, node, a, &low, P("low")), P("low_sums")),
                            node->name);
}

bool rml_rewrite_integer(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    const bool conv = node->op == RML_OP_INTEGER_CONV;
    if (!conv && node->op != RML_OP_INTEGER_MATMUL)
        return false;
    for (int k = 0; k < node->in_count; k++)
        if (is_given(node, k) && l->to->values[node->in[k]].dtype != RML_F32)
            return false;
    const char *why = conv ? convolution_lacks(l, node) : matrices_lack(l, node);
    const int zeros = why ? node->in_count : 0; // none of them is taken off then
    const int a_rank = rml_lowered_shape(l, node->in[A]).rank,
              b_rank = rml_lowered_shape(l, node->in[B]).rank;
    const operand a = without_zero(l, node, A, A_ZERO + zeros, conv ? 0 : a_rank - 2);
    const operand b = without_zero(l, node, B, B_ZERO + zeros, conv ? 0 : b_rank - 1);
    const double most = why || l->to->error.status != RML_OK ? 0 : most_of(&a, &b, conv);
    out[0] = RML_NO_VALUE;
    if (most > MOST_EXACT && l->target->whole_numbers)
        out[0] = multiply_in_parts(l, node, &a, &b);
    if (most > MOST_EXACT && out[0] == RML_NO_VALUE)
        why = l->target->whole_numbers
                  ? "its sums of products of codes may pass 268435456, and in two parts floats are "
                    "exact up to there"
                  : "its sums of products of codes may pass 16777216, up to which floats are "
                    "exact, and it has no other numbers";
    if (why)
        rml_lower_refuse(l, node, why);
    if (out[0] == RML_NO_VALUE)
        out[0] = as_whole(l, multiply(l, node, &a, &b, P("product")), node->name);
    l->sums.of = out[0];
    l->sums.most = most;
    return true;
}

// ---- codes of a range of their own --------------------------------------------------------------

// 0 or the least of all numbers; or the largest.
static rml_value_id end_of(rml_lowering *l, const rml_node *node, bool high)
{
    int axes[RML_MAX_RANK];
    const int rank = rml_lowered_shape(l, node->in[0]).rank;
    const rml_shape scalar = {0};
    for (int i = 0; i < rank; i++)
        axes[i] = i;
    rml_value_id x = node->in[0];
    if (rank > 0)
        x = rml_lower_reduce(l, high ? RML_REDUCE_MAX : RML_REDUCE_MIN, x, axes, rank,
                             P(high ? "largest" : "least"));
    x = rml_lower_reshape(l, x, &scalar, P(high ? "largest_number" : "least_number"));
    return rml_lower_by_number(l, high ? RML_BINARY_MAX : RML_BINARY_MIN, x, 0,
                               P(high ? "high" : "low"));
}

// x to whole numbers from 0 to 255.
static rml_value_id limited(rml_lowering *l, const rml_node *node, rml_value_id x, const char *name)
{
    x = rml_lower_by_number(l, RML_BINARY_MAX, x, 0, P("not_below"));
    return rml_lower_by_number(l, RML_BINARY_MIN, x, 255, name);
}

bool rml_rewrite_dynamic_quantize(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_DYNAMIC_QUANTIZE || !l->as_codes ||
        rml_lowered_shape(l, node->in[0]).rank < 0)
        return false;
    const rml_value_id low = end_of(l, node, false);
    rml_value_id range =
        rml_lower_binary(l, RML_BINARY_SUB, end_of(l, node, true), low, P("range"));
    const rml_value_id none = rml_lower_by_number(l, RML_BINARY_EQUAL, range, 0, P("none"));
    const rml_value_id choice[3] = {none, rml_lower_number(l, range, 1, P("one")), range};
    range = rml_lower_node(l, RML_OP_WHERE, NULL, choice, 3, P("width"));
    out[1] = rml_lower_by_number(l, RML_BINARY_DIV, range, 255, P("scale"));
    rml_value_id zero = rml_lower_binary(l, RML_BINARY_DIV, low, out[1], P("least_code"));
    zero = rml_lower_by_number(l, RML_BINARY_MUL, zero, -1, P("shift"));
    zero = limited(l, node, zero, P("shift_code"));
    out[2] = rml_lower_unary(l, RML_UNARY_ROUND, zero, P("zero"));
    rml_value_id x = rml_lower_binary(l, RML_BINARY_DIV, node->in[0], out[1], P("scaled"));
    x = rml_lower_unary(l, RML_UNARY_ROUND, x, P("rounded"));
    x = rml_lower_binary(l, RML_BINARY_ADD, x, out[2], P("moved"));
    out[0] = limited(l, node, x, node->name);
    return true;
}
