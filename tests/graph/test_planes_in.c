// Convolutions from few channels to many read plain images as they are: no reorder in front of
// them, and the bits of the same convolution of a channels-last image, for any kernel, stride,
// dilation, padding, batch and number of threads.
#include "tests/support/net.h"

// The image as a depthwise 1x1 convolution with ones gives it back, channels-last.
static rml_value_id turn(net *at, rml_value_id x, int64_t channels)
{
    rml_conv_attr same = rml_conv_square(1, 1, 0);
    same.groups = channels;
    const rml_value_id ones = net_constant(at, "ones", (rml_shape){4, {channels, 1, 1, 1}});
    for (int64_t i = 0; i < channels; i++)
        at->memory[at->constants - 1][i] = 1.0f;
    return rml_graph_conv(at->graph, x, ones, RML_NO_VALUE, &same, "same");
}

// A channels-last image is wanted of the convolution, else it might run plain.
static void build(net *at, rml_shape x, rml_shape weight, const rml_conv_attr *attr, bool bias,
                  bool turned)
{
    net_begin(at, NULL);
    rml_value_id in = rml_graph_input(at->graph, "x", &x);
    const rml_value_id w = net_random(at, "w", weight, 'u');
    const rml_value_id b =
        bias ? net_random(at, "b", (rml_shape){1, {weight.dim[0]}}, 'u') : RML_NO_VALUE;
    if (turned)
        in = turn(at, in, x.dim[1]);
    in = rml_graph_conv(at->graph, in, w, b, attr, "conv");
    rml_graph_output(at->graph, "y", turn(at, in, weight.dim[0]));
    net_finish(at, NULL);
}

static float *run(net *at, int threads, size_t *count)
{
    rml_session *session;
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = threads;
    CHECK(rml_session_create(&session, at->model, &settings, &at->err) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &at->err) == RML_OK, "%s", at->err.message);
    net_fill_inputs(session, at->model, 11);
    CHECK(rml_session_run(session, &at->err) == RML_OK);
    float *out = net_outputs(session, at->model, count);
    rml_session_destroy(&session);
    return out;
}

static bool turns_input(const net *at)
{
    for (size_t i = 0; i < at->graph->node_count; i++) {
        const rml_node *node = &at->graph->nodes[i];
        if (!node->dead && node->op == RML_OP_LAYOUT_TRANSFORM &&
            at->graph->values[node->in[0]].kind == RML_VALUE_INPUT)
            return true;
    }
    return false;
}

static void check(int number)
{
    const int64_t channels = 2 + below(7);
    const int64_t kernel[2] = {2 + below(6), 2 + below(24 / channels - 1)};
    const rml_shape weight = {4, {16 + below(50), channels, kernel[0], kernel[1]}};
    rml_conv_attr attr = rml_conv_square(1, 1, 0);
    rml_shape x = {4, {1 + below(3), channels}};
    for (int i = 0; i < 2; i++) {
        attr.window.kernel[i] = kernel[i];
        attr.window.stride[i] = 1 + below(3);
        attr.window.dilation[i] = below(3) ? 1 : 1 + below(6);
        attr.window.before[i] = below(kernel[i] + 2);
        attr.window.after[i] = below(kernel[i] + 2);
        x.dim[2 + i] =
            1 + (kernel[i] - 1) * attr.window.dilation[i] + below(i && number % 4 == 0 ? 900 : 40);
    }
    const bool bias = below(2);
    net planes, turned;
    size_t count, again;
    build(&planes, x, weight, &attr, bias, false);
    build(&turned, x, weight, &attr, bias, true);
    CHECK(!turns_input(&planes));
    float *want = run(&turned, 1, &count);
    for (int threads = 1; threads <= net_threads(); threads++) {
        float *got = run(&planes, threads, &again);
        CHECK_MSG(again == count && memcmp(got, want, count * sizeof *got) == 0,
                  "%d: %lld channels, %lldx%lld, kernel %lldx%lld, %d threads", number,
                  (long long)channels, (long long)x.dim[2], (long long)x.dim[3],
                  (long long)kernel[0], (long long)kernel[1], threads);
        free(got);
    }
    free(want);
    net_end(&planes);
    net_end(&turned);
}

int main(void)
{
    for (int i = 0; i < 60; i++)
        check(i);
    return check_result();
}
