// Convolutions that run plain against the definition in double: lines, images and volumes, few
// channels and many outputs, strides, dilations and padding, windows that the image is narrower
// than, wide rows; and the same bits for any number of threads.
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
    const int rank = 1 + i % 3;
    const int64_t groups = 1 + below(i % 2 ? 4 : 1), depth = 1 + below(i % 2 ? 2 : 3);
    planes p = {.x = {rank + 2, {1 + below(2), groups * depth}},
                .w = {rank + 2, {groups * (1 + below(5)), depth}},
                .conv = {.groups = groups, .act = {RML_UNARY_CLAMP, {-1.0f, INFINITY}}}};
    for (int axis = 0; axis < rank; axis++) {
        rml_window_attr *w = &p.conv.window;
        const bool last = axis == rank - 1, wide = last && i % 16 == 0;
        w->stride[axis] = below(2) ? 1 : 1 + below(4);
        w->dilation[axis] = below(3) ? 1 : 1 + below(3);
        p.w.dim[2 + axis] = 1 + below(5);
        w->before[axis] = below(4);
        w->after[axis] = below(4);
        p.x.dim[2 + axis] = wide ? 4500
                                 : 1 + w->dilation[axis] * (p.w.dim[2 + axis] - 1) +
                                       below(last        ? 70
                                             : rank == 2 ? 40
                                                         : 6);
    }
    if (rank > 1 && i % 5 == 0) { // one column: a line, or an image of the axes before
        p.x.dim[rank + 1] = p.w.dim[rank + 1] = 1;
        p.conv.window.before[rank - 1] = below(3) == 0;
        p.conv.window.after[rank - 1] = 0;
    }
    return p;
}

static double wanted(const planes *p, const float *x, const float *weight, const float *bias,
                     size_t image, size_t channel, const int64_t *at, double *size)
{
    const int rank = p->x.rank - 2;
    const rml_window_attr *w = &p->conv.window;
    const size_t depth = (size_t)p->w.dim[1], cols = (size_t)(p->w.dim[0] / p->conv.groups);
    size_t plane = 1, taps = 1;
    for (int i = 2; i < p->x.rank; i++) {
        plane *= (size_t)p->x.dim[i];
        taps *= (size_t)p->w.dim[i];
    }
    double sum = bias[channel];
    *size = fabs(sum);
    for (size_t k = 0; k < depth; k++) {
        const float *src = x + (image * (size_t)p->x.dim[1] + channel / cols * depth + k) * plane;
        int64_t tap[3] = {0};
        for (size_t t = 0; t < taps; t++, rml_sizes_next(&p->w.dim[2], rank, tap)) {
            int64_t index = 0;
            bool inside = true;
            for (int i = 0; i < rank; i++) {
                const int64_t from = at[i] * w->stride[i] - w->before[i] + tap[i] * w->dilation[i];
                inside = inside && from >= 0 && from < p->x.dim[2 + i];
                index = index * p->x.dim[2 + i] + from;
            }
            if (!inside)
                continue;
            const double product = (double)src[index] * weight[(channel * depth + k) * taps + t];
            sum += product;
            *size += fabs(product);
        }
    }
    return sum < -1 ? -1 : sum;
}

// Runs it with weights that are computed, which go the generic way whatever they are.
static float *run(const planes *p, int threads, float *x, float *weight, float *bias, rml_shape *y,
                  size_t *count)
{
    net at;
    rml_session *session;
    rml_session_settings settings = rml_session_settings_default();
    const rml_shape channels = {1, {p->w.dim[0]}};
    size_t inputs, weights;
    settings.threads = threads;
    settings.profile = true;
    rml_shape_count(&p->x, &inputs);
    rml_shape_count(&p->w, &weights);
    net_begin(&at, NULL);
    const rml_value_id in = rml_graph_input(at.graph, "x", &p->x);
    rml_value_id w = net_random(&at, "w", p->w, 'u');
    memcpy(weight, at.memory[at.constants - 1], weights * sizeof *weight);
    const rml_value_id b = net_random(&at, "b", channels, 'u');
    memcpy(bias, at.memory[at.constants - 1], (size_t)p->w.dim[0] * sizeof *bias);
    w = rml_graph_binary(at.graph, RML_BINARY_MUL, w,
                         rml_graph_input(at.graph, "one", &(rml_shape){1, {1}}), "w2");
    rml_graph_output(at.graph, "y", rml_graph_conv(at.graph, in, w, b, &p->conv, "conv"));
    CHECK_MSG(net_finish(&at, NULL), "%s", at.err.message);
    CHECK(rml_session_create(&session, at.model, &settings, &at.err) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &at.err) == RML_OK, "%s", at.err.message);
    net_fill_inputs(session, at.model, 7);
    float *factor = rml_session_input(session, "one", NULL);
    *factor = 1.0f;
    memcpy(x, rml_session_input(session, "x", NULL), inputs * sizeof *x);
    CHECK_MSG(rml_session_run(session, &at.err) == RML_OK, "%s", at.err.message);
    float *out = net_outputs(session, at.model, count);
    rml_session_output(session, "y", y);
    for (size_t i = 0; i < rml_session_profile_count(session); i++) {
        const rml_profile_entry entry = rml_session_profile(session, i);
        CHECK_MSG(strcmp(entry.op, "conv") != 0 || strcmp(entry.algorithm, "rows-of-planes") == 0,
                  "runs by %s", entry.algorithm);
    }
    rml_session_destroy(&session);
    net_end(&at);
    return out;
}

int main(void)
{
    for (int number = 0; number < 150; number++) {
        const planes p = random_conv(number);
        rml_shape y;
        size_t inputs, weights, count, again, i = 0;
        rml_shape_count(&p.x, &inputs);
        rml_shape_count(&p.w, &weights);
        float *x = malloc(inputs * sizeof *x), *weight = malloc(weights * sizeof *weight);
        float *bias = malloc((size_t)p.w.dim[0] * sizeof *bias);
        float *one = run(&p, 1, x, weight, bias, &y, &count);
        float *all = run(&p, net_threads(), x, weight, bias, &y, &again);
        CHECK(count == again && memcmp(one, all, count * sizeof *one) == 0);
        for (size_t image = 0; image < (size_t)y.dim[0]; image++)
            for (size_t channel = 0; channel < (size_t)y.dim[1]; channel++) {
                int64_t at[3] = {0};
                do {
                    double size;
                    const double want = wanted(&p, x, weight, bias, image, channel, at, &size);
                    CHECK_MSG(fabs(one[i] - want) <= 2e-6 * size, "%d: element %zu is %g, not %g",
                              number, i, (double)one[i], want);
                    i++;
                    rml_sizes_next(&y.dim[2], y.rank - 2, at);
                } while (at[0] || at[1] || at[2]);
            }
        CHECK(i == count);
        free(x);
        free(weight);
        free(bias);
        free(one);
        free(all);
    }
    return check_result();
}
