// Corners of bands: what an operator reads of other images or rows, and views that scale.
#include "tests/support/net.h"

typedef struct setting {
    int64_t images;              // of the first input
    const rml_tensor_view *view; // of the first input, or NULL
} setting;

// Outputs of a run with `limit`, or NULL when it cannot be kept.
static float *run(net *at, const setting *s, size_t limit, size_t *bytes, size_t *count)
{
    rml_session_settings settings = rml_session_settings_default();
    rml_session *session = NULL;
    float *outputs = NULL;
    settings.memory_limit = limit;
    settings.threads = net_threads();
    CHECK(rml_session_create(&session, at->model, &settings, &at->err) == RML_OK);
    rml_shape shape = rml_model_input(at->model, 0).shape;
    shape.dim[0] = s->images;
    CHECK_MSG(rml_session_resize_at(session, 0, shape, &at->err) == RML_OK, "%s", at->err.message);
    if (s->view)
        CHECK(rml_session_bind_input(session, 0, s->view, &at->err) == RML_OK);
    const rml_status status = rml_session_prepare(session, &at->err);
    CHECK_MSG(status == RML_OK || (limit && status == RML_ERR_LIMIT), "%s", at->err.message);
    if (status == RML_OK) {
        *bytes = rml_session_planned_bytes(session);
        if (!s->view)
            net_fill_inputs(session, at->model, 5);
        CHECK_MSG(rml_session_run(session, &at->err) == RML_OK, "%s", at->err.message);
        outputs = net_outputs(session, at->model, count);
    }
    rml_session_destroy(&session);
    return outputs;
}

// Runs with less and less memory, and ends the network.
static int compare(net *at, const setting *s, const char *what)
{
    size_t plain_bytes = 0, bytes = 0, count = 0;
    int banded = 0;
    if (net_finish(at, NULL)) {
        float *plain = run(at, s, 0, &plain_bytes, &count);
        for (size_t share = 19; plain && share >= 1; share--) {
            float *ours = run(at, s, plain_bytes * share / 20, &bytes, &count);
            banded += ours != NULL;
            CHECK_MSG(!ours || memcmp(ours, plain, count * sizeof *ours) == 0,
                      "%s: %zu of %zu bytes", what, bytes, plain_bytes);
            free(ours);
        }
        free(plain);
    }
    net_end(at);
    return banded;
}

static rml_value_id conv(net *at, rml_value_id x, int64_t out, int64_t kernel)
{
    const int64_t c = at->graph->values[x].shape.dim[1];
    const rml_conv_attr attr = rml_conv_square(kernel, 1, kernel / 2);
    const rml_value_id w = net_random(at, "w", (rml_shape){4, {out, c, kernel, kernel}}, 'u');
    return rml_graph_conv(at->graph, x, w, RML_NO_VALUE, &attr, "conv");
}

static rml_value_id silu(net *at, rml_value_id x)
{
    return rml_graph_unary(at->graph, x, (rml_activation){.kind = RML_UNARY_SILU}, "silu");
}

// One row of each image becomes all of them.
static void test_expand_rows(void)
{
    net at;
    net_begin(&at, NULL);
    rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){4, {-1, 4, 1, 30}});
    x = rml_graph_expand(at.graph, x, &(rml_shape){4, {1, 1, 120, 1}}, RML_NO_VALUE, "expand");
    rml_graph_output(at.graph, "y", conv(&at, silu(&at, conv(&at, x, 4, 3)), 1, 3));
    CHECK(compare(&at, &(setting){.images = 3}, "rows") > 0);
}

// A norm of one image, which becomes several.
static void test_expand_images(void)
{
    net at;
    net_begin(&at, NULL);
    rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){4, {1, 4, 120, 30}});
    x = conv(&at, x, 8, 3);
    x = rml_graph_group_norm(at.graph, x, RML_NO_VALUE, RML_NO_VALUE, 4, 1e-6f, "norm");
    x = conv(&at, x, 8, 3);
    x = rml_graph_expand(at.graph, x, &(rml_shape){4, {5, 1, 1, 1}}, RML_NO_VALUE, "expand");
    rml_graph_output(at.graph, "y", conv(&at, silu(&at, conv(&at, x, 4, 3)), 1, 3));
    CHECK(compare(&at, &(setting){.images = 1}, "images") > 0);
}

