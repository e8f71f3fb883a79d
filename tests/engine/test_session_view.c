// Ports bound to memory in other orders and types than the network computes with.
#include "tests/support/counting_allocator.h"
#include "tests/support/net.h"

#include <math.h>

enum { N = 2, C = 3, H = 37, W = 301 }; // more than one task a worker, rows of more than one piece

static const float scales[C] = {1 / 58.395f, 1 / 57.12f, 1 / 57.375f};
static const float biases[C] = {-2.1179f, -2.0357f, -1.8044f};

typedef struct example {
    net at;
    rml_session *session;
    counting count;
    rml_allocator allocator;
} example;

// y = -x; (N,C,H,W), batch and sizes free.
static void begin_limited(example *e, int threads, size_t limit)
{
    e->allocator = counting_allocator(&e->count);
    net_begin(&e->at, NULL);
    const rml_shape shape = {4, {-1, C, -1, -1}};
    rml_value_id x = rml_graph_input(e->at.graph, "x", &shape);
    x = rml_graph_unary(e->at.graph, x, (rml_activation){.kind = RML_UNARY_NEG}, "minus");
    rml_graph_output(e->at.graph, "y", x);
    CHECK(net_finish(&e->at, NULL));
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = threads;
    settings.memory_limit = limit;
    settings.allocator = &e->allocator;
    CHECK(rml_session_create(&e->session, e->at.model, &settings, NULL) == RML_OK);
}

static void begin(example *e, int threads)
{
    begin_limited(e, threads, 0);
}

static void prepare(example *e, int64_t n, int64_t h, int64_t w)
{
    const rml_shape shape = {4, {n, C, h, w}};
    CHECK(rml_session_resize_at(e->session, 0, shape, &e->at.err) == RML_OK);
    CHECK_MSG(rml_session_prepare(e->session, &e->at.err) == RML_OK, "%s", e->at.err.message);
}

static void end(example *e)
{
    rml_session_destroy(&e->session);
    net_end(&e->at);
    CHECK(e->count.live_bytes == 0);
}

static void run(example *e)
{
    CHECK_MSG(rml_session_run(e->session, &e->at.err) == RML_OK, "%s", e->at.err.message);
}

static size_t plain_index(int n, int c, int h, int w)
{
    return (size_t)(((n * C + c) * H + h) * W + w);
}

// Pixels of one channel beside the other, rows of `pitch` bytes; the last row ends with its pixels.
static rml_tensor_view pixels(void *data, rml_dtype dtype, size_t pitch)
{
    const int64_t element = (int64_t)rml_dtype_size(dtype);
    rml_tensor_view view = rml_tensor_view_default();
    view.data = data;
    view.bytes = pitch * (N * H - 1) + W * C * rml_dtype_size(dtype);
    view.dtype = dtype;
    view.rank = 4;
    view.stride[0] = H * (int64_t)pitch;
    view.stride[1] = element;
    view.stride[2] = (int64_t)pitch;
    view.stride[3] = C * element;
    return view;
}

