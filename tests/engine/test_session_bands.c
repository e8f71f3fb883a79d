// Sessions with a memory limit: images computed in bands have the bits of the plain plan for any
// number of threads, and the limit holds.
#include "tests/support/counting_allocator.h"
#include "tests/support/random_net.h"

// ---- random networks of what a decoder has, and some of what stops bands ------------------------

static void add_conv(world *w, rml_value_id x)
{
    const int64_t c = shape_of(w, x).dim[1], kernel = draw(w, 3) + 1;
    const bool each = draw(w, 5) == 0;
    const int64_t out = each ? c : 3 * (1 + draw(w, 6));
    rml_conv_attr attr = rml_conv_square(kernel, 1 + (draw(w, 4) == 0), 0);
    attr.window.dilation[0] = attr.window.dilation[1] = 1 + (draw(w, 4) == 0);
    attr.groups = each ? c : 1;
    for (int side = 0; side < 4; side++) // sides differ
        (side < 2 ? attr.window.before : attr.window.after)[side % 2] =
            draw(w, (kernel - 1) * attr.window.dilation[side % 2] + 1);
    const rml_value_id weight =
        net_random(&w->at, "w", (rml_shape){4, {out, c / attr.groups, kernel, kernel}}, 'u');
    const rml_value_id bias = net_random(&w->at, "b", (rml_shape){1, {out}}, 'u');
    push(w, rml_graph_conv(w->at.graph, x, weight, bias, &attr, next_name(w)));
}

static void add_norm(world *w, rml_value_id x)
{
    const int64_t c = shape_of(w, x).dim[1];
    const rml_value_id gamma = net_random(&w->at, "g", (rml_shape){1, {c}}, 'p');
    const rml_value_id beta = net_random(&w->at, "b", (rml_shape){1, {c}}, 'u');
    x = rml_graph_group_norm(w->at.graph, x, draw(w, 4) ? gamma : RML_NO_VALUE,
                             draw(w, 4) ? beta : RML_NO_VALUE, c % 3 ? 1 : 3, 1e-6f, next_name(w));
    if (draw(w, 2))
        x = rml_graph_unary(w->at.graph, x, (rml_activation){.kind = RML_UNARY_SILU}, "silu");
    push(w, x);
}

static void add_resize(world *w, rml_value_id x)
{
    const int64_t times = 2 + (draw(w, 3) == 0);
    rml_resize_attr attr = rml_resize_twice();
    attr.scale[0] = (double)times;
    if (draw(w, 4) == 0) {
        attr.mode = RML_INTERPOLATION_LINEAR;
        attr.coordinates = RML_COORDINATES_HALF_PIXEL;
    }
    if (shape_of(w, x).dim[2] * times <= 260)
        push(w, rml_graph_resize(w->at.graph, x, RML_NO_VALUE, &attr, next_name(w)));
}

// A partner of the same shape, the last that there is.
static void add_sum(world *w, rml_value_id x)
{
    const rml_shape shape = shape_of(w, x);
    for (int i = w->count - 1; i >= 0; i--) {
        const rml_shape other = shape_of(w, w->values[i]);
        if (w->values[i] != x && rml_shape_equal(&shape, &other)) {
            push(w, rml_graph_binary(w->at.graph, RML_BINARY_ADD, x, w->values[i], next_name(w)));
            return;
        }
    }
}

static void build(world *w, uint64_t seed)
{
    w->seed = seed;
    w->drawn = 0;
    w->count = 0;
    rml_graph *g = w->at.graph;
    const rml_pool_attr pool = {.window = rml_window_square(2, 2, 0)};
    push(w, rml_graph_input(g, "x", &(rml_shape){4, {-1, 3, 64 + draw(w, 80), 5 + draw(w, 30)}}));
    const int wanted = 6 + (int)draw(w, 24);
    while (w->count < wanted && w->drawn < 1000) {
        const int64_t back = draw(w, 3) ? 1 : 1 + draw(w, w->count < 6 ? w->count : 6);
        const rml_value_id x = w->values[w->count - back];
        switch (draw(w, 9)) {
        case 0:
            add_resize(w, x);
            break;
        case 1:
        case 2:
            add_norm(w, x);
            break;
        case 3:
        case 4:
            add_sum(w, x);
            break;
        case 5:
            if (draw(w, 3) == 0 && shape_of(w, x).dim[2] > 20 && shape_of(w, x).dim[3] > 4)
                push(w, rml_graph_pool(g, x, &pool, next_name(w)));
            break;
        default:
            if (shape_of(w, x).dim[2] > 20 && shape_of(w, x).dim[3] > 4)
                add_conv(w, x);
        }
    }
    rml_graph_output(g, "last", w->values[w->count - 1]);
    if (draw(w, 3) == 0)
        rml_graph_output(g, "some", w->values[1 + draw(w, w->count - 1)]);
}

