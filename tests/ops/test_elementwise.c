// Unary and binary functions: the f32 kernels mean what the general algorithm means, also at the
// corners of the number range, and a layout changes no bits.
#include "ops/elementwise/functions.h"
#include "tests/support/net.h"

#include <math.h>

static const float numbers[] = {-INFINITY, -1e30f,  -88.5f, -20,      -3,     -1,   -0.75f,
                                -1e-3f,    -1e-40f, -0.0f,  0,        1e-40f, 0.1f, 0.25f,
                                0.75f,     1,       1.5f,   2,        2.5f,   3,    20,
                                80,        1e30f,   1e38f,  INFINITY, NAN};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static rml_activation function_of(int kind)
{
    rml_activation function = {(rml_unary)kind, {0.75f, 1.25f}};
    if (kind == RML_UNARY_SHRINK)
        function.param[0] = 0.5f;
    return function;
}

static rml_value_id cast(rml_graph *graph, rml_value_id x, rml_dtype to)
{
    return rml_graph_node(graph, RML_OP_CAST, &(rml_op_attr){.cast = {.to = to}}, &x, 1, "cast");
}

// Within some units in the last place of the larger of result and operand: the kernels of gelu and
// its like cancel below zero. Both are no number, or neither is.
static bool agrees(float got, double want, float operand)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    const float rounded = (float)want;
    if (got == rounded)
        return true;
    const double scale = fmax(fabs(want), fmin(fabs((double)operand), 1e3));
    return fabs((double)got - want) <= 8 * 0x1p-24 * scale + 0x1p-126;
}

static rml_session *start(net *at, const float *x, size_t x_count, const float *y, size_t y_count)
{
    rml_session *session = NULL;
    if (!net_finish(at, NULL))
        return NULL;
    const rml_session_settings settings = {.size = sizeof settings, .threads = net_threads()};
    CHECK(rml_session_create(&session, at->model, &settings, &at->err) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &at->err) == RML_OK, "%s", at->err.message);
    memcpy(rml_session_input(session, "x", NULL), x, x_count * sizeof *x);
    if (y)
        memcpy(rml_session_input(session, "y", NULL), y, y_count * sizeof *y);
    CHECK(rml_session_run(session, &at->err) == RML_OK);
    return session;
}

static void test_unary(void)
{
    const rml_shape shape = {1, {NUMBERS}};
    for (int kind = 0; kind < RML_UNARY_COUNT; kind++) {
        net at;
        if (!rml_unary_takes((rml_unary)kind, RML_F32))
            continue;
        net_begin(&at, NULL);
        const rml_value_id x = rml_graph_input(at.graph, "x", &shape);
        const rml_activation function = function_of(kind);
        const rml_value_id narrow = rml_graph_unary(at.graph, x, function, "narrow");
        const rml_value_id wide =
            rml_graph_unary(at.graph, cast(at.graph, x, RML_F64), function, "wide");
        rml_graph_output(at.graph, "narrow", cast(at.graph, narrow, RML_F32));
        rml_graph_output(at.graph, "wide", cast(at.graph, wide, RML_F64));
        rml_session *session = start(&at, numbers, NUMBERS, NULL, 0);
        const float *got = session ? rml_session_output(session, "narrow", NULL) : NULL;
        const double *want = session ? rml_session_output(session, "wide", NULL) : NULL;
        for (int i = 0; i < NUMBERS && got; i++)
            CHECK_MSG(agrees(got[i], want[i], numbers[i]), "%s of %g is %g, expected %g",
                      rml_unary_name((rml_unary)kind), (double)numbers[i], (double)got[i], want[i]);
        rml_session_destroy(&session);
        net_end(&at);
    }
}

static void test_binary(void)
{
    const rml_shape column = {2, {NUMBERS, 1}}, row = {1, {NUMBERS}};
    for (int kind = 0; kind < RML_BINARY_COUNT; kind++) {
        net at;
        if (!rml_binary_takes((rml_binary)kind, RML_F32))
            continue;
        net_begin(&at, NULL);
        const rml_value_id x = rml_graph_input(at.graph, "x", &column);
        const rml_value_id y = rml_graph_input(at.graph, "y", &row);
        const rml_value_id narrow = rml_graph_binary(at.graph, (rml_binary)kind, x, y, "narrow");
        const rml_value_id wide =
            rml_graph_binary(at.graph, (rml_binary)kind, cast(at.graph, x, RML_F64),
                             cast(at.graph, y, RML_F64), "wide");
        rml_graph_output(at.graph, "narrow", cast(at.graph, narrow, RML_F32));
        rml_graph_output(at.graph, "wide", cast(at.graph, wide, RML_F64));
        rml_session *session = start(&at, numbers, NUMBERS, numbers, NUMBERS);
        const float *got = session ? rml_session_output(session, "narrow", NULL) : NULL;
        const double *want = session ? rml_session_output(session, "wide", NULL) : NULL;
        for (int i = 0; i < NUMBERS * NUMBERS && got; i++)
            CHECK_MSG(agrees(got[i], want[i], 0), "%s of %g and %g is %g, expected %g",
                      rml_binary_name((rml_binary)kind), (double)numbers[i / NUMBERS],
                      (double)numbers[i % NUMBERS], (double)got[i], want[i]);
        rml_session_destroy(&session);
        net_end(&at);
    }
}