// Every element of every input type, scaled or not, at its place.
static void test_input(rml_dtype dtype, bool scaled, int threads)
{
    example e;
    const size_t element = rml_dtype_size(dtype), pitch = W * C * element + 5 * element;
    rml_tensor_view view = pixels(NULL, dtype, pitch);
    unsigned char *data = malloc(view.bytes);
    size_t wrong = 0;
    for (int k = 0; k < N * H; k++)
        for (int i = 0; i < W * C; i++) {
            const float number = (float)((k * 31 + i * 7) % 251);
            rml_dtype_convert(RML_F32, &number, dtype, data + (size_t)k * pitch + i * element, 1);
        }
    begin(&e, threads);
    prepare(&e, N, H, W);
    view.data = data;
    view.channels = scaled ? C : 0;
    view.channel_axis = 1;
    view.scale = scales;
    view.bias = biases;
    CHECK_MSG(rml_session_bind_input(e.session, 0, &view, &e.at.err) == RML_OK, "%s",
              e.at.err.message);
    const size_t calls = e.count.calls;
    run(&e);
    CHECK(rml_session_bind_input(e.session, 0, &view, NULL) == RML_OK);
    run(&e);
    CHECK_MSG(e.count.calls == calls, "%zu allocations", e.count.calls - calls);
    const float *y = rml_session_output_at(e.session, 0, NULL);
    for (int n = 0; n < N; n++)
        for (int c = 0; c < C; c++)
            for (int h = 0; h < H; h++)
                for (int w = 0; w < W; w++) {
                    float x = (float)(((n * H + h) * 31 + (w * C + c) * 7) % 251);
                    x = dtype == RML_BOOL ? x != 0 : x;
                    x = scaled ? x * scales[c] + biases[c] : x;
                    wrong += y[plain_index(n, c, h, w)] != -x;
                }
    CHECK_MSG(wrong == 0, "%zu elements of %s differ", wrong, rml_dtype_name(dtype));
    rml_shape shape = {0}; // and no place to write to
    CHECK(!rml_session_input_at(e.session, 0, &shape) && shape.dim[3] == W);
    view.bytes--;
    CHECK(rml_session_bind_input(e.session, 0, &view, &e.at.err) == RML_ERR_LIMIT);
    run(&e); // as bound before
    end(&e);
    free(data);
}

static void test_output(int threads)
{
    example e;
    const size_t pitch = (W * C + 3) * sizeof(float);
    rml_tensor_view view = pixels(NULL, RML_F32, pitch);
    float *data = malloc(view.bytes);
    size_t wrong = 0;
    for (size_t i = 0; i < view.bytes / sizeof *data; i++)
        data[i] = 1234.0f;
    view.data = data;
    begin(&e, threads);
    CHECK(rml_session_bind_output(e.session, 0, &view, NULL) == RML_OK); // before a plan
    prepare(&e, N, H, W);
    net_fill_inputs(e.session, e.at.model, 3);
    const float *x = rml_session_input_at(e.session, 0, NULL);
    run(&e);
    for (int k = 0; k < N * H; k++)
        for (int i = 0; i < W * C + 3; i++) {
            if (k == N * H - 1 && i >= W * C)
                break;
            const float got = data[(size_t)k * (W * C + 3) + (size_t)i];
            const float want = i < W * C ? -x[plain_index(k / H, i % C, k % H, i / C)] : 1234.0f;
            wrong += got != want;
        }
    CHECK_MSG(wrong == 0, "%zu elements differ", wrong);
    CHECK(rml_session_output_at(e.session, 0, NULL) != data); // the session's own
    // Outputs are not converted.
    view.dtype = RML_U8;
    CHECK(rml_session_bind_output(e.session, 0, &view, &e.at.err) == RML_ERR_ARG &&
          strstr(e.at.err.message, "output y is f32") && strstr(e.at.err.message, "u8"));
    view.dtype = RML_F32;
    view.channels = 1;
    CHECK(rml_session_bind_output(e.session, 0, &view, &e.at.err) == RML_ERR_ARG);
    end(&e);
    free(data);
}

// What is as the network computes with it is used where it lies, in strides or without.
static void test_direct(void)
{
    example e;
    float *x = calloc(1 + 2 * C * 4, sizeof *x);
    rml_tensor_view view = rml_tensor_view_default();
    begin(&e, 1);
    prepare(&e, 2, 2, 2);
    view.data = x;
    view.bytes = 2 * C * 4 * sizeof *x;
    CHECK(rml_session_bind_input(e.session, 0, &view, NULL) == RML_OK);
    CHECK(rml_session_input_at(e.session, 0, NULL) == x);
    view.rank = 4;
    view.stride[0] = 48, view.stride[1] = 16, view.stride[2] = 8, view.stride[3] = 4;
    CHECK(rml_session_bind_input(e.session, 0, &view, NULL) == RML_OK);
    CHECK(rml_session_input_at(e.session, 0, NULL) == x);
    view.data = (char *)x + 1; // not aligned
    for (int i = 0; i < 2 * C * 4; i++)
        memcpy((char *)x + 1 + 4 * i, &(float){(float)i}, 4);
    CHECK(rml_session_bind_input(e.session, 0, &view, NULL) == RML_OK);
    CHECK(!rml_session_input_at(e.session, 0, NULL));
    run(&e);
    CHECK(((const float *)rml_session_output(e.session, "y", NULL))[2 * C * 4 - 1] ==
          1 - 2 * C * 4);
    CHECK(rml_session_bind_input(e.session, 0, NULL, NULL) == RML_OK);
    CHECK(rml_session_input_at(e.session, 0, NULL) && rml_session_input(e.session, "x", NULL));
    end(&e);
    free(x);
}

