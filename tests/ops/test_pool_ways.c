// Every way of pooling f32 against the definition in double: lines, images and volumes, plain and
// channels-last, small planes and large ones, with NaN; and the same bits for any number of
// threads.
#include "tests/support/net.h"

#include <math.h>

enum { RANDOM = 330 };

typedef struct pooling {
    int rank;
    rml_shape x;
    rml_pool_attr pool;
    bool image; // behind a convolution that copies, so channels-last
} pooling;

static pooling random_pooling(int i)
{
    pooling p = {.rank = 1 + i % 3, .image = i % 3 == 1 && i % 2};
    const bool large = i % 5 == 0, global = i % 11 == 0;
    p.x = (rml_shape){p.rank + 2, {1 + below(2), 1 + below(p.image ? 20 : 4)}};
    p.pool = (rml_pool_attr){.kind = i % 7 < 4 ? RML_POOL_MAX : RML_POOL_AVERAGE,
                             .global = global,
                             .count_pad = below(2),
                             .window.rank = p.rank};
    for (int axis = 0; axis < p.rank; axis++) {
        rml_window_attr *w = &p.pool.window;
        const int64_t room = large ? (p.rank == 1 ? 9000 : p.rank == 2 ? 100 : 28) : 14;
        p.x.dim[2 + axis] = room / 2 + 1 + below(room / 2);
        w->kernel[axis] = 1 + below(i % 2 ? 4 : p.x.dim[2 + axis] < 20 ? p.x.dim[2 + axis] : 20);
        w->stride[axis] = 1 + (below(2) ? 0 : below(4));
        w->dilation[axis] = 1;
        if (!p.image && below(3) == 0 && w->kernel[axis] * 2 < p.x.dim[2 + axis])
            w->dilation[axis] = 2;
        w->before[axis] = below(w->kernel[axis]);
        w->after[axis] = below(w->kernel[axis]);
    }
    if (p.rank == 3 && i % 2)
        p.pool.window.before[0] = p.pool.window.after[0] = 0; // large ones go slice by slice
    p.pool.window.ceil_mode = below(2);
    if (global)
        p.pool.window = (rml_window_attr){0};
    return p;
}

// Volumes of a few large slices, all of which are in a window: one over all of it, or several
// beside each other.
static pooling few_slices(int i)
{
    const bool global = i & 1;
    pooling p = {.rank = 3,
                 .x = {5, {2, 3, 4, 48, 40}},
                 .pool = {.kind = i & 2 ? RML_POOL_AVERAGE : RML_POOL_MAX, .global = global}};
    if (!global)
        p.pool.window = (rml_window_attr){.rank = 3,
                                          .kernel = {4, 48, i & 4 ? 3 : 40},
                                          .stride = {1, 1, 2},
                                          .dilation = {1, 1, 1}};
    return p;
}

static void build(net *at, const pooling *p)
{
    net_begin(at, NULL);
    rml_value_id x = rml_graph_input(at->graph, "x", &p->x);
    if (p->image) {
        const int64_t channels = p->x.dim[1];
        const rml_value_id w = net_constant(at, "w", (rml_shape){4, {channels, 1, 1, 1}});
        for (int64_t c = 0; c < channels; c++)
            at->memory[at->constants - 1][c] = 1.0f;
        const rml_conv_attr copy = {.window = {.stride = {1, 1}, .dilation = {1, 1}},
                                    .groups = channels,
                                    .act = rml_activation_none()};
        x = rml_graph_conv(at->graph, x, w, RML_NO_VALUE, &copy, "copy");
    }
    rml_graph_output(at->graph, "y", rml_graph_pool(at->graph, x, &p->pool, "pool"));
}

