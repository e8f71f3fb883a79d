// Inverted residual blocks as one node: the bits of the three convolutions, for any size, stride,
// batch and number of threads; and which chains are left alone.
#include "tests/support/net.h"

typedef struct block {
    int64_t in, between, out, kernel, stride, height, width, batch;
    bool residual, bias, large; // large: the last activation is no clamp
} block;

static rml_value_id conv(net *at, rml_value_id x, int64_t in, int64_t out,
                         const rml_conv_attr *attr, bool bias, const char *name)
{
    const int64_t k = attr->window.kernel[0];
    const rml_value_id w = net_random(at, "w", (rml_shape){4, {out, in / attr->groups, k, k}}, 'u');
    const rml_value_id b = bias ? net_random(at, "b", (rml_shape){1, {out}}, 'u') : RML_NO_VALUE;
    return rml_graph_conv(at->graph, x, w, b, attr, name);
}

static rml_value_id relu6(net *at, rml_value_id x)
{
    return rml_graph_unary(at->graph, x, (rml_activation){RML_UNARY_CLAMP, {0, 6}}, "relu6");
}

static void build(net *at, const block *b, const char *disabled)
{
    const rml_conv_attr pointwise = rml_conv_square(1, 1, 0);
    rml_conv_attr depthwise = rml_conv_square(b->kernel, b->stride, b->kernel / 2);
    depthwise.groups = b->between;
    net_begin(at, NULL);
    const rml_value_id x = rml_graph_input(at->graph, "x", &(rml_shape){4, {-1, b->in, -1, -1}});
    rml_value_id y = relu6(at, conv(at, x, b->in, b->between, &pointwise, b->bias, "up"));
    y = relu6(at, conv(at, y, b->between, b->between, &depthwise, b->bias, "over"));
    y = conv(at, y, b->between, b->out, &pointwise, b->bias, "down");
    if (b->residual)
        y = rml_graph_binary(at->graph, RML_BINARY_ADD, x, y, "add");
    if (b->large)
        y = rml_graph_unary(at->graph, y, (rml_activation){.kind = RML_UNARY_SIGMOID}, "sigmoid");
    rml_graph_output(at->graph, "y", y);
    net_finish(at, disabled);
}

static float *run(net *at, const block *b, int threads, size_t *count)
{
    rml_session *session;
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = threads;
    CHECK(rml_session_create(&session, at->model, &settings, &at->err) == RML_OK);
    const rml_shape shape = {4, {b->batch, b->in, b->height, b->width}};
    CHECK(rml_session_resize(session, "x", shape, &at->err) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &at->err) == RML_OK, "%s", at->err.message);
    net_fill_inputs(session, at->model, 7);
    CHECK(rml_session_run(session, &at->err) == RML_OK);
    float *out = net_outputs(session, at->model, count);
    rml_session_destroy(&session);
    return out;
}

static size_t live_nodes(const net *at, rml_op_id op)
{
    size_t count = 0;
    for (size_t i = 0; i < at->graph->node_count; i++)
        count += !at->graph->nodes[i].dead && at->graph->nodes[i].op == op;
    return count;
}

static void check(const block *b)
{
    net apart, fused;
    size_t count, again;
    build(&apart, b, "fuse_block");
    build(&fused, b, NULL);
    CHECK(live_nodes(&apart, RML_OP_INVERTED_RESIDUAL) == 0);
    CHECK(live_nodes(&fused, RML_OP_INVERTED_RESIDUAL) == 1 &&
          live_nodes(&fused, RML_OP_CONV) == 0);
    float *want = run(&apart, b, 1, &count);
    for (int threads = 1; threads <= net_threads(); threads++) {
        float *got = run(&fused, b, threads, &again);
        CHECK_MSG(again == count && memcmp(got, want, count * sizeof *got) == 0,
                  "%lld->%lld->%lld kernel %lld stride %lld, %lldx%lld, batch %lld, %d threads",
                  (long long)b->in, (long long)b->between, (long long)b->out, (long long)b->kernel,
                  (long long)b->stride, (long long)b->height, (long long)b->width,
                  (long long)b->batch, threads);
        free(got);
    }
    free(want);
    net_end(&apart);
    net_end(&fused);
}

static void test_bits(void)
{
    static const block blocks[] = {
        {16, 96, 24, 3, 2, 112, 112, 1, false, true, false}, // several pieces
        {24, 144, 24, 3, 1, 57, 61, 2, true, true, false},
        {8, 40, 8, 5, 1, 90, 75, 1, true, false, true},
        {8, 300, 12, 3, 2, 63, 80, 3, false, true, false},
        {13, 37, 5, 3, 2, 7, 9, 5, false, false, false}, // whole images at a time
        {64, 384, 64, 3, 1, 14, 14, 5, true, true, false},
        {3, 7, 3, 3, 1, 1, 1, 2, true, true, false},
        {4, 6, 4, 3, 2, 3, 1, 1, false, true, true},
    };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        check(&blocks[i]);
}

// What somebody else reads stays, and so do chains of other kernels.
static void test_left_alone(void)
{
    const rml_conv_attr pointwise = rml_conv_square(1, 1, 0);
    rml_conv_attr depthwise = rml_conv_square(3, 1, 1);
    depthwise.groups = 6;
    for (int kind = 0; kind < 3; kind++) {
        net at;
        net_begin(&at, NULL);
        const rml_conv_attr wide = rml_conv_square(3, 1, 1);
        rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){4, {-1, 4, 8, 8}});
        rml_value_id up =
            relu6(&at, conv(&at, x, 4, 6, kind == 1 ? &wide : &pointwise, true, "up"));
        rml_value_id over = relu6(&at, conv(&at, up, 6, 6, &depthwise, true, "over"));
        rml_graph_output(at.graph, "y",
                         conv(&at, over, 6, 4, kind == 2 ? &wide : &pointwise, true, "down"));
        if (kind == 0)
            rml_graph_output(at.graph, "also", over);
        net_finish(&at, NULL);
        CHECK(live_nodes(&at, RML_OP_INVERTED_RESIDUAL) == 0);
        net_end(&at);
    }
}

int main(void)
{
    test_bits();
    test_left_alone();
    return check_result();
}