// One row for all by strides of 0, the same factors for all, and factors along the last dimension.
static void test_repeat_and_factors(void)
{
    example e;
    const uint8_t row[3] = {10, 20, 30};
    const float twice = 2, each[3] = {1, 10, 100}, two[2] = {1, 2};
    rml_tensor_view view = rml_tensor_view_default();
    begin(&e, 1);
    prepare(&e, 1, 2, 3);
    view.data = (void *)(uintptr_t)row;
    view.bytes = sizeof row;
    view.dtype = RML_U8;
    view.rank = 4;
    view.stride[3] = 1;
    view.channels = 1;
    view.scale = &twice;
    CHECK(rml_session_bind_input(e.session, 0, &view, NULL) == RML_OK);
    run(&e);
    const float *y = rml_session_output_at(e.session, 0, NULL);
    for (int i = 0; i < 6 * C; i++)
        CHECK(y[i] == -2.0f * row[i % 3]);
    view.channels = 3;
    view.channel_axis = 3;
    view.scale = NULL;
    view.bias = each;
    CHECK(rml_session_bind_input(e.session, 0, &view, NULL) == RML_OK);
    run(&e);
    y = rml_session_output_at(e.session, 0, NULL);
    for (int i = 0; i < 6 * C; i++)
        CHECK(y[i] == -(row[i % 3] + each[i % 3]));
    view.channels = 2;
    view.bias = two;
    CHECK(rml_session_bind_input(e.session, 0, &view, &e.at.err) == RML_ERR_SHAPE &&
          strstr(e.at.err.message, "input x has 3 channels") && strstr(e.at.err.message, "has 2"));
    view.channel_axis = 4;
    CHECK(rml_session_bind_input(e.session, 0, &view, &e.at.err) == RML_ERR_SHAPE);
    view.channels = 0;
    view.rank = 3;
    CHECK(rml_session_bind_input(e.session, 0, &view, &e.at.err) == RML_ERR_SHAPE &&
          strstr(e.at.err.message, "has 4 dimensions"));
    view.rank = 4;
    view.stride[1] = -1;
    CHECK(rml_session_bind_input(e.session, 0, &view, &e.at.err) == RML_ERR_ARG);
    view.stride[1] = INT64_MAX;
    CHECK(rml_session_bind_input(e.session, 0, &view, &e.at.err) ==
          (SIZE_MAX > UINT32_MAX ? RML_ERR_LIMIT : RML_ERR_ARG));
    view.stride[1] = 0;
    view.dtype = (rml_dtype)99;
    CHECK(rml_session_bind_input(e.session, 0, &view, &e.at.err) == RML_ERR_ARG);
    view.dtype = RML_U8;
    view.size = 0;
    CHECK(rml_session_bind_input(e.session, 0, &view, &e.at.err) == RML_ERR_ARG &&
          strstr(e.at.err.message, "rml_tensor_view_default()"));
    CHECK(rml_session_bind_input(e.session, 1, NULL, &e.at.err) == RML_ERR_ARG);
    CHECK(rml_session_bind_output(e.session, 1, NULL, &e.at.err) == RML_ERR_ARG);
    run(&e); // as bound before
    // Other shapes: the run tells what does not fit them.
    prepare(&e, 1, 2, 4);
    CHECK(rml_session_run(e.session, &e.at.err) == RML_ERR_SHAPE);
    end(&e);
}