// ---- running ------------------------------------------------------------------------------------

// Outputs of a run with `limit`, or NULL when it cannot be kept; *bytes are planned.
static float *run(rml_model *model, size_t limit, int threads, int64_t images, rml_cpu_level cpu,
                  rml_precision precision, size_t *bytes, size_t *count)
{
    rml_session_settings settings = rml_session_settings_default();
    rml_session *session = NULL;
    rml_error err = {0};
    settings.memory_limit = limit;
    settings.threads = threads;
    settings.cpu = cpu;
    settings.precision = precision;
    CHECK(rml_session_create(&session, model, &settings, &err) == RML_OK);
    rml_shape shape = rml_model_input(model, 0).shape;
    shape.dim[0] = images;
    CHECK(rml_session_resize(session, "x", shape, &err) == RML_OK);
    float *outputs = NULL;
    const rml_status status = rml_session_prepare(session, &err);
    CHECK_MSG(status == RML_OK || (limit && status == RML_ERR_LIMIT), "%s", err.message);
    if (status == RML_OK) {
        *bytes = rml_session_planned_bytes(session);
        CHECK(!limit || *bytes <= limit);
        net_fill_inputs(session, model, 5);
        CHECK(rml_session_run(session, &err) == RML_OK);
        float *first = net_outputs(session, model, count);
        net_fill_inputs(session, model, 5);
        CHECK(rml_session_run(session, &err) == RML_OK);
        outputs = net_outputs(session, model, count);
        CHECK(memcmp(first, outputs, *count * sizeof *first) == 0); // nothing is left behind
        free(first);
    }
    rml_session_destroy(&session);
    return outputs;
}

// Runs with less and less memory. Returns how many of them kept the limit by bands.
static int compare(rml_model *model, uint64_t seed, int64_t images, rml_cpu_level cpu,
                   rml_precision precision)
{
    size_t plain_bytes = 0, count = 0;
    int banded = 0;
    float *plain = run(model, 0, 1, images, cpu, precision, &plain_bytes, &count);
    for (size_t share = 9; plain && share >= 2; share--) {
        size_t bytes = 0;
        const size_t limit = plain_bytes * share / 10;
        const int threads = share % 2 ? 1 : net_threads();
        float *ours = run(model, limit, threads, images, cpu, precision, &bytes, &count);
        banded += ours != NULL;
        if (ours)
            CHECK_MSG(memcmp(ours, plain, count * sizeof *ours) == 0,
                      "seed %llu, %zu of %zu bytes, %d threads", (unsigned long long)seed, limit,
                      plain_bytes, threads);
        free(ours);
    }
    free(plain);
    return banded;
}

static void test_random(uint64_t first, uint64_t last)
{
    static world w;
    int banded = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        net_begin(&w.at, NULL);
        build(&w, seed);
        if (net_finish(&w.at, NULL))
            banded += compare(w.at.model, seed, 1 + (int64_t)(seed % 2),
                              seed % 3 ? RML_CPU_BEST : RML_CPU_PORTABLE, RML_PRECISION_F32);
        net_end(&w.at);
    }
    CHECK_MSG(last - first < 50 || banded > 100, "bands were used %d times", banded);
}

// ---- what a decoder ends with -------------------------------------------------------------------

static rml_value_id conv(net *at, rml_value_id x, int64_t out, int64_t kernel)
{
    const int64_t c = at->graph->values[x].shape.dim[1];
    const rml_conv_attr attr = rml_conv_square(kernel, 1, kernel / 2);
    const rml_value_id w = net_random(at, "w", (rml_shape){4, {out, c, kernel, kernel}}, 'u');
    for (int64_t i = 0; i < out * c * kernel * kernel; i++)
        at->memory[at->constants - 1][i] /= (float)(c * kernel);
    return rml_graph_conv(at->graph, x, w, RML_NO_VALUE, &attr, "conv");
}

