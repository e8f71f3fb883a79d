// Random networks of what can be cut and of what cannot, run for random regions of an output: the
// bits of a region are those of a whole run, whatever lies around it in memory.
#include "engine/session.h"
#include "tests/support/random_net.h"

#include <string.h>

enum { REGIONS = 8, MOST_FLOATS = 150000 };

// ---- layers -------------------------------------------------------------------------------------

static rml_value_id activate(world *w, rml_value_id x)
{
    static const rml_unary kinds[] = {RML_UNARY_SIGMOID, RML_UNARY_TANH, RML_UNARY_SILU};
    const int64_t kind = draw(w, 6);
    if (kind == 5)
        return rml_graph_unary(w->at.graph, x, rml_activation_relu(), next_name(w));
    return kind > 2 ? x
                    : rml_graph_unary(w->at.graph, x, (rml_activation){.kind = kinds[kind]},
                                      next_name(w));
}

// Weights small enough for values to stay in range.
static rml_value_id weights(world *w, rml_shape shape)
{
    const rml_value_id id = net_random(&w->at, "w", shape, 'u');
    const int64_t reads = shape.dim[1] * shape.dim[2] * shape.dim[3];
    for (int64_t i = 0; i < shape.dim[0] * reads; i++)
        w->at.memory[w->at.constants - 1][i] *= 1.5f / sqrtf((float)reads);
    return id;
}

static int64_t draw_channels(world *w)
{
    return draw(w, 3) ? 16 + 8 * draw(w, 3) : 1 + draw(w, 12);
}

// Kernels, strides and pads of all sorts; 3x3 of 16 channels and more are Winograd's.
static void add_conv(world *w, rml_value_id x)
{
    static const int64_t kernels[] = {3, 3, 3, 1, 2, 4, 5, 7};
    const int64_t c = shape_of(w, x).dim[1], kernel = kernels[draw(w, 8)];
    const bool simple = draw(w, 2) == 0;
    const int64_t groups = draw(w, 4) ? 1 : c % 2 || draw(w, 2) ? c : c / 2;
    const int64_t out = groups > 1 ? groups * (1 + draw(w, 2)) : draw_channels(w);
    rml_conv_attr attr = rml_conv_square(kernel, 1, kernel / 2);
    attr.groups = groups;
    for (int axis = 0; axis < 2 && !simple; axis++) {
        attr.window.stride[axis] = 1 + (draw(w, 4) == 0);
        attr.window.dilation[axis] = 1 + (draw(w, 4) == 0);
        const int64_t span = attr.window.dilation[axis] * (kernel - 1) + 1;
        attr.window.before[axis] = draw(w, span + 1); // one column may read nothing but padding
        attr.window.after[axis] = draw(w, span + 1);
    }
    const rml_value_id weight = weights(w, (rml_shape){4, {out, c / groups, kernel, kernel}});
    const rml_value_id bias = net_random(&w->at, "b", (rml_shape){1, {out}}, 'u');
    x = rml_graph_conv(w->at.graph, x, weight, bias, &attr, next_name(w));
    push(w, x == RML_NO_VALUE ? x : activate(w, x));
}

static void add_transposed(world *w, rml_value_id x)
{
    const int64_t c = shape_of(w, x).dim[1], kernel = 1 + draw(w, 5), stride = 1 + draw(w, 3);
    const int64_t groups = draw(w, 4) || c % 2 ? 1 : 2;
    const int64_t out = draw(w, 2) ? draw_channels(w) : 1 + draw(w, 4);
    rml_conv_attr attr = rml_conv_square(kernel, stride, draw(w, kernel));
    attr.groups = groups;
    attr.out_pad[0] = attr.out_pad[1] = stride > 1 && draw(w, 2) ? 1 : 0;
    const rml_value_id weight = weights(w, (rml_shape){4, {c, out, kernel, kernel}});
    x = rml_graph_conv_transpose(w->at.graph, x, weight, RML_NO_VALUE, &attr, next_name(w));
    push(w, x == RML_NO_VALUE ? x : activate(w, x));
}

static void add_resize(world *w, rml_value_id x)
{
    rml_resize_attr attr = rml_resize_twice();
    attr.scale[draw(w, 2)] = (double)(1 + draw(w, 3));
    if (draw(w, 4) == 0) {
        attr.mode = RML_INTERPOLATION_LINEAR;
        attr.coordinates = RML_COORDINATES_HALF_PIXEL;
    }
    push(w, rml_graph_resize(w->at.graph, x, RML_NO_VALUE, &attr, next_name(w)));
}

