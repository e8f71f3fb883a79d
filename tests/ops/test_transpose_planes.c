// Transposed convolutions of plain images to few channels against the definition in double: lines
// and images, strides, dilations, padding and what is cut, phases without taps, wide rows; the
// same bits for any number of threads; and which images stay plain.
#include "tests/support/net.h"

#include <math.h>

typedef struct planes {
    rml_shape x, w;
    rml_conv_attr conv;
} planes;

static uint64_t seed = 1;

static int64_t below(int64_t limit)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((seed >> 33) % (uint64_t)limit);
}

static planes random_conv(int i)
{
    const int rank = 1 + i % 2;
    const int64_t depth = i % 10 == 0 ? 64 : 1 + below(12);
    planes p = {.x = {rank + 2, {1 + below(2), depth}},
                .w = {rank + 2, {depth, 1 + below(4)}},
                .conv = {.groups = 1, .act = {RML_UNARY_CLAMP, {-1.0f, INFINITY}}}};
    for (int axis = 0; axis < rank; axis++) {
        rml_window_attr *w = &p.conv.window;
        const bool last = axis == rank - 1, wide = last && i % 16 == 0;
        w->stride[axis] = below(2) ? 2 : 1 + below(7);
        w->dilation[axis] = below(3) ? 1 : 1 + below(3);
        p.w.dim[2 + axis] = 1 + below(9);
        p.conv.out_pad[axis] = below(w->stride[axis]);
        p.x.dim[2 + axis] = wide ? 2200 : 1 + below(last ? 70 : 20);
        const int64_t all = (p.x.dim[2 + axis] - 1) * w->stride[axis] +
                            w->dilation[axis] * (p.w.dim[2 + axis] - 1) + p.conv.out_pad[axis];
        w->before[axis] = below(all + 1 < 6 ? all + 1 : 6);
        w->after[axis] = below(all + 1 - w->before[axis] < 6 ? all + 1 - w->before[axis] : 6);
    }
    return p;
}

// All outputs, and the sum of the sizes of what each is made of.
static void define(const planes *p, const float *x, const float *weight, const float *bias,
                   const rml_shape *y, double *sum, double *size)
{
    const rml_window_attr *w = &p->conv.window;
    const int rank = p->x.rank - 2;
    size_t plane = 1, taps = 1, out = 1;
    for (int i = 2; i < p->x.rank; i++) {
        plane *= (size_t)p->x.dim[i];
        taps *= (size_t)p->w.dim[i];
        out *= (size_t)y->dim[i];
    }
    const size_t cols = (size_t)p->w.dim[1], depth = (size_t)p->w.dim[0];
    for (size_t i = 0; i < (size_t)y->dim[0] * cols * out; i++)
        size[i] = fabs(sum[i] = (double)bias[i / out % cols]);
    for (size_t n = 0; n < (size_t)y->dim[0] * depth * plane; n++)
        for (size_t t = 0; t < cols * taps; t++) {
            size_t pixel = n % plane, tap = t % taps, to = 0, scale = 1;
            bool inside = true;
            for (int i = rank - 1; i >= 0; i--) {
                const int64_t in = (int64_t)(pixel % (size_t)p->x.dim[2 + i]);
                const int64_t k = (int64_t)(tap % (size_t)p->w.dim[2 + i]);
                const int64_t at = in * w->stride[i] - w->before[i] + k * w->dilation[i];
                inside = inside && at >= 0 && at < y->dim[2 + i];
                to += (size_t)at * scale;
                scale *= (size_t)y->dim[2 + i];
                pixel /= (size_t)p->x.dim[2 + i];
                tap /= (size_t)p->w.dim[2 + i];
            }
            if (!inside)
                continue;
            to += (n / plane / depth * cols + t / taps) * out;
            const double product =
                (double)x[n] * (double)weight[n / plane % depth * cols * taps + t];
            sum[to] += product;
            size[to] += fabs(product);
        }
}