static void test_index(void)
{
    example e;
    begin(&e, 1);
    prepare(&e, 1, 2, 3);
    CHECK(rml_model_find_input(e.at.model, "x") == 0);
    CHECK(rml_model_find_input(e.at.model, "y") == RML_NO_PORT);
    CHECK(rml_model_find_output(e.at.model, "y") == 0);
    CHECK(rml_model_find_output(e.at.model, "") == RML_NO_PORT);
    CHECK(rml_session_input_at(e.session, 0, NULL) == rml_session_input(e.session, "x", NULL));
    CHECK(!rml_session_input_at(e.session, 1, NULL) &&
          !rml_session_output_at(e.session, RML_NO_PORT, NULL));
    CHECK(rml_session_resize_at(e.session, 1, (rml_shape){0}, &e.at.err) == RML_ERR_ARG);
    end(&e);
}

// Integers that stand for [0,1], there and back; by bands too, which leave no room for whole
// images.
static void test_normalize(rml_dtype dtype, rml_normalize normalize, size_t limit)
{
    example e;
    const size_t element = rml_dtype_size(dtype), pitch = W * C * element + 3 * element;
    const float full = dtype == RML_U8 ? 255 : 65535, minus = -1;
    rml_tensor_view view = pixels(NULL, dtype, pitch);
    unsigned char *in = calloc(1, view.bytes), *out = calloc(1, view.bytes);
    size_t wrong = 0;
    for (size_t i = 0; i < view.bytes / element; i++) {
        const float number = (float)((i * 7) % ((size_t)full + 1));
        rml_dtype_convert(RML_F32, &number, dtype, in + i * element, 1);
    }
    begin_limited(&e, net_threads(), limit);
    view.normalize = normalize;
    view.data = out;
    CHECK_MSG(rml_session_bind_output(e.session, 0, &view, &e.at.err) == RML_OK, "%s",
              e.at.err.message);
    view.data = in;
    view.channels = 1;
    view.scale = &minus;
    CHECK(rml_session_bind_input(e.session, 0, &view, &e.at.err) == RML_OK);
    prepare(&e, N, H, W);
    CHECK(!limit || rml_session_planned_bytes(e.session) <= limit);
    const size_t calls = e.count.calls;
    run(&e);
    run(&e);
    CHECK_MSG(e.count.calls == calls, "%zu allocations", e.count.calls - calls);
    for (size_t i = 0; i < view.bytes / element; i++) {
        float got, want;
        rml_dtype_convert(dtype, in + i * element, RML_F32, &want, 1);
        rml_dtype_convert(dtype, out + i * element, RML_F32, &got, 1);
        want = i * element % pitch >= W * C * element ? 0 : want; // the gap between rows
        want = normalize == RML_NORMALIZE_TRUNCATE ? floorf(want / full * full) : want;
        wrong += got != want;
    }
    CHECK_MSG(wrong == 0, "%zu elements of %s differ", wrong, rml_dtype_name(dtype));
    CHECK(!rml_session_input_at(e.session, 0, NULL));
    if (limit) { // what is converted band by band has no other place
        CHECK(rml_session_bind_output(e.session, 0, NULL, NULL) == RML_OK);
        CHECK(rml_session_run(e.session, &e.at.err) == RML_ERR_ARG &&
              strstr(e.at.err.message, "y was bound when"));
        CHECK(!rml_session_output_at(e.session, 0, NULL));
        CHECK(rml_session_prepare(e.session, &e.at.err) == RML_ERR_LIMIT);
    }
    end(&e);
    free(in);
    free(out);
}

