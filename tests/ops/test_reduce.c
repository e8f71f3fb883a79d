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

// An image behind a convolution that copies.
static rml_value_id image(net *at, const rml_shape *shape)
{
    const int64_t channels = shape->dim[1];
    const rml_value_id w = net_constant(at, "w", (rml_shape){4, {channels, 1, 1, 1}});
    for (int64_t c = 0; c < channels; c++)
        at->memory[at->constants - 1][c] = 1.0f;
    const rml_conv_attr copy = {.window = {.stride = {1, 1}, .dilation = {1, 1}},
                                .groups = channels,
                                .act = rml_activation_none()};
    return rml_graph_conv(at->graph, rml_graph_input(at->graph, "x", shape), w, RML_NO_VALUE, &copy,
                          "copy");
}

static const rml_node *find_node(const rml_graph *graph, rml_op_id op)
{
    for (size_t i = 0; i < graph->node_count; i++)
        if (!graph->nodes[i].dead && graph->nodes[i].op == op)
            return &graph->nodes[i];
    return NULL;
}

// Means over height and width of small images are taken as convolutions leave those, whatever way
// the axes are told; they are what a global pool gives, to the bit, for any number of threads.
static void test_means_of_images(void)
{
    const struct {
        rml_shape x;
        rml_op_attr attr;
        bool taken;
    } cases[] = {{{4, {2, 320, 7, 9}}, reduce_attr(RML_REDUCE_MEAN, 2, 3), true},
                 {{4, {3, 32, 64, 64}}, reduce_attr(RML_REDUCE_MEAN, -1, -2), true},
                 {{4, {1, 33, 1, 1}}, reduce_attr(RML_REDUCE_MEAN, 3, 2), true},
                 {{4, {2, 31, 5, 5}}, reduce_attr(RML_REDUCE_MEAN, 2, 3), false},
                 {{4, {1, 32, 65, 64}}, reduce_attr(RML_REDUCE_MEAN, 2, 3), false},
                 {{4, {1, 32, 6, 5}}, reduce_attr(RML_REDUCE_MEAN, 1, 2), false},
                 {{4, {1, 32, 6, 5}}, reduce_attr(RML_REDUCE_SUM, 2, 3), false}};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++)
        for (int threads = 1; threads <= net_threads(); threads++) {
            const rml_pool_attr average = {.kind = RML_POOL_AVERAGE, .global = true};
            const rml_shape *shape = &cases[i / 2].x;
            rml_op_attr attr = cases[i / 2].attr;
            net at;
            net_begin(&at, NULL);
            rml_value_id in[2] = {image(&at, shape)};
            const int64_t axes[2] = {attr.reduce.axes[0], attr.reduce.axes[1]};
            const rml_stored stored = rml_stored_plain(axes, RML_I64, &(rml_shape){1, {2}});
            in[1] = rml_graph_typed_constant(at.graph, "axes", &stored);
            if (i % 2)
                attr.reduce = (rml_reduce_attr){.kind = attr.reduce.kind, .keep = true};
            rml_graph_output(
                at.graph, "y",
                rml_graph_node(at.graph, RML_OP_REDUCE, &attr, in, 1 + (int)(i % 2), "mean"));
            rml_graph_output(at.graph, "pool", rml_graph_pool(at.graph, in[0], &average, "pool"));
            CHECK(net_finish(&at, NULL));
            CHECK(find_node(at.graph, RML_OP_REDUCE)->generic == !cases[i / 2].taken);
            rml_session *session = NULL;
            const rml_session_settings settings = {.size = sizeof settings, .threads = threads};
            CHECK(rml_session_create(&session, at.model, &settings, &at.err) == RML_OK);
            CHECK(rml_session_prepare(session, &at.err) == RML_OK);
            net_fill_inputs(session, at.model, 3 + i / 2);
            const size_t planes = (size_t)(shape->dim[0] * shape->dim[1]);
            const size_t pixels = (size_t)(shape->dim[2] * shape->dim[3]);
            double *want = calloc(planes, sizeof *want);
            const float *x = rml_session_input(session, "x", NULL);
            for (size_t k = 0; k < planes * pixels; k++)
                want[k / pixels] += (double)x[k] / (double)pixels;
            CHECK(rml_session_run(session, &at.err) == RML_OK);
            rml_shape out;
            const float *y = rml_session_output(session, "y", &out);
            const float *pool = rml_session_output(session, "pool", NULL);
            CHECK(out.rank == 2 + 2 * (int)(i % 2));
            for (size_t k = 0; k < planes; k++)
                CHECK(fabs((double)pool[k] - want[k]) < 1e-6);
            if (cases[i / 2].taken)
                CHECK(memcmp(y, pool, planes * sizeof *y) == 0);
            free(want);
            rml_session_destroy(&session);
            net_end(&at);
        }
}

// A mean of nothing, and one of an image that is known.
static void test_means_of_odd_images(void)
{
    net at;
    rml_op_attr attr = reduce_attr(RML_REDUCE_MEAN, 2, 3);
    net_begin(&at, NULL);
    const rml_value_id x = net_random(&at, "c", (rml_shape){4, {1, 32, 20, 30}}, 'u');
    const rml_value_id mean = rml_graph_node(at.graph, RML_OP_REDUCE, &attr, &x, 1, "mean");
    rml_graph_output(at.graph, "y", rml_graph_unary(at.graph, mean, rml_activation_relu(), "relu"));
    CHECK(net_finish(&at, NULL));
    CHECK(!find_node(at.graph, RML_OP_REDUCE));
    net_end(&at);
    run r = start(RML_OP_REDUCE, attr, RML_F32, (rml_shape){4, {1, 40, 0, 3}}, NULL, 1, 1);
    CHECK(rml_session_run(r.session, &r.at.err) == RML_OK);
    CHECK(isnan(((const float *)rml_session_output(r.session, "y", NULL))[39]));
    end(&r);
}

int main(void)
{
    test_means_of_images();
    test_means_of_odd_images();
    test_same_bits();
    test_nothing();
    test_told_by_the_run();
    test_unique();
    return check_result();
}
