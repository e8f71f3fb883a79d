// Images as rows and back: the same bits as by transposing and reshaping, wherever the planner lets
// values share memory, and no memory of their own where nothing stands in the way.
#include "tests/support/net.h"

#include <string.h>

#define N 2
#define C 6
#define H 3
#define W 5

// What stands around the rows.
typedef enum around {
    PLAIN,      // image -> rows -> linear -> image
    CONCAT_IN,  // the image is a concatenation
    CONCAT_OUT, // the new image is a part of one
    PART_IN,    // the image is a part of a concatenation that is read, too
    RESHAPED,   // rows of another width on the way
    STRAIGHT,   // image -> rows -> image
    NO_ROWS,    // the image as it is
} around;

static rml_value_id conv(net *at, rml_value_id x, int64_t out, const char *name)
{
    const rml_conv_attr attr = rml_conv_square(1, 1, 0);
    const int64_t in = x == RML_NO_VALUE ? 1 : at->graph->values[x].shape.dim[1];
    const rml_value_id w = net_random(at, name, (rml_shape){4, {out, in, 1, 1}}, 'u');
    return rml_graph_conv(at->graph, x, w, RML_NO_VALUE, &attr, name);
}

static rml_value_id to_rows(net *at, rml_value_id x, bool ours)
{
    if (ours)
        return rml_graph_pixels_to_rows(at->graph, x, "rows");
    const int64_t channels = at->graph->values[x].shape.dim[1];
    x = rml_graph_transpose(at->graph, x, (const int[]){0, 2, 3, 1}, 4, "rows");
    return rml_graph_reshape(at->graph, x, &(rml_shape){3, {N, H * W, channels}}, "rows");
}

static rml_value_id to_pixels(net *at, rml_value_id x, rml_value_id like, bool ours)
{
    if (ours)
        return rml_graph_rows_to_pixels(at->graph, x, like, "pixels");
    const rml_shape *rows = &at->graph->values[x].shape;
    const rml_shape *image = &at->graph->values[like].shape;
    const rml_shape shape = {4, {N, rows->dim[2], image->dim[2], image->dim[3]}};
    x = rml_graph_transpose(at->graph, x, (const int[]){0, 2, 1}, 3, "pixels");
    return rml_graph_reshape(at->graph, x, &shape, "pixels");
}

static void finish(net *at, rml_value_id y, rml_value_id other)
{
    rml_graph_output(at->graph, "y", conv(at, y, 4, "last"));
    if (other != RML_NO_VALUE)
        rml_graph_output(at->graph, "z", conv(at, other, 4, "also"));
    net_finish(at, NULL);
}

static void build(net *at, around kind, bool ours)
{
    rml_graph *graph = at->graph;
    const rml_activation relu = rml_activation_relu();
    const rml_value_id in = rml_graph_input(graph, "x", &(rml_shape){4, {N, C, H, W}});
    rml_value_id x = conv(at, in, C, "first"), like = in, other = RML_NO_VALUE;
    if (kind == CONCAT_IN || kind == PART_IN) {
        const rml_value_id both[2] = {x, conv(at, in, 3, "beside")};
        const rml_value_id joined = rml_graph_concat(graph, both, 2, 1, "concat");
        x = kind == CONCAT_IN ? joined : rml_graph_unary(graph, x, relu, "relu");
        other = kind == CONCAT_IN ? RML_NO_VALUE : joined;
    }
    if (kind == NO_ROWS) {
        finish(at, x, other);
        return;
    }
    rml_value_id rows = to_rows(at, x, ours);
    if (kind == RESHAPED) {
        rows = rml_graph_reshape(graph, rows, &(rml_shape){3, {N, H * W * 2, C / 2}}, "narrow");
        like = rml_graph_input(graph, "like", &(rml_shape){4, {N, 1, H * 2, W}});
    } else if (kind != STRAIGHT) {
        const int64_t width = graph->values[rows].shape.dim[2];
        const rml_value_id w = net_random(at, "w", (rml_shape){2, {C, width}}, 'u');
        rows = rml_graph_linear(graph, rows, w, RML_NO_VALUE, "linear");
    }
    rml_value_id y = to_pixels(at, rows, like, ours);
    if (kind == CONCAT_OUT) {
        const rml_value_id both[2] = {conv(at, in, 3, "beside"), y};
        y = rml_graph_concat(graph, both, 2, 1, "concat");
    }
    finish(at, y, other);
}

// All outputs; the bytes that were planned to `bytes`.
static float *run(around kind, bool ours, bool no_reuse, size_t *count, size_t *bytes)
{
    net at;
    rml_session *session;
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = net_threads();
    settings.no_reuse = no_reuse;
    net_begin(&at, NULL);
    build(&at, kind, ours);
    CHECK(rml_session_create(&session, at.model, &settings, &at.err) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &at.err) == RML_OK, "%s", at.err.message);
    net_fill_inputs(session, at.model, 5);
    CHECK(rml_session_run(session, &at.err) == RML_OK);
    float *all = net_outputs(session, at.model, count);
    *bytes = rml_session_planned_bytes(session);
    rml_session_destroy(&session);
    net_end(&at);
    return all;
}

static void test_bits(void)
{
    for (around kind = PLAIN; kind <= STRAIGHT; kind++) {
        size_t count[3], bytes[3];
        float *want = run(kind, false, false, &count[0], &bytes[0]);
        float *got = run(kind, true, false, &count[1], &bytes[1]);
        float *alone = run(kind, true, true, &count[2], &bytes[2]);
        CHECK(count[0] == count[1] && count[0] == count[2]);
        CHECK_MSG(memcmp(want, got, count[0] * sizeof *want) == 0, "kind %d: other bits",
                  (int)kind);
        CHECK_MSG(memcmp(want, alone, count[0] * sizeof *want) == 0, "kind %d: other bits alone",
                  (int)kind);
        free(want);
        free(got);
        free(alone);
    }
}

static void test_no_copy(void)
{
    size_t count[2], bytes[2];
    float *with = run(STRAIGHT, true, true, &count[0], &bytes[0]);
    float *without = run(NO_ROWS, true, true, &count[1], &bytes[1]);
    CHECK(count[0] == count[1] && memcmp(with, without, count[0] * sizeof *with) == 0);
    CHECK_MSG(bytes[0] == bytes[1], "%zu bytes, without rows %zu", bytes[0], bytes[1]);
    free(with);
    free(without);
}

static void test_refusals(void)
{
    const rml_shape image = {4, {2, 3, 4, 5}};
    const rml_shape bad[][2] = {{{3, {2, 19, 6}}, image},
                                {{3, {1, 20, 6}}, image},
                                {{2, {20, 6}}, image},
                                {{3, {2, 20, 6}}, {3, {2, 4, 5}}}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        net at;
        net_begin(&at, NULL);
        const rml_value_id rows = rml_graph_input(at.graph, "rows", &bad[i][0]);
        const rml_value_id like = rml_graph_input(at.graph, "like", &bad[i][1]);
        CHECK(rml_graph_rows_to_pixels(at.graph, rows, like, "p") == RML_NO_VALUE);
        CHECK(rml_graph_finish(at.graph, &at.err) == RML_ERR_SHAPE);
        net_end(&at);
    }
    net at;
    net_begin(&at, NULL);
    const rml_value_id rows = rml_graph_input(at.graph, "rows", &bad[0][0]);
    CHECK(rml_graph_pixels_to_rows(at.graph, rows, "p") == RML_NO_VALUE);
    net_end(&at);
}

int main(void)
{
    test_bits();
    test_no_copy();
    test_refusals();
    return check_result();
}