enum { C = 5, H = 3, W = 7, IMAGE = C * H * W };

// An image that the convolution in front of it makes channels-last.
static rml_value_id image(net *at, bool last, rml_value_id x)
{
    const rml_conv_attr attr = rml_conv_square(1, 1, 0);
    if (!last)
        return x;
    const rml_value_id w = net_constant(at, "w", (rml_shape){4, {C, C, 1, 1}});
    for (int i = 0; i < C * C; i++)
        at->memory[at->constants - 1][i] = i % (C + 1) == 0;
    return rml_graph_conv(at->graph, x, w, RML_NO_VALUE, &attr, "conv");
}

// Every function of an image, and of an image and a number for each channel; and a comparison, the
// answer of which is no image. Power 2 is an activation of what is in front of it.
static void run_images(bool last, float *out)
{
    static float x[IMAGE], y[C];
    for (int i = 0; i < IMAGE; i++)
        x[i] = (float)(i % 23 - 11) / 8;
    for (int i = 0; i < C; i++)
        y[i] = (float)(i + 1) / 4;
    static const float two = 2;
    const rml_constant exponent = {.stored = rml_stored_f32(&two, &(rml_shape){0})};
    for (int kind = 0; kind < RML_UNARY_COUNT + RML_BINARY_COUNT + 1; kind++) {
        const int pair = kind - RML_UNARY_COUNT;
        net at;
        if (pair < 0 ? !rml_unary_takes((rml_unary)kind, RML_F32)
                     : pair < RML_BINARY_COUNT && !rml_binary_takes((rml_binary)pair, RML_F32))
            continue;
        net_begin(&at, NULL);
        rml_value_id v = rml_graph_input(at.graph, "x", &(rml_shape){4, {1, C, H, W}});
        const rml_value_id b = rml_graph_input(at.graph, "y", &(rml_shape){3, {C, 1, 1}});
        v = image(&at, last, v);
        if (pair < 0)
            v = rml_graph_unary(at.graph, v, function_of(kind), "unary");
        else if (pair < RML_BINARY_COUNT)
            v = rml_graph_binary(at.graph, (rml_binary)pair, v, b, "binary");
        else
            v = rml_graph_binary(at.graph, RML_BINARY_POW, v,
                                 rml_graph_constant(at.graph, "two", &exponent), "square");
        v = rml_graph_unary(at.graph, cast(at.graph, v, RML_F32),
                            (rml_activation){.kind = RML_UNARY_NEG}, "neg");
        rml_graph_output(at.graph, "out", v);
        rml_session *session = start(&at, x, IMAGE, y, C);
        if (session)
            memcpy(out + kind * IMAGE, rml_session_output(session, "out", NULL),
                   IMAGE * sizeof *out);
        rml_session_destroy(&session);
        net_end(&at);
    }
}

static void test_layouts(void)
{
    static float plain[(RML_UNARY_COUNT + RML_BINARY_COUNT + 1) * IMAGE], last[sizeof plain / 4];
    run_images(false, plain);
    run_images(true, last);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        CHECK_MSG(memcmp(&plain[i], &last[i], sizeof *plain) == 0 ||
                      (isnan(plain[i]) && isnan(last[i])),
                  "function %zu: %g plain, %g channels-last", i / IMAGE, (double)plain[i],
                  (double)last[i]);
}

// Integers that no double holds stay as they are where no bound is in their way.
static void test_wide_integers(void)
{
    const rml_activation relu = rml_activation_relu(), to_five = {RML_UNARY_CLAMP, {0, 5}};
    const int64_t large = ((int64_t)1 << 62) + 1;
    CHECK(rml_unary_i64(&relu, large, false) == large && rml_unary_i64(&relu, -large, false) == 0);
    CHECK(rml_unary_i64(&relu, -1, true) == -1); // the largest of u64
    CHECK(rml_unary_i64(&to_five, large, false) == 5 && rml_unary_i64(&to_five, -1, true) == 5);
}

int main(void)
{
    test_unary();
    test_binary();
    test_layouts();
    test_wide_integers();
    return check_result();
}
