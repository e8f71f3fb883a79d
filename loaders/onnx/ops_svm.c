// Support vector machines of ai.onnx.ml, computed in double: distances are differences of squares.
#include "loaders/onnx/make.h"
#include "loaders/onnx/scores.h"

#include <string.h>

typedef struct machine {
    int64_t vectors, features;
    rml_value_id vector; // [vectors,features], f64
    size_t coefficients;
    const float *coefficient;
    const float *rho;
    size_t rhos;
} machine;

static rml_value_id number(rml_onnx_call *call, double value)
{
    return rml_onnx_scalar(call, RML_F64, value);
}

static bool read_machine(rml_onnx_call *call, int64_t vectors, machine *m)
{
    size_t count;
    const float *given = rml_onnx_floats(call, "support_vectors", &count);
    m->coefficient = rml_onnx_floats(call, "coefficients", &m->coefficients);
    m->rho = rml_onnx_floats(call, "rho", &m->rhos);
    m->vectors = vectors;
    if (vectors < 1 || count == 0 || count % (size_t)vectors != 0 || m->rhos == 0) {
        rml_onnx_refuse(call, "%zu numbers for %lld support vectors, %zu offsets", count,
                        (long long)vectors, m->rhos);
        return false;
    }
    m->features = (int64_t)(count / (size_t)vectors);
    const rml_shape shape = {2, {vectors, m->features}};
    m->vector = rml_onnx_constant_of(call, RML_F64, &shape, RML_F32, given, count);
    return true;
}

// Squares of the lengths of rows: (rows,1), or (1,rows).
static rml_value_id squares(rml_onnx_call *call, rml_value_id x, const rml_shape *shape)
{
    const rml_value_id sum =
        rml_graph_reduce(call->graph, x, RML_REDUCE_SUM_SQUARE, 1, false, call->name);
    return rml_graph_reshape(call->graph, sum, shape, call->name);
}

// The kernel of each row and each support vector: [N,vectors].
static rml_value_id kernel(rml_onnx_call *call, const machine *m)
{
    enum { LINEAR, POLY, RBF, SIGMOID };
    size_t count;
    const int kind = rml_onnx_word(call, "kernel_type", "LINEAR POLY RBF SIGMOID", LINEAR);
    const float *param = rml_onnx_floats(call, "kernel_params", &count);
    const rml_value_id x = rml_onnx_cast(call, rml_onnx_in(call, 0), RML_F64);
    rml_value_id dot = rml_graph_matmul(call->graph, x, m->vector, false, true, call->name);
    if (kind == LINEAR)
        return dot;
    if (count < 3) {
        rml_onnx_refuse(call, "its kernel has %zu parameters", count);
        return RML_NO_VALUE;
    }
    const rml_value_id gamma = number(call, (double)param[0]);
    if (kind == RBF) {
        const rml_value_id both = rml_onnx_add(call, squares(call, x, &(rml_shape){2, {-1, 1}}),
                                               squares(call, m->vector, &(rml_shape){2, {1, -1}}));
        dot = rml_onnx_multiply(call, dot, number(call, 2));
        const rml_value_id distance =
            rml_onnx_multiply(call, gamma, rml_onnx_binary(call, RML_BINARY_SUB, both, dot));
        return rml_onnx_unary(call, RML_UNARY_EXP, rml_onnx_unary(call, RML_UNARY_NEG, distance));
    }
    const rml_value_id moved =
        rml_onnx_add(call, rml_onnx_multiply(call, dot, gamma), number(call, (double)param[1]));
    return kind == SIGMOID
               ? rml_onnx_unary(call, RML_UNARY_TANH, moved)
               : rml_onnx_binary(call, RML_BINARY_POW, moved, number(call, (double)param[2]));
}

// ---- regression ---------------------------------------------------------------------------------

