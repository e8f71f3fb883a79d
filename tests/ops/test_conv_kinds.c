// One operator, several kinds of nodes: a convolution of one dimension has the bits of an image of
// one row; weights that are computed, and more dimensions, go the generic way, with the same sum
// and activation fused.
#include "tests/support/net.h"

static float *run(net *at, const char *disabled, int threads, const char *algorithm, size_t *count)
{
    rml_session *session;
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = threads;
    settings.profile = true;
    CHECK_MSG(net_finish(at, disabled), "%s", at->err.message);
    CHECK(rml_session_create(&session, at->model, &settings, &at->err) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &at->err) == RML_OK, "%s", at->err.message);
    net_fill_inputs(session, at->model, 7);
    float *one = rml_session_input(session, "one", NULL);
    if (one)
        *one = 1.0f;
    CHECK(rml_session_run(session, &at->err) == RML_OK);
    float *out = net_outputs(session, at->model, count);
    for (size_t i = 0; i < rml_session_profile_count(session); i++) {
        const rml_profile_entry entry = rml_session_profile(session, i);
        CHECK_MSG(strncmp(entry.op, "conv", 4) != 0 || strcmp(entry.algorithm, algorithm) == 0,
                  "%s runs by %s", entry.op, entry.algorithm);
        CHECK_MSG(disabled || one || strcmp(entry.op, "binary") != 0, "the sum is not fused");
    }
    rml_session_destroy(&session);
    net_end(at);
    return out;
}

static rml_shape shape_of(int rank, int64_t n, int64_t c, int64_t size)
{
    rml_shape shape = {rank, {n, c, size, size, size}};
    if (rank == 4)
        shape.dim[2] = 5;
    return shape;
}

// conv -> (+ x2) -> sigmoid. rank 4 with `row`: the image of one row that rank 3 stands for.
typedef struct kind {
    int rank;
    bool row, computed, transposed;
    bool few; // outputs of a transposed one: 2 of a group, not 8 in all
    int64_t groups, stride, dilation;
} kind;

static void build(net *at, const kind *k)
{
    rml_conv_attr attr = {.window = {.auto_pad = RML_AUTO_PAD_SAME_UPPER},
                          .groups = k->groups,
                          .act = rml_activation_none()};
    for (int i = 0; i < RML_MAX_SPATIAL; i++) {
        attr.window.stride[i] = k->row && i == 0 ? 1 : k->stride;
        attr.window.dilation[i] = k->dilation;
    }
    net_begin(at, NULL);
    const bool one = k->row || k->rank == 3;
    const int64_t size = one ? 37 : 6,
                  out = k->transposed ? size * k->stride : (size + k->stride - 1) / k->stride;
    const int64_t each = k->few ? 2 : 8 / k->groups, outputs = k->few ? 2 * k->groups : 8;
    rml_shape x = shape_of(k->rank, 2, 8, size), w = shape_of(k->rank, 8, each, 3);
    rml_shape sum = shape_of(k->rank, 2, outputs, out);
    if (k->rank == 4) {
        x.dim[2] = k->row ? 1 : size;
        w.dim[2] = k->row ? 1 : 3;
        sum.dim[2] = k->row ? 1 : out;
    }
    const rml_value_id in = rml_graph_input(at->graph, "x", &x);
    const rml_value_id added = rml_graph_input(at->graph, "x2", &sum);
    rml_value_id weight = net_random(at, "w", w, 'u');
    if (k->computed) // times an input, so that nothing is folded
        weight = rml_graph_binary(at->graph, RML_BINARY_MUL, weight,
                                  rml_graph_input(at->graph, "one", &(rml_shape){1, {1}}), "w2");
    const rml_value_id bias = net_random(at, "b", (rml_shape){1, {outputs}}, 'u');
    rml_value_id y = (k->transposed ? rml_graph_conv_transpose
                                    : rml_graph_conv)(at->graph, in, weight, bias, &attr, "conv");
    y = rml_graph_binary(at->graph, RML_BINARY_ADD, y, added, "sum");
    y = rml_graph_unary(at->graph, y, (rml_activation){.kind = RML_UNARY_SIGMOID}, "act");
    rml_graph_output(at->graph, "y", y);
}

