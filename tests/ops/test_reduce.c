// Reductions and their like: the same bits for any number of threads, sizes of zero and one, and
// elements that must not lead out of bounds.
#include "tests/support/net.h"

#include <math.h>

typedef struct run {
    net at;
    rml_session *session;
} run;

// One node on "x" and, where `second` is not NULL, on a second input of i64 known to the run alone.
static run start(rml_op_id op, rml_op_attr attr, rml_dtype dtype, rml_shape x,
                 const rml_shape *second, int outputs, int threads)
{
    run r = {.session = NULL};
    net_begin(&r.at, NULL);
    rml_value_id in[2] = {rml_graph_typed_input(r.at.graph, "x", dtype, &x)};
    if (second)
        in[1] = rml_graph_typed_input(r.at.graph, "s", RML_I64, second);
    const rml_value_id out = rml_graph_node(r.at.graph, op, &attr, in, second ? 2 : 1, "node");
    for (int k = 0; k < outputs; k++)
        rml_graph_output(r.at.graph, (const char *const[]){"y", "z", "w"}[k],
                         out + (rml_value_id)k);
    if (!net_finish(&r.at, NULL))
        return r;
    const rml_session_settings settings = {.size = sizeof settings, .threads = threads};
    CHECK(rml_session_create(&r.session, r.at.model, &settings, &r.at.err) == RML_OK);
    CHECK_MSG(rml_session_prepare(r.session, &r.at.err) == RML_OK, "%s", r.at.err.message);
    return r;
}

static void end(run *r)
{
    rml_session_destroy(&r->session);
    net_end(&r->at);
}

static rml_op_attr reduce_attr(rml_reduce_kind kind, int a, int b)
{
    return (rml_op_attr){.reduce = {.kind = kind, .axis_count = 2, .axes = {a, b}}};
}

// Threads split outputs only; what a number is does not depend on its place in a batch either.
static void test_same_bits(void)
{
    static const rml_op_attr softmax = {.softmax = {.axis = 1}};
    static const rml_op_attr logs = {.softmax = {.axis = -1, .kind = RML_SOFTMAX_LOG}};
    const struct {
        rml_op_id op;
        rml_op_attr attr;
    } cases[] = {{RML_OP_REDUCE, reduce_attr(RML_REDUCE_SUM, 2, 3)},
                 {RML_OP_REDUCE, reduce_attr(RML_REDUCE_MEAN, 1, 2)},
                 {RML_OP_REDUCE, reduce_attr(RML_REDUCE_L2, 1, 3)},
                 {RML_OP_REDUCE, reduce_attr(RML_REDUCE_LOG_SUM_EXP, 1, 2)},
                 {RML_OP_SOFTMAX, softmax},
                 {RML_OP_SOFTMAX, logs},
                 {RML_OP_LRN, {.lrn = {.size = 3, .alpha = 0.1f, .beta = 0.75f, .bias = 1}}}};
    enum { BATCH = 3, ITEM = 5 * 41 * 67 };
    static float x[BATCH * ITEM];
    uniform_fill(x, BATCH * ITEM, 9, 'u');
    memcpy(x + 2 * ITEM, x, ITEM * sizeof *x);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static float first[BATCH * ITEM];
        size_t total = 0;
        for (int threads = 1; threads <= net_threads(); threads++) {
            run r = start(cases[i].op, cases[i].attr, RML_F32, (rml_shape){4, {BATCH, 5, 41, 67}},
                          NULL, 1, threads);
            memcpy(rml_session_input(r.session, "x", NULL), x, sizeof x);
            CHECK(rml_session_run(r.session, &r.at.err) == RML_OK);
            float *y = net_outputs(r.session, r.at.model, &total);
            if (threads == 1)
                memcpy(first, y, total * sizeof *y);
            CHECK(memcmp(first, y, total * sizeof *y) == 0);
            CHECK(memcmp(y, y + total / BATCH * 2, total / BATCH * sizeof *y) == 0);
            free(y);
            end(&r);
        }
    }
}