static void import_regressor(rml_onnx_call *call)
{
    machine m;
    const rml_onnx_post how = rml_onnx_post_transform(call);
    const bool one_class = rml_onnx_int(call, "one_class", 0) != 0;
    if (!read_machine(call, rml_onnx_int(call, "n_supports", 0), &m))
        return;
    if (m.coefficients != (size_t)m.vectors || how == RML_POST_PROBIT)
        rml_onnx_refuse(call, "%zu coefficients for %lld support vectors, or PROBIT",
                        m.coefficients, (long long)m.vectors);
    const rml_value_id k = kernel(call, &m);
    const rml_shape column = {2, {m.vectors, 1}};
    if (call->refused)
        return;
    const rml_value_id weight =
        rml_onnx_constant_of(call, RML_F64, &column, RML_F32, m.coefficient, m.coefficients);
    rml_value_id y = rml_graph_matmul(call->graph, k, weight, false, false, call->name);
    y = rml_onnx_add(call, y, number(call, (double)m.rho[0]));
    if (one_class) {
        y = rml_onnx_choose(call, rml_onnx_binary(call, RML_BINARY_GREATER, y, number(call, 0)),
                            number(call, 1), number(call, -1));
    }
    call->out[0] = rml_onnx_cast(call, y, RML_F32);
}

// ---- classification: a machine for each pair of classes -----------------------------------------

// Of the table of what each vector adds for each pair: 1 GB.
#define MOST_DECISIONS ((size_t)1 << 27)

typedef struct pairs {
    size_t classes, count;
    double *decision; // [vectors,count]: what each vector adds for the first of the pair
    double *vote;     // [count,classes]: what it changes if the first one wins
    double *lost;     // [classes]: votes if all second ones win
} pairs;

static bool make_pairs(rml_onnx_call *call, const machine *m, const int64_t *of_class,
                       size_t classes, pairs *p)
{
    const size_t vectors = (size_t)m->vectors;
    *p = (pairs){.classes = classes, .count = classes * (classes - 1) / 2};
    if (vectors > MOST_DECISIONS / p->count) {
        rml_onnx_refuse(call, "%zu support vectors of %zu classes are more than are supported",
                        vectors, classes);
        return false;
    }
    p->decision = rml_onnx_room(call, vectors, p->count * sizeof(double));
    p->vote = rml_onnx_room(call, p->count, classes * sizeof(double));
    p->lost = rml_onnx_room(call, classes, sizeof(double));
    if (!p->decision || !p->vote || !p->lost)
        return false;
    memset(p->decision, 0, vectors * p->count * sizeof(double));
    memset(p->vote, 0, p->count * classes * sizeof(double));
    memset(p->lost, 0, classes * sizeof(double));
    size_t pair = 0, first_i = 0;
    for (size_t i = 0; i < classes; first_i += (size_t)of_class[i++]) {
        size_t first_j = first_i + (size_t)of_class[i];
        for (size_t j = i + 1; j < classes; first_j += (size_t)of_class[j++], pair++) {
            for (size_t k = first_i; k < first_i + (size_t)of_class[i]; k++)
                p->decision[k * p->count + pair] = (double)m->coefficient[(j - 1) * vectors + k];
            for (size_t k = first_j; k < first_j + (size_t)of_class[j]; k++)
                p->decision[k * p->count + pair] = (double)m->coefficient[i * vectors + k];
            p->vote[pair * classes + i] = 1;
            p->vote[pair * classes + j] = -1;
            p->lost[j]++;
        }
    }
    return true;
}

static rml_value_id table(rml_onnx_call *call, const double *from, size_t rows, size_t columns)
{
    const rml_shape shape = {2, {(int64_t)rows, (int64_t)columns}};
    return rml_onnx_constant_of(call, RML_F64, &shape, RML_F64, from, rows * columns);
}