// A norm whose weights are of this type. Those of another than f32 need not be computed in bands.
static void test_norm_types(rml_dtype dtype)
{
    static const float numbers[8] = {1, 1.001f, 1.002f, 0.5f, 2, 1.01f, -1, 0.25f};
    static float gammas[8];
    net at;
    rml_dtype_convert(RML_F32, numbers, dtype, gammas, 8);
    net_begin(&at, NULL);
    rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){4, {-1, 4, 120, 30}});
    const rml_shape shape = {1, {8}};
    const rml_stored stored = rml_stored_plain(gammas, dtype, &shape);
    const rml_value_id gamma = rml_graph_typed_constant(at.graph, "gamma", &stored);
    x = rml_graph_group_norm(at.graph, conv(&at, x, 8, 3), gamma, RML_NO_VALUE, 4, 1e-6f, "norm");
    rml_graph_output(at.graph, "y", conv(&at, silu(&at, conv(&at, x, 4, 3)), 1, 3));
    const int banded = compare(&at, &(setting){.images = 2}, rml_dtype_name(dtype));
    CHECK(banded > 0 || dtype != RML_F32);
}

// A size larger than what is repeated: the last row is repeated further.
static void test_resize_like(void)
{
    net at;
    net_begin(&at, NULL);
    const rml_resize_attr twice = rml_resize_twice();
    rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){4, {-1, 4, 60, 15}});
    const rml_value_id like = rml_graph_input(at.graph, "like", &(rml_shape){4, {1, 1, 150, 41}});
    x = rml_graph_resize(at.graph, conv(&at, x, 8, 3), like, &twice, "twice");
    rml_graph_output(at.graph, "y", conv(&at, silu(&at, conv(&at, x, 8, 3)), 1, 3));
    CHECK(compare(&at, &(setting){.images = 1}, "like") > 0);
}

// A sum that is computed by a convolution whose weights are computed as well.
static void test_generic_sum(void)
{
    net at;
    net_begin(&at, NULL);
    const rml_conv_attr attr = rml_conv_square(3, 1, 1);
    const rml_value_id in = rml_graph_input(at.graph, "x", &(rml_shape){4, {-1, 4, 120, 30}});
    const rml_value_id w = rml_graph_input(at.graph, "w", &(rml_shape){4, {4, 4, 3, 3}});
    rml_value_id x = conv(&at, silu(&at, conv(&at, in, 16, 3)), 4, 3);
    const rml_value_id a = rml_graph_conv(at.graph, x, w, RML_NO_VALUE, &attr, "a");
    const rml_value_id b = rml_graph_conv(at.graph, a, w, RML_NO_VALUE, &attr, "b");
    const rml_value_id h = rml_graph_conv(at.graph, b, w, RML_NO_VALUE, &attr, "h");
    x = rml_graph_binary(at.graph, RML_BINARY_ADD, h, a, "sum");
    rml_graph_output(at.graph, "y", conv(&at, silu(&at, conv(&at, x, 16, 3)), 1, 3));
    CHECK(compare(&at, &(setting){.images = 1}, "generic") > 0);
}

// A scale for each row or image of a view that is read band by band.
static void test_scale(int axis)
{
    enum { N = 3, C = 2, H = 200, W = 40 };
    static float data[N * C * H * W], scale[H], bias[H];
    net at;
    uniform_fill(data, N * C * H * W, 1, 'u');
    uniform_fill(scale, H, 2, 'u');
    uniform_fill(bias, H, 3, 'u');
    static const int64_t sizes[4] = {N, C, H, W};
    rml_tensor_view view = rml_tensor_view_default();
    view.data = data;
    view.bytes = sizeof data;
    view.dtype = RML_F32;
    view.channels = (int)sizes[axis];
    view.channel_axis = axis;
    view.scale = scale;
    view.bias = bias;
    net_begin(&at, NULL);
    const rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){4, {-1, C, H, W}});
    rml_graph_output(at.graph, "y", conv(&at, silu(&at, conv(&at, x, 4, 3)), 1, 3));
    CHECK(compare(&at, &(setting){.images = N, .view = &view}, "scale") > 0);
}

// A norm of one channel, which is a plane too, beside others; its input may be read once more.
static void test_norm_of_plane(bool again)
{
    net at;
    net_begin(&at, NULL);
    const rml_value_id in = rml_graph_input(at.graph, "x", &(rml_shape){4, {-1, 4, 120, 30}});
    rml_value_id x[2] = {conv(&at, in, 1, 3), conv(&at, in, 2, 3)};
    if (again)
        rml_graph_output(at.graph, "before", x[0]);
    x[0] = rml_graph_group_norm(at.graph, x[0], RML_NO_VALUE, RML_NO_VALUE, 1, 1e-6f, "norm");
    const rml_value_id both = rml_graph_concat(at.graph, x, 2, 1, "both");
    rml_graph_output(at.graph, "y", conv(&at, silu(&at, conv(&at, both, 4, 3)), 1, 3));
    CHECK(compare(&at, &(setting){.images = 2}, "plane") > 0);
}

int main(void)
{
    test_expand_rows();
    test_expand_images();
    test_norm_types(RML_F32);
    test_norm_types(RML_F16);
    test_norm_of_plane(false);
    test_norm_of_plane(true);
    test_resize_like();
    test_generic_sum();
    for (int axis = 0; axis < 4; axis++)
        test_scale(axis);
    return check_result();
}