static void test_row(void)
{
    static const kind kinds[] = {
        {.rank = 3, .groups = 1, .stride = 1, .dilation = 1},
        {.rank = 3, .groups = 2, .stride = 2, .dilation = 1},
        {.rank = 3, .groups = 8, .stride = 1, .dilation = 3},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int threads = 1; threads <= net_threads(); threads++) {
            net line, image;
            size_t count, again;
            kind row = kinds[i];
            row.rank = 4;
            row.row = true;
            build(&line, &kinds[i]);
            build(&image, &row);
            const bool plain = kinds[i].groups == 8;
            const char *of_line = plain ? "rows-of-planes" : "row-of-an-image";
            const char *way = plain                 ? "rows-of-planes"
                              : kinds[i].groups > 1 ? "direct"
                                                    : "indirect-gemm";
            float *got = run(&line, NULL, threads, of_line, &count);
            float *want = run(&image, NULL, threads, way, &again);
            CHECK_MSG(count == again && memcmp(got, want, count * sizeof *got) == 0,
                      "groups %d: a line has other bits than an image of one row",
                      (int)kinds[i].groups);
            free(got);
            free(want);
        }
}

static void check_near(const kind *k, const char *algorithm, const kind *like, const char *other)
{
    net a, b;
    size_t count, again;
    build(&a, k);
    build(&b, like);
    float *got = run(&a, NULL, net_threads(), algorithm, &count);
    float *want = run(&b, k == like ? "fuse_act" : NULL, 1, other, &again);
    CHECK(count == again);
    for (size_t i = 0; i < count && count == again; i++)
        CHECK_MSG(fabsf(got[i] - want[i]) < 1e-5f, "%s: element %zu is %g, not %g", algorithm, i,
                  (double)got[i], (double)want[i]);
    free(got);
    free(want);
}

// All ways of the transpose of images and of lines, against the generic one, which takes weights
// that are computed; and the same bits for any number of threads.
static void test_transposed(void)
{
    static const int64_t strides[] = {1, 2, 3, 10, 70}, groups[] = {1, 2, 8};
    for (int i = 0; i < 120; i++) {
        const bool line = i % 2;
        const int64_t stride = strides[i / 24];
        kind way = {.transposed = true,
                    .rank = line ? 3 : 4,
                    .groups = groups[i / 2 % 3],
                    .few = i / 6 % 2,
                    .dilation = i / 12 % 2 ? 2 : 1,
                    .stride = line || stride < 10 ? stride : 10};
        kind computed = way;
        const bool overlap = way.stride * way.stride > 64 || (way.few && way.groups == 1);
        // Few outputs stay plain, where rows are wide enough and phases not too many.
        const bool few = way.few && way.groups == 1;
        const bool plain = few && (line ? way.stride <= 64 : way.stride < 10);
        const char *name = line && plain    ? "phases-of-planes"
                           : line           ? "row-of-an-image"
                           : overlap        ? "product-and-overlap"
                           : way.groups > 1 ? "phases-direct"
                                            : "phases-indirect-gemm";
        computed.computed = true;
        check_near(&computed, plain ? "phases-of-planes" : "rows", &way, name);
        net one, all;
        size_t count, again;
        build(&one, &way);
        build(&all, &way);
        float *want = run(&one, NULL, 1, name, &count);
        float *got = run(&all, NULL, net_threads(), name, &again);
        CHECK_MSG(count == again && memcmp(got, want, count * sizeof *got) == 0,
                  "stride %d, groups %d: other bits with more threads", (int)way.stride,
                  (int)way.groups);
        free(got);
        free(want);
    }
}

int main(void)
{
    const kind image = {.rank = 4, .groups = 2, .stride = 2, .dilation = 1};
    kind computed = image, deep = image, up = image, up_computed;
    computed.computed = true;
    deep.rank = 5;
    up.transposed = true;
    up_computed = up;
    up_computed.computed = true;
    test_row();
    test_transposed();
    check_near(&computed, "rows-of-planes", &image, "direct");
    check_near(&deep, "rows-of-planes", &deep, "rows-of-planes"); // fused or not
    check_near(&up_computed, "rows", &up, "phases-direct");
    deep.groups = 8;
    check_near(&deep, "rows-of-planes", &deep, "rows-of-planes");
    return check_result();
}