// The output at one place of a plane.
static double wanted(const pooling *p, const float *plane, const int64_t *at)
{
    const rml_window_attr *w = &p->pool.window;
    int64_t tap[3] = {0}, kernel[3];
    double sum = 0, best = -INFINITY, seen = 0, padded = 0;
    bool nan = false;
    size_t taps = 1;
    for (int i = 0; i < p->rank; i++) {
        kernel[i] = p->pool.global ? p->x.dim[2 + i] : w->kernel[i];
        taps *= (size_t)kernel[i];
    }
    for (size_t t = 0; t < taps; t++, rml_sizes_next(kernel, p->rank, tap)) {
        int64_t index = 0;
        bool inside = true, counts = true;
        for (int i = 0; i < p->rank; i++) {
            const int64_t size = p->x.dim[2 + i];
            const int64_t from = p->pool.global ? 0 : at[i] * w->stride[i] - w->before[i];
            const int64_t x = from + tap[i] * (p->pool.global ? 1 : w->dilation[i]);
            inside = inside && x >= 0 && x < size;
            counts = counts && x < size + w->after[i];
            index = index * size + x;
        }
        padded += counts;
        if (!inside)
            continue;
        seen++;
        sum += plane[index];
        nan = nan || isnan(plane[index]);
        best = plane[index] > best ? plane[index] : best;
    }
    if (nan)
        return NAN;
    if (p->pool.kind == RML_POOL_MAX)
        return best;
    const double count = p->pool.count_pad && !p->pool.global ? padded : seen;
    return count > 0 ? sum / count : 0;
}

static void check(const pooling *p, int number, const float *x, const float *got,
                  const rml_shape *y)
{
    size_t in_plane = 1, out_plane = 1;
    for (int i = 2; i < p->x.rank; i++) {
        in_plane *= (size_t)p->x.dim[i];
        out_plane *= (size_t)y->dim[i];
    }
    for (size_t plane = 0; plane < (size_t)(p->x.dim[0] * p->x.dim[1]); plane++) {
        int64_t at[3] = {0};
        for (size_t i = 0; i < out_plane; i++, rml_sizes_next(&y->dim[2], p->rank, at)) {
            const double want = wanted(p, x + plane * in_plane, at);
            const float have = got[plane * out_plane + i];
            const bool same = isnan(want)                    ? isnan(have)
                              : p->pool.kind == RML_POOL_MAX ? (double)have == want
                                                             : fabs(have - want) <= 2e-6;
            CHECK_MSG(same, "%d: element %zu of plane %zu is %g, not %g", number, i, plane,
                      (double)have, want);
        }
    }
}

// Runs the pooling and says which way; returns the output.
static float *run(const pooling *p, int threads, bool nan, float *x, rml_shape *y, size_t *count,
                  char way[32])
{
    net at;
    rml_session *session;
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = threads;
    settings.profile = true;
    build(&at, p);
    CHECK_MSG(net_finish(&at, NULL), "%s", at.err.message);
    CHECK(rml_session_create(&session, at.model, &settings, &at.err) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &at.err) == RML_OK, "%s", at.err.message);
    net_fill_inputs(session, at.model, 7);
    size_t inputs;
    rml_shape_count(&p->x, &inputs);
    float *in = rml_session_input(session, "x", NULL);
    if (nan)
        in[inputs / 2] = NAN;
    memcpy(x, in, inputs * sizeof *x);
    CHECK_MSG(rml_session_run(session, &at.err) == RML_OK, "%s", at.err.message);
    float *out = net_outputs(session, at.model, count);
    rml_session_output(session, "y", y);
    for (size_t i = 0; i < rml_session_profile_count(session); i++) {
        const rml_profile_entry entry = rml_session_profile(session, i);
        if (strcmp(entry.op, "pool") == 0)
            snprintf(way, 32, "%s", entry.algorithm);
        CHECK_MSG(p->image || strcmp(entry.op, "layout_transform") != 0,
                  "a plain image is reordered for nothing");
    }
    rml_session_destroy(&session);
    net_end(&at);
    return out;
}

int main(void)
{
    static const char *const ways[] = {"rows", "window", "whole-planes", "joined-planes",
                                       "rows-of-planes"};
    int used[5] = {0};
    for (int i = 0; i < RANDOM + 8; i++) {
        const pooling p = i < RANDOM ? random_pooling(i) : few_slices(i - RANDOM);
        rml_shape y;
        size_t inputs, count, again;
        char way[32] = "", other[32] = "";
        rml_shape_count(&p.x, &inputs);
        float *x = malloc((inputs + 1) * sizeof *x);
        float *one = run(&p, 1, i % 4 == 0, x, &y, &count, way);
        float *all = run(&p, net_threads(), i % 4 == 0, x, &y, &again, other);
        check(&p, i, x, one, &y);
        for (size_t k = 0; k < 5; k++)
            used[k] += strcmp(way, ways[k]) == 0;
        CHECK(count == again && memcmp(one, all, count * sizeof *one) == 0);
        free(x);
        free(one);
        free(all);
    }
    for (size_t k = 0; k < 5; k++)
        CHECK_MSG(used[k] > 0, "nothing ran by %s", ways[k]);
    return check_result();
}