static void test_normalize_edges(void)
{
    example e;
    const float x[6] = {-1, 2, 0, -0.0f, NAN, -INFINITY}; // y is -x
    uint8_t y[6 * C];
    rml_tensor_view view = rml_tensor_view_default();
    begin(&e, 1);
    prepare(&e, 1, 1, 6);
    for (int c = 0; c < C; c++)
        memcpy((float *)rml_session_input_at(e.session, 0, NULL) + 6 * c, x, sizeof x);
    view.data = y;
    view.bytes = sizeof y;
    view.dtype = RML_U8;
    view.normalize = RML_NORMALIZE_ROUND;
    CHECK(rml_session_bind_output(e.session, 0, &view, NULL) == RML_OK);
    run(&e);
    CHECK(y[0] == 255 && y[1] == 0 && y[2] == 0 && y[3] == 0 && y[4] == 0 && y[5] == 255);
    view.dtype = RML_F32;
    CHECK(rml_session_bind_output(e.session, 0, &view, &e.at.err) == RML_ERR_ARG &&
          strstr(e.at.err.message, "u8 and u16 are normalized"));
    end(&e);
}

// No images, each as large as there can be: strides at the end of what there is.
static void test_huge_strides(void)
{
    example e;
    char nothing[8];
    rml_tensor_view view = rml_tensor_view_default();
    begin(&e, 1);
    view.data = nothing;
    view.dtype = RML_F32;
    CHECK(rml_session_bind_input(e.session, 0, &view, NULL) == RML_OK);
    prepare(&e, 0, SIZE_MAX > UINT32_MAX ? INT64_C(1) << 58 : 1 << 26, 1);
    run(&e);
    end(&e);
}

// The elements that are not zero, transposed: a size that only the run tells, through strides.
static void test_run_time_size(void)
{
    net at;
    rml_session *session;
    int64_t found[12];
    rml_tensor_view view = rml_tensor_view_default();
    net_begin(&at, NULL);
    const rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){2, {2, 3}});
    rml_graph_output(at.graph, "y",
                     rml_graph_node(at.graph, RML_OP_NONZERO, &(rml_op_attr){0}, &x, 1, "where"));
    CHECK(net_finish(&at, NULL));
    CHECK(rml_session_create(&session, at.model, NULL, NULL) == RML_OK);
    CHECK(rml_session_prepare(session, NULL) == RML_OK);
    memset(found, 0x55, sizeof found);
    view.data = found;
    view.bytes = 4 * 8; // of two elements: (0,1) (1,1)
    view.dtype = RML_I64;
    view.rank = 2;
    view.stride[0] = 8;
    view.stride[1] = 16;
    CHECK(rml_session_bind_output(session, 0, &view, &at.err) == RML_OK);
    float *in = rml_session_input_at(session, 0, NULL);
    memset(in, 0, 6 * sizeof *in);
    in[1] = in[4] = 1;
    CHECK(rml_session_run(session, &at.err) == RML_OK);
    CHECK(found[0] == 0 && found[1] == 1 && found[2] == 1 && found[3] == 1);
    in[5] = 1;
    const int64_t after = found[4];
    CHECK(rml_session_run(session, &at.err) == RML_ERR_LIMIT &&
          strstr(at.err.message, "output y has 48 bytes") && found[4] == after);
    rml_session_destroy(&session);
    net_end(&at);
}

int main(void)
{
    static const rml_dtype types[] = {RML_U8, RML_F32, RML_F16, RML_F64, RML_I64, RML_BOOL};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        for (int scaled = 0; scaled < 2; scaled++)
            test_input(types[i], scaled, i % 2 ? 1 : net_threads());
    test_output(1);
    test_output(net_threads());
    test_direct();
    test_repeat_and_factors();
    test_index();
    for (int truncate = 0; truncate < 2; truncate++)
        for (size_t limit = 0; limit < 100000; limit += 60000) {
            const rml_normalize how = truncate ? RML_NORMALIZE_TRUNCATE : RML_NORMALIZE_ROUND;
            test_normalize(RML_U8, how, limit);
            test_normalize(RML_U16, how, limit);
        }
    test_normalize_edges();
    test_huge_strides();
    test_run_time_size();
    return check_result();
}