// The probabilities of both classes, from the one decision.
static rml_value_id probabilities(rml_onnx_call *call, rml_value_id decision, float a, float b)
{
    const rml_value_id moved = rml_onnx_add(
        call, rml_onnx_multiply(call, decision, number(call, (double)a)), number(call, (double)b));
    const rml_value_id both[] = {
        rml_onnx_unary(call, RML_UNARY_SIGMOID, rml_onnx_unary(call, RML_UNARY_NEG, moved)),
        rml_onnx_unary(call, RML_UNARY_SIGMOID, moved)};
    return rml_graph_concat(call->graph, both, 2, 1, call->name);
}

// The class with most votes, of equal ones the first.
static rml_value_id elected(rml_onnx_call *call, rml_value_id decisions, const pairs *p)
{
    const rml_value_id won = rml_onnx_cast(
        call, rml_onnx_binary(call, RML_BINARY_GREATER, decisions, number(call, 0)), RML_F64);
    const rml_value_id votes =
        rml_onnx_add(call,
                     rml_graph_matmul(call->graph, won, table(call, p->vote, p->count, p->classes),
                                      false, false, call->name),
                     table(call, p->lost, 1, p->classes));
    return rml_onnx_best(call, votes);
}

static int64_t sum_of(const int64_t *counts, size_t count)
{
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (counts[i] < 0 || counts[i] > INT32_MAX || sum > INT32_MAX)
            return -1;
        sum += counts[i];
    }
    return sum;
}

static void import_classifier(rml_onnx_call *call)
{
    enum { MOST = 256 }; // classes: their pairs are counted in one table
    size_t classes, as, bs;
    machine m;
    pairs p;
    const rml_onnx_post how = rml_onnx_post_transform(call);
    const rml_onnx_labels labels =
        rml_onnx_read_labels(call, "classlabels_ints", "classlabels_strings");
    const int64_t *of_class = rml_onnx_ints(call, "vectors_per_class", &classes);
    const float *a = rml_onnx_floats(call, "prob_a", &as);
    const float *b = rml_onnx_floats(call, "prob_b", &bs);
    if (classes < 2 || classes > MOST || labels.count != classes)
        rml_onnx_refuse(call, "support vectors of %zu classes, labels of %zu", classes,
                        labels.count);
    if (as != bs || (as > 0 && classes > 2))
        rml_onnx_refuse(call, "probabilities of more than two classes are not supported");
    if (call->refused || !read_machine(call, sum_of(of_class, classes), &m))
        return;
    if (m.rhos != classes * (classes - 1) / 2 ||
        m.coefficients != (classes - 1) * (size_t)m.vectors)
        rml_onnx_refuse(call, "%zu coefficients and %zu offsets for %lld vectors of %zu classes",
                        m.coefficients, m.rhos, (long long)m.vectors, classes);
    if (call->refused || !make_pairs(call, &m, of_class, classes, &p))
        return;
    const rml_value_id k = kernel(call, &m);
    if (call->refused)
        return;
    const rml_shape row = {1, {(int64_t)p.count}};
    rml_value_id y =
        rml_graph_matmul(call->graph, k, table(call, p.decision, (size_t)m.vectors, p.count), false,
                         false, call->name);
    y = rml_onnx_add(call, y, rml_onnx_constant_of(call, RML_F64, &row, RML_F32, m.rho, m.rhos));
    call->out[0] = rml_onnx_label_of(call, &labels, elected(call, y, &p));
    if (as > 0)
        y = rml_onnx_transform(call, probabilities(call, y, a[0], b[0]), how);
    else
        y = classes == 2 ? rml_onnx_both_scores(call, y, how, how == RML_POST_NONE)
                         : rml_onnx_transform(call, y, how);
    call->out[1] = rml_onnx_cast(call, y, RML_F32);
}

const rml_onnx_entry rml_onnx_svm[] = {
    {.op_type = "ai.onnx.ml.SVMClassifier", .import = import_classifier},
    {.op_type = "ai.onnx.ml.SVMRegressor", .import = import_regressor},
    {.op_type = NULL},
};