static rml_value_id norm(net *at, rml_value_id x)
{
    x = rml_graph_group_norm(at->graph, x, RML_NO_VALUE, RML_NO_VALUE, 4, 1e-6f, "norm");
    return rml_graph_unary(at->graph, x, (rml_activation){.kind = RML_UNARY_SILU}, "silu");
}

static rml_value_id resnet(net *at, rml_value_id x, int64_t out)
{
    const bool same = at->graph->values[x].shape.dim[1] == out;
    const rml_value_id shortcut = same ? x : conv(at, x, out, 1);
    const rml_value_id h = conv(at, norm(at, x), out, 3);
    return rml_graph_binary(at->graph, RML_BINARY_ADD, conv(at, norm(at, h), out, 3), shortcut,
                            "add");
}

static void build_decoder(net *at, const rml_allocator *allocator)
{
    const rml_model_settings settings = {.size = sizeof settings, .allocator = allocator};
    const rml_resize_attr twice = rml_resize_twice();
    net_begin(at, &settings);
    const int64_t part = check_is_slow() ? 2 : 1;
    const rml_shape shape = {4, {-1, 4, 96 / part, 64 / part}};
    rml_value_id x = rml_graph_input(at->graph, "x", &shape);
    x = resnet(at, conv(at, x, 32, 3), 32);
    x = conv(at, rml_graph_resize(at->graph, x, RML_NO_VALUE, &twice, "twice"), 32, 3);
    x = resnet(at, resnet(at, x, 16), 16);
    rml_graph_output(at->graph, "y", conv(at, norm(at, x), 3, 3));
}

static bool has_bf16(rml_model *model)
{
    rml_session_settings settings = rml_session_settings_default();
    rml_session *session = NULL;
    settings.precision = RML_PRECISION_BF16;
    const rml_status status = rml_session_create(&session, model, &settings, NULL);
    rml_session_destroy(&session);
    return status == RML_OK;
}

static void test_decoder(void)
{
    net at;
    build_decoder(&at, NULL);
    if (net_finish(&at, NULL)) {
        static const rml_cpu_level levels[] = {RML_CPU_PORTABLE, RML_CPU_NEON, RML_CPU_AVX2,
                                               RML_CPU_AVX512};
        for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
            if (rml_cpu_level_available(levels[i]))
                CHECK(compare(at.model, i, 1 + (int64_t)i % 2, levels[i], RML_PRECISION_F32) >= 2);
        if (has_bf16(at.model))
            CHECK(compare(at.model, 9, 1, RML_CPU_BEST, RML_PRECISION_BF16) >= 2);
    }
    net_end(&at);
}

// Layers large enough for Winograd in bf16.
static void test_large_in_bf16(void)
{
    net at;
    const rml_resize_attr twice = rml_resize_twice();
    net_begin(&at, NULL);
    rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){4, {-1, 4, 50, 49}});
    x = rml_graph_resize(at.graph, conv(&at, x, 256, 3), RML_NO_VALUE, &twice, "twice");
    x = conv(&at, norm(&at, conv(&at, x, 256, 3)), 256, 3);
    rml_graph_output(at.graph, "y", conv(&at, norm(&at, x), 3, 3));
    if (net_finish(&at, NULL) && has_bf16(at.model)) {
        rml_session_settings settings = rml_session_settings_default();
        rml_session *session = NULL;
        settings.precision = RML_PRECISION_BF16;
        settings.profile = true;
        size_t winograd = 0;
        CHECK(rml_session_create(&session, at.model, &settings, &at.err) == RML_OK);
        CHECK(rml_session_prepare(session, &at.err) == RML_OK);
        net_fill_inputs(session, at.model, 5);
        CHECK(rml_session_run(session, &at.err) == RML_OK);
        for (size_t i = 0; i < rml_session_profile_count(session); i++)
            winograd += !strcmp(rml_session_profile(session, i).algorithm, "winograd-4x4-3x3-bf16");
        CHECK_MSG(winograd == 2, "%zu convolutions went by Winograd", winograd);
        rml_session_destroy(&session);
        CHECK(compare(at.model, 10, 1, RML_CPU_BEST, RML_PRECISION_BF16) >= 1);
    }
    net_end(&at);
}