// Nothing to reduce is what joins to nothing.
static void test_nothing(void)
{
    static const struct {
        rml_reduce_kind kind;
        double want;
    } cases[] = {{RML_REDUCE_SUM, 0},         {RML_REDUCE_PROD, 1},
                 {RML_REDUCE_MAX, -INFINITY}, {RML_REDUCE_MIN, INFINITY},
                 {RML_REDUCE_L2, 0},          {RML_REDUCE_LOG_SUM, -INFINITY},
                 {RML_REDUCE_MEAN, NAN},      {RML_REDUCE_LOG_SUM_EXP, -INFINITY}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run r = start(RML_OP_REDUCE, reduce_attr(cases[i].kind, 1, -1), RML_F32,
                      (rml_shape){3, {4, 0, 3}}, NULL, 1, 1);
        CHECK(rml_session_run(r.session, &r.at.err) == RML_OK);
        rml_shape shape;
        const float *y = rml_session_output(r.session, "y", &shape);
        CHECK(shape.rank == 1 && shape.dim[0] == 4);
        for (int k = 0; k < 4; k++)
            CHECK(y[k] == (float)cases[i].want || (isnan(y[k]) && isnan(cases[i].want)));
        end(&r);
    }
    run r = start(RML_OP_REDUCE, reduce_attr(RML_REDUCE_MAX, 0, 1), RML_I8,
                  (rml_shape){3, {0, 2, 2}}, NULL, 1, 1);
    CHECK(rml_session_run(r.session, &r.at.err) == RML_OK);
    CHECK(((const int8_t *)rml_session_output(r.session, "y", NULL))[1] == INT8_MIN);
    end(&r);
}

// Axes and counts that only the run tells: refused in words, never read out of bounds.
static void test_told_by_the_run(void)
{
    static const int64_t bad[] = {5, -6, INT64_MAX, INT64_MIN};
    const rml_shape one = {1, {1}}, scalar = {0};
    const float x[6] = {1, 2, 3, 4, 5, 6};
    const rml_shape shape = {2, {2, 3}};
    const rml_op_attr sum = {.reduce = {.kind = RML_REDUCE_SUM}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        run r = start(RML_OP_REDUCE, sum, RML_F32, shape, &one, 1, 1);
        memcpy(rml_session_input(r.session, "x", NULL), x, sizeof x);
        *(int64_t *)rml_session_input(r.session, "s", NULL) = bad[i];
        CHECK(rml_session_run(r.session, &r.at.err) == RML_ERR_SHAPE);
        *(int64_t *)rml_session_input(r.session, "s", NULL) = -1;
        CHECK(rml_session_run(r.session, &r.at.err) == RML_OK);
        const float *y = rml_session_output(r.session, "y", NULL);
        CHECK(y[0] == 6 && y[1] == 15);
        end(&r);
        r = start(RML_OP_TOPK, (rml_op_attr){.topk = {.axis = 1}}, RML_F32, shape, &one, 2, 1);
        memcpy(rml_session_input(r.session, "x", NULL), x, sizeof x);
        *(int64_t *)rml_session_input(r.session, "s", NULL) = bad[i];
        CHECK(rml_session_run(r.session, &r.at.err) == RML_ERR_SHAPE);
        *(int64_t *)rml_session_input(r.session, "s", NULL) = 1;
        CHECK(rml_session_run(r.session, &r.at.err) == RML_OK);
        y = rml_session_output(r.session, "y", NULL);
        CHECK(y[0] == 3 && y[1] == 6);
        end(&r);
        r = start(RML_OP_CUMSUM, (rml_op_attr){.cumsum = {0}}, RML_F32, shape, &scalar, 1, 1);
        memcpy(rml_session_input(r.session, "x", NULL), x, sizeof x);
        *(int64_t *)rml_session_input(r.session, "s", NULL) = bad[i];
        rml_session_run(r.session, &r.at.err); // whatever comes of it
        *(int64_t *)rml_session_input(r.session, "s", NULL) = 0;
        CHECK(rml_session_run(r.session, &r.at.err) == RML_OK);
        y = rml_session_output(r.session, "y", NULL);
        CHECK(y[2] == 3 && y[3] == 5 && y[5] == 9);
        end(&r);
    }
}

// All equal, all different, and NaN beside both zeros.
static void test_unique(void)
{
    const float x[6] = {NAN, 0.0f, -0.0f, NAN, -1, 0};
    const int64_t first[3] = {4, 1, 0}, place[6] = {2, 1, 1, 2, 0, 1}, count[4] = {1, 3, 2, 0};
    run r = start(RML_OP_UNIQUE, (rml_op_attr){.unique = {.flat = true, .sorted = true}}, RML_F32,
                  (rml_shape){2, {3, 2}}, NULL, 3, 1);
    memcpy(rml_session_input(r.session, "x", NULL), x, sizeof x);
    CHECK(rml_session_run(r.session, &r.at.err) == RML_OK);
    CHECK(memcmp(rml_session_output(r.session, "y", NULL), first, sizeof first) == 0);
    CHECK(memcmp(rml_session_output(r.session, "z", NULL), place, sizeof place) == 0);
    CHECK(memcmp(rml_session_output(r.session, "w", NULL), count, sizeof count) == 0);
    end(&r);
}

int main(void)
{
    test_same_bits();
    test_nothing();
    test_told_by_the_run();
    test_unique();
    return check_result();
}