// A partner of the same height and width, or a constant that is spread along some dimensions.
static void add_binary(world *w, rml_value_id x)
{
    const rml_shape shape = shape_of(w, x);
    const rml_binary kind = draw(w, 2) ? RML_BINARY_ADD : RML_BINARY_MUL;
    rml_shape spread = {4, {1, shape.dim[1], shape.dim[2], shape.dim[3]}};
    for (int i = w->count - 1; i >= 0 && draw(w, 3); i--) {
        const rml_shape other = shape_of(w, w->values[i]);
        const bool fits =
            w->values[i] != x && other.dim[2] == shape.dim[2] && other.dim[3] == shape.dim[3];
        if (fits && rml_shape_equal(&shape, &other)) {
            push(w, rml_graph_binary(w->at.graph, kind, x, w->values[i], next_name(w)));
            return;
        }
        if (fits && shape.dim[1] + other.dim[1] < 40) {
            const rml_value_id both[2] = {x, w->values[i]};
            push(w, rml_graph_concat(w->at.graph, both, 2, 1, next_name(w)));
            return;
        }
    }
    for (int i = 1; i < 4; i++)
        spread.dim[i] = draw(w, 2) ? 1 : spread.dim[i];
    const rml_value_id y = net_random(&w->at, "c", spread, 'u');
    push(w, draw(w, 2) ? rml_graph_binary(w->at.graph, kind, x, y, next_name(w))
                       : rml_graph_binary(w->at.graph, kind, y, x, next_name(w)));
}

// What needs all of its input.
static void add_whole(world *w, rml_value_id x)
{
    const rml_pool_attr pool = {.window = rml_window_square(2, 2, 0)};
    if (draw(w, 2))
        x = rml_graph_group_norm(w->at.graph, x, RML_NO_VALUE, RML_NO_VALUE, 1, 1e-6f,
                                 next_name(w));
    else
        x = rml_graph_pool(w->at.graph, x, &pool, next_name(w));
    push(w, x);
}

static void add_shuffle(world *w, rml_value_id x)
{
    const int64_t c = shape_of(w, x).dim[1];
    if (c % 4 == 0 && draw(w, 2))
        push(w, rml_graph_depth_to_space(w->at.graph, x, RML_NO_VALUE, 2, next_name(w)));
    else if (c < 8)
        push(w, rml_graph_space_to_depth(w->at.graph, x, 2, next_name(w)));
}

static void build(world *w, uint64_t seed)
{
    w->seed = seed;
    w->drawn = 0;
    w->count = 0;
    rml_graph *g = w->at.graph;
    const bool wide = draw(w, 6) == 0; // the ways that go by chunks of columns have several
    const int64_t c = draw(w, 2) ? 3 : 16, h = wide ? 8 + draw(w, 9) : 9 + draw(w, 40);
    const int64_t width = wide ? 190 + draw(w, 90) : 9 + draw(w, 50);
    push(w, rml_graph_input(g, "x", &(rml_shape){4, {-1, c, h, width}}));
    const int wanted = 3 + (int)draw(w, 9);
    while (w->count < wanted && w->drawn < 400) {
        const int64_t back = draw(w, 4) ? 1 : 1 + draw(w, w->count < 5 ? w->count : 5);
        const rml_value_id x = w->values[w->count - back];
        const rml_shape shape = shape_of(w, x);
        const int64_t area = shape.dim[2] * shape.dim[3];
        const bool grows = area * 9 * 32 < MOST_FLOATS * 4;
        switch (draw(w, 10)) {
        case 0:
        case 1:
            if (grows)
                add_transposed(w, x);
            break;
        case 2:
            if (grows)
                add_resize(w, x);
            break;
        case 3:
        case 4:
            add_binary(w, x);
            break;
        case 5:
            if (draw(w, 3) == 0 && shape.dim[2] > 12 && shape.dim[3] > 12)
                add_whole(w, x);
            break;
        case 6:
            add_shuffle(w, x);
            break;
        default:
            if (shape.dim[2] > 14 || shape.dim[3] > 14)
                add_conv(w, x);
        }
    }
    rml_graph_output(g, "last", w->values[w->count - 1]);
    if (draw(w, 3) == 0)
        rml_graph_output(g, "some", w->values[draw(w, w->count - 1) + 1]);
}

// ---- regions ------------------------------------------------------------------------------------