// `computed`: with weights that go the generic way whatever they are.
static float *run(const planes *p, int threads, bool computed, const char *algorithm, float *x,
                  float *weight, float *bias, rml_shape *y, size_t *count)
{
    net at;
    rml_session *session;
    rml_session_settings settings = rml_session_settings_default();
    size_t inputs, weights;
    settings.threads = threads;
    settings.profile = true;
    rml_shape_count(&p->x, &inputs);
    rml_shape_count(&p->w, &weights);
    net_begin(&at, NULL);
    const rml_value_id in = rml_graph_input(at.graph, "x", &p->x);
    rml_value_id w = net_random(&at, "w", p->w, 'u');
    memcpy(weight, at.memory[at.constants - 1], weights * sizeof *weight);
    const rml_value_id b = net_random(&at, "b", (rml_shape){1, {p->w.dim[1]}}, 'u');
    memcpy(bias, at.memory[at.constants - 1], (size_t)p->w.dim[1] * sizeof *bias);
    if (computed)
        w = rml_graph_binary(at.graph, RML_BINARY_MUL, w,
                             rml_graph_input(at.graph, "one", &(rml_shape){1, {1}}), "w2");
    rml_graph_output(at.graph, "y", rml_graph_conv_transpose(at.graph, in, w, b, &p->conv, "conv"));
    CHECK_MSG(net_finish(&at, NULL), "%s", at.err.message);
    CHECK(rml_session_create(&session, at.model, &settings, &at.err) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &at.err) == RML_OK, "%s", at.err.message);
    net_fill_inputs(session, at.model, 7);
    if (computed)
        *(float *)rml_session_input(session, "one", NULL) = 1.0f;
    memcpy(x, rml_session_input(session, "x", NULL), inputs * sizeof *x);
    CHECK_MSG(rml_session_run(session, &at.err) == RML_OK, "%s", at.err.message);
    float *out = net_outputs(session, at.model, count);
    rml_session_output(session, "y", y);
    for (size_t i = 0; i < rml_session_profile_count(session); i++) {
        const rml_profile_entry entry = rml_session_profile(session, i);
        CHECK_MSG(strcmp(entry.op, "conv_transpose") != 0 ||
                      strcmp(entry.algorithm, algorithm) == 0,
                  "runs by %s, not %s", entry.algorithm, algorithm);
    }
    rml_session_destroy(&session);
    net_end(&at);
    return out;
}

static void check_conv(const planes *p, bool computed, const char *algorithm, int number)
{
    rml_shape y;
    size_t inputs, weights, count, again;
    rml_shape_count(&p->x, &inputs);
    rml_shape_count(&p->w, &weights);
    float *x = malloc(inputs * sizeof *x), *weight = malloc(weights * sizeof *weight);
    float *bias = malloc((size_t)p->w.dim[1] * sizeof *bias);
    float *one = run(p, 1, computed, algorithm, x, weight, bias, &y, &count);
    float *all = run(p, net_threads(), computed, algorithm, x, weight, bias, &y, &again);
    CHECK(count == again && memcmp(one, all, count * sizeof *one) == 0);
    double *sum = malloc(2 * count * sizeof *sum), *size = sum + count;
    define(p, x, weight, bias, &y, sum, size);
    for (size_t i = 0; i < count; i++) {
        const double want = sum[i] < -1 ? -1 : sum[i];
        CHECK_MSG(fabs((double)one[i] - want) <= 2e-6 * size[i], "%d: element %zu is %g, not %g",
                  number, i, (double)one[i], want);
    }
    free(x);
    free(weight);
    free(bias);
    free(one);
    free(all);
    free(sum);
}

int main(void)
{
    for (int number = 0; number < 120; number++) {
        const planes p = random_conv(number);
        check_conv(&p, true, "phases-of-planes", number);
    }
    planes p = {.x = {4, {1, 10, 64, 64}},
                .w = {4, {10, 1, 4, 4}},
                .conv = {.groups = 1,
                         .window = {.stride = {2, 2}, .dilation = {1, 1}, .before = {1, 1}},
                         .act = {RML_UNARY_CLAMP, {-1.0f, INFINITY}}}};
    check_conv(&p, false, "phases-of-planes", -1);
    p.x.dim[3] = 13; // fills no vector
    check_conv(&p, false, "product-and-overlap", -2);
    p.w.dim[1] = 5; // outputs enough for a product
    check_conv(&p, false, "phases-indirect-gemm", -3);
    return check_result();
}
