// Products in bf16 against f32, on numbers that bf16 holds exactly: then sums differ by the
// roundings of f32 alone, and attention by the rounding of its weights, 2^-9 of each.
#include "kernels/cpu.h"
#include "tensor/dtype.h"
#include "tests/support/net.h"

#include <math.h>
#include <string.h>

#define U 5.9604644775390625e-8

static const char *without; // features: AMX, and AVX512-BF16 as it is where there is no AMX

static void round_all(float *data, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = (uint32_t)rml_f32_to_bf16(data[i]) << 16;
        memcpy(&data[i], &bits, sizeof bits);
    }
}

static rml_value_id weight(net *at, const char *name, rml_shape shape)
{
    size_t count = 0;
    const rml_value_id id = net_random(at, name, shape, 'u');
    rml_shape_count(&shape, &count);
    round_all(at->memory[at->constants - 1], count);
    return id;
}

// Outputs of the whole net; how many nodes ran in bf16 to `half`.
static float *run(net *at, rml_precision precision, int threads, size_t *count, size_t *half)
{
    rml_session *session;
    rml_session_settings settings = rml_session_settings_default();
    settings.precision = precision;
    settings.threads = threads;
    settings.profile = true;
    settings.cpu_mask = without;
    CHECK_MSG(rml_session_create(&session, at->model, &settings, &at->err) == RML_OK, "%s",
              at->err.message);
    CHECK_MSG(rml_session_prepare(session, &at->err) == RML_OK, "%s", at->err.message);
    net_fill_inputs(session, at->model, 9);
    for (size_t i = 0; i < rml_model_input_count(at->model); i++) {
        rml_shape shape;
        size_t elements = 0;
        float *data = rml_session_input(session, rml_model_input(at->model, i).name, &shape);
        rml_shape_count(&shape, &elements);
        round_all(data, elements);
    }
    CHECK(rml_session_run(session, &at->err) == RML_OK);
    float *all = net_outputs(session, at->model, count);
    *half = 0;
    for (size_t i = 0; i < rml_session_profile_count(session); i++)
        *half += strcmp(rml_session_profile(session, i).precision, "bf16") == 0;
    rml_session_destroy(&session);
    return all;
}

typedef struct difference {
    double most, rms, size; // size: RMS of the result in f32
} difference;

static size_t expected = 1; // nodes in bf16

static bool measure(net *at, const char *name, difference *found)
{
    size_t count[3], half[3];
    if (!net_finish(at, NULL)) {
        net_end(at);
        return false;
    }
    float *want = run(at, RML_PRECISION_F32, 1, &count[0], &half[0]);
    float *got = run(at, RML_PRECISION_BF16, 1, &count[1], &half[1]);
    float *shared = run(at, RML_PRECISION_BF16, net_threads(), &count[2], &half[2]);
    CHECK_MSG(half[0] == 0 && half[1] == expected, "%s: %zu nodes in bf16, in f32 %zu", name,
              half[1], half[0]);
    CHECK(count[0] == count[1] && count[0] > 0);
    CHECK_MSG(memcmp(got, shared, count[1] * sizeof *got) == 0, "%s: threads change bits", name);
    *found = (difference){0};
    for (size_t i = 0; i < count[0]; i++) {
        const double off = (double)want[i] - (double)got[i];
        found->most = fmax(found->most, fabs(off));
        found->rms += off * off;
        found->size += (double)want[i] * (double)want[i];
    }
    found->rms = sqrt(found->rms / (double)count[0]);
    found->size = sqrt(found->size / (double)count[0]);
    free(want);
    free(got);
    free(shared);
    net_end(at);
    return true;
}

static void compare(net *at, const char *name, double bound)
{
    difference found;
    if (measure(at, name, &found))
        CHECK_MSG(found.most <= bound, "%s: off by %g, bound %g", name, found.most, bound);
}

static void test_linear(int64_t rows, int64_t depth, int64_t cols)
{
    net at;
    net_begin(&at, NULL);
    const rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){3, {2, rows, depth}});
    const rml_value_id w = weight(&at, "w", (rml_shape){2, {cols, depth}});
    const rml_value_id b = weight(&at, "b", (rml_shape){1, {cols}});
    rml_graph_output(at.graph, "y", rml_graph_linear(at.graph, x, w, b, "linear"));
    compare(&at, "linear", 2.0 * (double)(depth + 2) * U * (double)depth);
}

static void begin_conv(net *at, int64_t in, int64_t out, int64_t kernel, int64_t stride,
                       int64_t size)
{
    net_begin(at, NULL);
    const rml_conv_attr attr = rml_conv_square(kernel, stride, kernel / 2);
    const rml_value_id x =
        rml_graph_input(at->graph, "x", &(rml_shape){4, {2, in, size, size + 3}});
    const rml_value_id w = weight(at, "w", (rml_shape){4, {out, in, kernel, kernel}});
    const rml_value_id y = rml_graph_conv(at->graph, x, w, RML_NO_VALUE, &attr, "conv");
    const rml_value_id z = rml_graph_input(at->graph, "z", &at->graph->values[y].shape);
    rml_graph_output(at->graph, "y", rml_graph_binary(at->graph, RML_BINARY_ADD, y, z, "add"));
}

static void test_conv(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t size)
{
    net at;
    begin_conv(&at, in, out, kernel, stride, size);
    const double depth = (double)(in * kernel * kernel);
    compare(&at, "conv", 30.0 * (depth + 30.0) * U * depth); // f32 may go by Winograd
}