// Bound memory is read and written by bands; the profile counts a step once a sweep; a run
// allocates nothing.
static void test_session(void)
{
    net at;
    counting counts;
    const rml_allocator allocator = counting_allocator(&counts);
    build_decoder(&at, &allocator);
    rml_session_settings settings = rml_session_settings_default();
    rml_session *session = NULL;
    if (!net_finish(&at, NULL))
        return;
    size_t plain_bytes = 0, bytes = 0, count = 0;
    free(run(at.model, 0, 1, 1, RML_CPU_BEST, RML_PRECISION_F32, &plain_bytes, &count));
    settings.memory_limit = plain_bytes * 7 / 10;
    settings.profile = true;
    settings.threads = 1;
    float *expected =
        run(at.model, plain_bytes * 7 / 10, 1, 1, RML_CPU_BEST, RML_PRECISION_F32, &bytes, &count);
    CHECK(rml_session_create(&session, at.model, &settings, &at.err) == RML_OK);
    CHECK(rml_session_prepare(session, &at.err) == RML_OK);
    float *y = malloc(count * sizeof *y);
    CHECK(rml_session_bind(session, "y", y, count * sizeof *y, &at.err) == RML_OK);
    net_fill_inputs(session, at.model, 5);
    const size_t calls = counts.calls;
    CHECK(rml_session_run(session, &at.err) == RML_OK);
    CHECK(counts.calls == calls);
    CHECK(expected && memcmp(y, expected, count * sizeof *y) == 0);
    uint64_t macs = 0;
    for (size_t i = 0; i < rml_session_profile_count(session); i++) {
        const rml_profile_entry entry = rml_session_profile(session, i);
        CHECK(entry.runs >= 1);
        macs += entry.macs;
    }
    CHECK(macs == rml_session_macs(session));
    rml_session_destroy(&session);
    free(y);
    free(expected);
    net_end(&at);
    CHECK(counts.live_bytes == 0);
}

// The limit holds for what is planned also where other parts wait for what is computed.
static void test_beside_dynamic(void)
{
    net at;
    size_t plain_bytes = 0, count = 0, bytes = 0;
    build_decoder(&at, NULL);
    const rml_value_id y = at.graph->outputs[0];
    const rml_value_id row = rml_graph_reduce(at.graph, y, RML_REDUCE_MAX, 3, false, "row");
    const rml_value_id where = rml_graph_node(at.graph, RML_OP_NONZERO, NULL, &row, 1, "where");
    rml_graph_output(at.graph, "n", where);
    if (net_finish(&at, NULL)) {
        float *plain =
            run(at.model, 0, 1, 1, RML_CPU_BEST, RML_PRECISION_F32, &plain_bytes, &count);
        float *ours = run(at.model, plain_bytes * 8 / 10, net_threads(), 1, RML_CPU_BEST,
                          RML_PRECISION_F32, &bytes, &count);
        CHECK_MSG(plain && ours && bytes < plain_bytes &&
                      memcmp(ours, plain, count * sizeof *ours) == 0,
                  "%d %d %zu of %zu bytes", plain != NULL, ours != NULL, bytes, plain_bytes);
        free(plain);
        free(ours);
    }
    net_end(&at);
}

// Every allocation of preparing fails in turn, and then the session works all the same.
static void test_no_memory(void)
{
    net at;
    counting counts;
    const rml_allocator allocator = counting_allocator(&counts);
    build_decoder(&at, &allocator);
    if (!net_finish(&at, NULL))
        return;
    size_t plain_bytes = 0, count = 0;
    free(run(at.model, 0, 1, 1, RML_CPU_BEST, RML_PRECISION_F32, &plain_bytes,
             &count)); // packs the weights
    rml_session_settings settings = rml_session_settings_default();
    settings.memory_limit = plain_bytes * 7 / 10;
    settings.threads = 1;
    for (size_t nth = 1;; nth++) {
        rml_session *session = NULL;
        CHECK(rml_session_create(&session, at.model, &settings, &at.err) == RML_OK);
        counts.fail_at = counts.calls + nth;
        const rml_status status = rml_session_prepare(session, &at.err);
        counts.fail_at = 0;
        CHECK(status == RML_OK || status == RML_ERR_NOMEM);
        CHECK(rml_session_prepare(session, &at.err) == RML_OK);
        rml_session_destroy(&session);
        if (status == RML_OK)
            break;
    }
    net_end(&at);
    CHECK(counts.live_bytes == 0);
}

int main(int argc, char **argv)
{
    // a range of seeds may be given to look at one, or for more
    if (argc > 2) {
        test_random(strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10));
        return check_result();
    }
    test_random(1, check_is_slow() ? 20 : 120);
    test_decoder();
    test_large_in_bf16();
    test_session();
    test_beside_dynamic();
    test_no_memory();
    return check_result();
}