static rml_range draw_range(world *w, int64_t size)
{
    const int64_t low = draw(w, 4) ? draw(w, size) : 0;
    return (rml_range){low, draw(w, 4) ? low + 1 + draw(w, size - low) : size};
}

// Whether output 0 has the bits of `want` within a region, and the other outputs everywhere.
static bool same(const float *got, const float *want, const rml_shape *shape, size_t count,
                 const rml_region *part)
{
    size_t planes = (size_t)(shape->dim[0] * shape->dim[1]);
    const size_t height = (size_t)shape->dim[2], width = (size_t)shape->dim[3];
    const rml_range rows = part->axis[RML_ROWS], columns = part->axis[RML_COLUMNS];
    const size_t first = planes * height * width;
    bool equal = memcmp(got + first, want + first, (count - first) * sizeof *got) == 0;
    while (planes-- > 0)
        for (size_t y = (size_t)rows.low; y < (size_t)rows.high; y++) {
            const size_t at = (planes * height + y) * width + (size_t)columns.low;
            equal = equal && memcmp(got + at, want + at,
                                    (size_t)(columns.high - columns.low) * sizeof *got) == 0;
        }
    return equal;
}

// Returns for how many regions less was computed than for the whole.
static int check_session(world *w, rml_session *session)
{
    rml_error err;
    rml_shape shape;
    size_t count = 0;
    int less = 0;
    net_fill_inputs(session, w->at.model, 1);
    CHECK(rml_session_run(session, &err) == RML_OK);
    const uint64_t whole = net_macs(session);
    float *want = net_outputs(session, w->at.model, &count);
    rml_session_output(session, "last", &shape);
    for (int i = 0; i < REGIONS && shape.dim[2] > 0 && shape.dim[3] > 0; i++) {
        const rml_region part = {{draw_range(w, shape.dim[2]), draw_range(w, shape.dim[3])}};
        rml_session_crop(session, 0, NULL);
        net_fill_inputs(session, w->at.model, 2);
        CHECK(rml_session_run(session, &err) == RML_OK);
        net_fill_inputs(session, w->at.model, 1);
        const uint64_t before = net_macs(session);
        rml_session_crop(session, 0, &part);
        CHECK_MSG(rml_session_run(session, &err) == RML_OK, "%s", err.message);
        less += net_macs(session) - before < whole;
        float *got = net_outputs(session, w->at.model, &count);
        CHECK_MSG(same(got, want, &shape, count, &part),
                  "seed %d: rows %d to %d and columns %d to %d of %dx%d are not those of the whole",
                  (int)w->seed, (int)part.axis[0].low, (int)part.axis[0].high,
                  (int)part.axis[1].low, (int)part.axis[1].high, (int)shape.dim[2],
                  (int)shape.dim[3]);
        free(got);
    }
    free(want);
    return less;
}

static int check_graph(world *w)
{
    static const rml_cpu_level levels[] = {RML_CPU_BEST, RML_CPU_PORTABLE, RML_CPU_AVX2};
    rml_session_settings settings = rml_session_settings_default();
    rml_session *session = NULL;
    rml_error err;
    rml_shape shape = rml_model_input(w->at.model, 0).shape;
    shape.dim[0] = 1 + draw(w, 3);
    settings.profile = true;
    settings.threads = draw(w, 2) ? 1 : net_threads();
    settings.cpu = levels[draw(w, 3)];
    if (!rml_cpu_level_available(settings.cpu))
        settings.cpu = RML_CPU_BEST;
    if (draw(w, 3) == 0 && rml_precision_available(RML_PRECISION_BF16, settings.cpu))
        settings.precision = RML_PRECISION_BF16;
    CHECK_MSG(rml_session_create(&session, w->at.model, &settings, &err) == RML_OK, "%s",
              err.message);
    CHECK(rml_session_resize(session, "x", shape, &err) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &err) == RML_OK, "%s", err.message);
    const int less = check_session(w, session);
    rml_session_destroy(&session);
    return less;
}

int main(void)
{
    static world w;
    const uint64_t last = check_is_slow() ? 30 : 200;
    int less = 0;
    for (uint64_t seed = 1; seed <= last; seed++) {
        net_begin(&w.at, NULL);
        build(&w, seed);
        if (net_finish(&w.at, NULL))
            less += check_graph(&w);
        net_end(&w.at);
    }
    CHECK_MSG(less > 2 * (int)last, "%d regions of %d graphs took less than the whole", less,
              (int)last);
    return check_result();
}