// By Winograd what is multiplied is rounded in both inputs, and the way back amplifies that: 0.0034
// of the result for random signs, where over real points it would be 0.011 and for the direct sum
// of these numbers nothing.
static void test_winograd(int64_t in, int64_t out, int64_t size)
{
    net at;
    difference found;
    begin_conv(&at, in, out, 3, 1, size);
    if (!measure(&at, "winograd", &found))
        return;
    CHECK_MSG(found.rms >= 0.002 * found.size && found.rms <= 0.0045 * found.size,
              "winograd: RMS error %g of %g", found.rms, found.size);
    CHECK_MSG(found.most <= 8.0 * found.rms, "winograd: one is off by %g, RMS %g", found.most,
              found.rms);
}

static float *run_enlarged(const char *disabled, int64_t high, int64_t wide, size_t *count)
{
    net at;
    const rml_resize_attr twice = rml_resize_twice();
    const rml_conv_attr attr = rml_conv_square(3, 1, 1);
    size_t half;
    net_begin(&at, NULL);
    rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){4, {2, 128, high, wide}});
    const rml_value_id w = weight(&at, "w", (rml_shape){4, {128, 128, 3, 3}});
    x = rml_graph_resize(at.graph, x, RML_NO_VALUE, &twice, "twice");
    rml_graph_output(at.graph, "y", rml_graph_conv(at.graph, x, w, RML_NO_VALUE, &attr, "conv"));
    float *all = net_finish(&at, disabled) ? run(&at, RML_PRECISION_BF16, 1, count, &half) : NULL;
    net_end(&at);
    return all;
}

// Products that are zero, because the image was enlarged by repeating pixels, are left out; that
// changes no bit. Tiles are whole, or cut.
static void test_enlarged(void)
{
    for (int64_t wide = 33; wide <= 34; wide++) {
        size_t count[2] = {0, 0};
        float *all = run_enlarged("twice", 34, wide, &count[0]);
        float *fewer = run_enlarged(NULL, 34, wide, &count[1]);
        CHECK(all && fewer && count[0] == count[1] && count[0] > 0);
        CHECK_MSG(all && fewer && memcmp(all, fewer, count[0] * sizeof *all) == 0,
                  "width %lld: other bits", 2 * (long long)wide);
        free(all);
        free(fewer);
    }
}

typedef struct attention_case {
    int64_t heads, key_heads, queries, keys, depth, width;
    bool causal, mask;
} attention_case;

static void test_attention(const attention_case *a)
{
    net at;
    net_begin(&at, NULL);
    const rml_value_id q =
        rml_graph_input(at.graph, "q", &(rml_shape){3, {2, a->queries, a->heads * a->depth}});
    const rml_value_id k =
        rml_graph_input(at.graph, "k", &(rml_shape){3, {2, a->keys, a->key_heads * a->depth}});
    const rml_value_id v =
        rml_graph_input(at.graph, "v", &(rml_shape){3, {2, a->keys, a->key_heads * a->width}});
    const rml_value_id mask =
        a->mask ? rml_graph_input(at.graph, "m", &(rml_shape){2, {a->queries, a->keys}})
                : RML_NO_VALUE;
    const rml_attention_attr attr = {
        .heads = a->heads, .key_heads = a->key_heads, .scale = 6.0f, .causal = a->causal};
    rml_graph_output(at.graph, "y", rml_graph_attention(at.graph, q, k, v, mask, &attr, "attend"));
    // scores are sums of exact products in both; their roundings are felt twice
    const double score = 2.0 * (double)(a->depth + 4) * U * 6.0 * (double)a->depth;
    compare(&at, "attention", 0x1p-9 + 4.0 * score + (double)(a->keys + 8) * 2.0 * U);
}

static void test_all(void)
{
    static const attention_case cases[] = {
        {1, 1, 3, 15, 20, 14, false, false},  {2, 2, 40, 33, 17, 13, false, false},
        {4, 2, 13, 600, 9, 12, false, false}, {1, 1, 530, 530, 9, 17, true, false},
        {2, 1, 30, 17, 16, 40, true, true},   {3, 3, 25, 1025, 40, 33, false, true},
    };
    expected = 0; // too small to gain
    test_linear(1, 3, 2);
    expected = 1;
    test_linear(1, 33, 12);
    test_linear(37, 33, 70);
    test_linear(100, 320, 47);
    test_conv(16, 16, 1, 1, 9);
    test_conv(17, 33, 3, 1, 8);
    test_conv(35, 20, 3, 2, 13);
    test_conv(24, 64, 3, 2, 40);
    test_conv(130, 64, 1, 1, 9);
    test_winograd(256, 256, 66);
    test_winograd(259, 264, 65); // an odd number of channels, tiles that are cut
    test_enlarged();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        test_attention(&cases[i]);
}

int main(void)
{
    if (!rml_precision_available(RML_PRECISION_BF16, RML_CPU_BEST)) {
        net at;
        rml_session *session;
        rml_session_settings settings = rml_session_settings_default();
        settings.precision = RML_PRECISION_BF16;
        net_begin(&at, NULL);
        CHECK(rml_session_create(&session, at.model, &settings, &at.err) == RML_ERR_UNSUPPORTED);
        net_end(&at);
        return check_result();
    }
    static const char *const masks[] = {NULL, "amx-bf16,slow-avx512-bf16"};
    uint32_t features;
    for (size_t m = 0; m < 2; m++) {
        without = masks[m];
        CHECK(rml_cpu_features(RML_CPU_BEST, without, &features, NULL) == RML_OK);
        if ((features & RML_ISA_AMXBF16) == RML_ISA_AMXBF16 ||
            !(features & RML_CPU_FEATURE_SLOW_AVX512_BF16))
            test_all();
    }
    return check_result();
}
