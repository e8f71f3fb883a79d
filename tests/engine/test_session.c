// Sessions: shapes that change, failures that leave the former plan, memory of the caller, binding,
// and a run that allocates nothing.
#include "tests/support/counting_allocator.h"
#include "tests/support/net.h"

#if COUNTS_MALLOC
// Every allocation by this program, whatever hook it goes around: the linker passes them on. To
// define malloc itself would leave a static program with two of them.
static size_t malloc_calls;
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
int __real_posix_memalign(void **out, size_t alignment, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    malloc_calls++;
    return __real_malloc(bytes);
}
void *__wrap_calloc(size_t count, size_t bytes)
{
    malloc_calls++;
    return __real_calloc(count, bytes);
}
void *__wrap_realloc(void *memory, size_t bytes)
{
    malloc_calls++;
    return __real_realloc(memory, bytes);
}
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    malloc_calls++;
    return __real_aligned_alloc(alignment, bytes);
}
int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes)
{
    malloc_calls++;
    return __real_posix_memalign(out, alignment, bytes);
}
#else
static size_t malloc_calls;
#endif

// Every kind of scratch: indirect gemm, Winograd (from 16x16 on), depthwise, transposed, pooling,
// batch norm, softmax, matmul; a residual, a concatenation in place, reorders.
static void build(net *at, const rml_allocator *allocator)
{
    const rml_model_settings settings = {.size = sizeof settings, .allocator = allocator};
    net_begin(at, &settings);
    rml_graph *g = at->graph;
    rml_conv_attr three = rml_conv_square(3, 1, 1), two = rml_conv_square(2, 2, 0), each = three;
    const rml_pool_attr halve = {.window = rml_window_square(2, 2, 0)};
    const rml_value_id x = rml_graph_input(g, "x", &(rml_shape){4, {-1, 3, -1, -1}});
    const rml_value_id w1 = net_random(at, "w1", (rml_shape){4, {16, 3, 3, 3}}, 'u');
    const rml_value_id w2 = net_random(at, "w2", (rml_shape){4, {16, 16, 3, 3}}, 'u');
    const rml_value_id w3 = net_random(at, "w3", (rml_shape){4, {16, 1, 3, 3}}, 'u');
    const rml_value_id w4 = net_random(at, "w4", (rml_shape){4, {16, 16, 2, 2}}, 'u');
    rml_value_id v[4], y = rml_graph_conv(g, x, w1, RML_NO_VALUE, &three, "conv");
    for (int i = 0; i < 4; i++)
        v[i] = net_random(at, "bn", (rml_shape){1, {16}}, 'p');
    y = rml_graph_unary(g, y, rml_activation_relu(), "relu");
    const rml_value_id skip = y;
    y = rml_graph_conv(g, y, w2, RML_NO_VALUE, &three, "winograd");
    y = rml_graph_binary(g, RML_BINARY_ADD, y, skip, "residual");
    each.groups = 16;
    y = rml_graph_conv(g, y, w3, RML_NO_VALUE, &each, "depthwise");
    y = rml_graph_pool(g, y, &halve, "pool");
    y = rml_graph_batch_norm(g, y, v[0], v[1], v[2], v[3], 1e-5f, "bn");
    y = rml_graph_conv_transpose(g, y, w4, RML_NO_VALUE, &two, "up");
    y = rml_graph_concat(g, (rml_value_id[]){y, skip}, 2, 1, "concat");
    const rml_value_id image = rml_graph_l2norm(g, y, RML_NO_VALUE, 1e-6f, "norm");
    rml_graph_output(g, "image", image);
    y = rml_graph_reshape(g, image, &(rml_shape){3, {0, 32, -1}}, "flat");
    y = rml_graph_matmul(g, y, y, false, true, "gram");
    y = rml_graph_softmax(g, y, 1, "softmax");
    rml_graph_output(g, "gram", y);
    net_finish(at, NULL);
}

static rml_shape image_shape(int64_t items, int64_t height, int64_t width)
{
    return (rml_shape){4, {items, 3, height, width}};
}

static float *run(rml_session *session, const rml_model *model, rml_shape shape, size_t *count)
{
    rml_error err = {0};
    CHECK_MSG(rml_session_resize(session, "x", shape, &err) == RML_OK, "%s", err.message);
    const rml_status status = rml_session_prepare(session, &err);
    CHECK_MSG(status == RML_OK, "%s", err.message);
    if (status != RML_OK)
        return NULL;
    net_fill_inputs(session, model, 5);
    CHECK(rml_session_run(session, &err) == RML_OK);
    return net_outputs(session, model, count);
}

// What a session made for this shape alone gives.
static float *fresh(rml_model *model, rml_shape shape, size_t *count)
{
    rml_session_settings settings = {.size = sizeof settings, .threads = 1};
    rml_session *session;
    CHECK(rml_session_create(&session, model, &settings, NULL) == RML_OK);
    float *out = run(session, model, shape, count);
    rml_session_destroy(&session);
    return out;
}

static void check_like_fresh(rml_session *session, rml_model *model, rml_shape shape)
{
    size_t count = 0, want_count = 0;
    float *want = fresh(model, shape, &want_count);
    float *got = run(session, model, shape, &count);
    char text[RML_SHAPE_TEXT_BYTES];
    CHECK_MSG(got && want && count == want_count && memcmp(got, want, count * sizeof *got) == 0,
              "other bits than a fresh session at %s", rml_shape_text(&shape, text));
    free(got);
    free(want);
}

static void test_misuse(rml_model *model)
{
    rml_session_settings settings = {.size = sizeof settings, .threads = 1};
    rml_session *session;
    rml_error err = {0};
    rml_shape shape = image_shape(1, 16, 16);
    CHECK(rml_session_create(&session, model, &settings, &err) == RML_OK);
    CHECK(rml_session_run(session, &err) == RML_ERR_ARG && strstr(err.message, "not prepared"));
    CHECK(!rml_session_input(session, "x", NULL) && !rml_session_output(session, "gram", NULL));
    CHECK(rml_session_planned_bytes(session) == 0);
    CHECK(rml_session_prepare(session, &err) == RML_ERR_SHAPE && strstr(err.message, "x") &&
          strstr(err.message, "(1,3,?,?)"));
    CHECK(rml_session_resize(session, "z", shape, &err) == RML_ERR_ARG &&
          strstr(err.message, "\"z\""));
    shape.dim[1] = 4;
    CHECK(rml_session_resize(session, "x", shape, &err) == RML_ERR_SHAPE &&
          strstr(err.message, "(1,4,16,16)") && strstr(err.message, "(?,3,?,?)"));
    shape = image_shape(-1, 16, 16);
    CHECK(rml_session_resize(session, "x", shape, &err) == RML_ERR_SHAPE);
    shape.rank = 3;
    CHECK(rml_session_resize(session, "x", shape, &err) == RML_ERR_SHAPE);
    CHECK(rml_session_resize(session, "x", image_shape(1, 16, 16), &err) == RML_OK);
    CHECK(rml_session_prepare(session, &err) == RML_OK);
    CHECK(!rml_session_input(session, "gram", NULL) && !rml_session_output(session, "x", NULL));
    CHECK(rml_session_bind(session, "z", NULL, 0, &err) == RML_ERR_ARG &&
          strstr(err.message, "\"z\""));
    CHECK(rml_session_profile_count(session) == 0);
    rml_session_destroy(&session);
    CHECK(!session);
    rml_session_destroy(&session);
    settings.threads = -1;
    CHECK(rml_session_create(&session, model, &settings, &err) == RML_ERR_ARG && !session);
    settings.threads = 1;
    settings.memory = (char *)&settings + 1;
    CHECK(rml_session_create(&session, model, &settings, &err) == RML_ERR_ARG && !session);
    settings.memory = NULL;
    settings.cpu = (rml_cpu_level)99;
    CHECK(rml_session_create(&session, model, &settings, &err) == RML_ERR_UNSUPPORTED && !session);
}

static void test_no_allocation(rml_model *model)
{
    for (int threads = 1; threads <= 2; threads++) {
        counting count;
        const rml_allocator allocator = counting_allocator(&count);
        rml_session_settings settings = {
            .size = sizeof settings, .threads = threads, .allocator = &allocator, .profile = 1};
        rml_session *session;
        if (rml_session_create(&session, model, &settings, NULL) != RML_OK)
            continue;
        CHECK(rml_session_resize(session, "x", image_shape(2, 18, 20), NULL) == RML_OK);
        CHECK(rml_session_prepare(session, NULL) == RML_OK);
        const size_t calls = count.calls, outside = malloc_calls;
        for (int i = 0; i < 10; i++)
            CHECK(rml_session_run(session, NULL) == RML_OK);
        CHECK(rml_session_prepare(session, NULL) == RML_OK);
        const size_t after = malloc_calls;
        CHECK_MSG(count.calls == calls, "%zu allocations", count.calls - calls);
        CHECK_MSG(after == outside, "%zu calls of malloc", after - outside);
        uint64_t macs = 0;
        for (size_t i = 0; i < rml_session_profile_count(session); i++) {
            CHECK(rml_session_profile(session, i).runs == 10);
            macs += rml_session_profile(session, i).macs;
        }
        CHECK(macs == 10 * rml_session_macs(session) && macs > 0);
        rml_session_destroy(&session);
        CHECK(count.live_bytes == 0);
    }
    CHECK(!COUNTS_MALLOC || malloc_calls > 0);
}

static void test_resize(rml_model *model)
{
    // grows, shrinks, comes back; both sides of Winograd's limit; more shapes than plans are kept
    static const int64_t sizes[][3] = {{1, 16, 16}, {3, 16, 16}, {1, 16, 16}, {2, 40, 24},
                                       {1, 12, 14}, {2, 40, 24}, {1, 2, 2},   {5, 18, 20},
                                       {1, 16, 16}, {1, 64, 64}, {1, 12, 14}, {2, 40, 24}};
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    rml_session_settings settings = {
        .size = sizeof settings, .threads = 1, .allocator = &allocator};
    rml_session *session;
    CHECK(rml_session_create(&session, model, &settings, NULL) == RML_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_like_fresh(session, model, image_shape(sizes[i][0], sizes[i][1], sizes[i][2]));
    // going back and forth between shapes that were planned makes a block at most
    const size_t calls = count.calls;
    for (int i = 0; i < 6; i++) {
        CHECK(rml_session_resize(session, "x", image_shape(1, i % 2 ? 12 : 64, i % 2 ? 14 : 64),
                                 NULL) == RML_OK);
        CHECK(rml_session_prepare(session, NULL) == RML_OK);
    }
    CHECK_MSG(count.calls <= calls + 6, "%zu allocations", count.calls - calls);
    // any number of shapes keeps only a few plans
    size_t most = 0;
    for (int i = 0; i < 40; i++) {
        CHECK(rml_session_resize(session, "x", image_shape(1, 20, 20 + 2 * (i % 10)), NULL) == 0);
        CHECK(rml_session_prepare(session, NULL) == RML_OK);
        if (i == 20)
            most = count.live_bytes;
    }
    CHECK_MSG(count.live_bytes <= most + most / 2, "%zu bytes, %zu before", count.live_bytes, most);
    rml_session_destroy(&session);
    CHECK(count.live_bytes == 0);
}

// Whatever fails, the session goes on as it was, and says so when asked again.
static void check_as_before(rml_session *session, const rml_model *model, const float *want,
                            size_t want_count)
{
    rml_shape shape;
    size_t count = 0;
    CHECK(rml_session_input(session, "x", &shape) && shape.dim[2] == 16);
    net_fill_inputs(session, model, 5);
    CHECK(rml_session_run(session, NULL) == RML_OK);
    float *got = net_outputs(session, model, &count);
    CHECK(count == want_count && memcmp(got, want, count * sizeof *got) == 0);
    free(got);
    CHECK(rml_session_prepare(session, NULL) == RML_OK);
    CHECK(rml_session_input(session, "x", &shape) && shape.dim[2] == 16);
}

static void test_failure(rml_model *model)
{
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    rml_session_settings settings = {
        .size = sizeof settings, .threads = 1, .allocator = &allocator};
    rml_session *session;
    rml_error err = {0};
    size_t total = 0;
    CHECK(rml_session_create(&session, model, &settings, NULL) == RML_OK);
    float *want = run(session, model, image_shape(1, 16, 16), &total);
    // a shape that does not fit the network, one that is too large, and an allocator that says no
    CHECK(rml_session_resize(session, "x", image_shape(1, 17, 16), &err) == RML_OK);
    CHECK(rml_session_prepare(session, &err) == RML_ERR_SHAPE && strstr(err.message, "concat"));
    check_as_before(session, model, want, total);
    const int64_t huge = (int64_t)1 << 30;
    CHECK(rml_session_resize(session, "x", image_shape(huge, huge, huge), &err) == RML_OK);
    CHECK(rml_session_prepare(session, &err) == RML_ERR_LIMIT);
    check_as_before(session, model, want, total);
    const size_t live = count.live_bytes;
    rml_status status = RML_ERR_NOMEM;
    for (size_t n = 1; status == RML_ERR_NOMEM && n < 100; n++) {
        CHECK(rml_session_resize(session, "x", image_shape(1, 32, 40), &err) == RML_OK);
        count.fail_at = count.calls + n;
        status = rml_session_prepare(session, &err);
        count.fail_at = 0;
        if (status == RML_OK)
            break;
        CHECK_MSG(count.live_bytes == live, "%zu bytes kept after a failure",
                  count.live_bytes - live);
        check_as_before(session, model, want, total);
    }
    CHECK(status == RML_OK);
    check_like_fresh(session, model, image_shape(1, 32, 40));
    rml_session_destroy(&session);
    CHECK(count.live_bytes == 0);
    free(want);
}

static void test_memory_of_caller(rml_model *model)
{
    enum { ROOM = 1 << 20, GUARD = 0x5A };
    unsigned char *block = aligned_alloc(64, ROOM);
    rml_session_settings settings = {
        .size = sizeof settings, .threads = 1, .memory = block, .memory_bytes = ROOM};
    rml_session *session;
    rml_error err = {0};
    size_t total = 0, planned = 0, used = 0;
    char text[40];
    memset(block, GUARD, ROOM);
    CHECK(rml_session_create(&session, model, &settings, NULL) == RML_OK);
    float *want = fresh(model, image_shape(2, 20, 18), &total);
    float *got = run(session, model, image_shape(2, 20, 18), &total);
    CHECK(got && memcmp(got, want, total * sizeof *got) == 0);
    planned = rml_session_planned_bytes(session);
    for (size_t i = 0; i < ROOM; i++)
        used = block[i] != GUARD ? i + 1 : used;
    CHECK_MSG(used <= planned && used + RML_ALIGNMENT > planned, "used %zu of %zu planned", used,
              planned);
    free(got);
    rml_session_destroy(&session);
    // exactly enough, and one byte less
    settings.memory_bytes = planned;
    CHECK(rml_session_create(&session, model, &settings, NULL) == RML_OK);
    free(run(session, model, image_shape(2, 20, 18), &total));
    CHECK(rml_session_resize(session, "x", image_shape(3, 20, 18), NULL) == RML_OK);
    CHECK(rml_session_prepare(session, &err) == RML_ERR_LIMIT);
    snprintf(text, sizeof text, "%zu", planned);
    CHECK(strstr(err.message, text));
    got = run(session, model, image_shape(2, 20, 18), &total);
    CHECK(got && memcmp(got, want, total * sizeof *got) == 0);
    free(got);
    rml_session_destroy(&session);
    settings.memory_bytes = planned - 1;
    CHECK(rml_session_create(&session, model, &settings, NULL) == RML_OK);
    CHECK(rml_session_resize(session, "x", image_shape(2, 20, 18), NULL) == RML_OK);
    CHECK(rml_session_prepare(session, &err) == RML_ERR_LIMIT &&
          !rml_session_input(session, "x", 0));
    CHECK(rml_session_run(session, &err) == RML_ERR_ARG);
    rml_session_destroy(&session);
    free(want);
    free(block);
}

static void test_bind(rml_model *model)
{
    rml_session_settings settings = {.size = sizeof settings, .threads = 1};
    rml_session *session;
    rml_shape shape = image_shape(1, 16, 16);
    float *x = malloc(3 * 256 * sizeof *x), *gram = malloc(32 * 32 * sizeof *gram);
    size_t total = 0;
    float *want = fresh(model, shape, &total);
    const float *want_gram = want + 32 * 256;
    CHECK(rml_session_create(&session, model, &settings, NULL) == RML_OK);
    CHECK(rml_session_bind(session, "x", x, 3 * 256 * sizeof *x, NULL) ==
          RML_OK); // before anything is prepared
    CHECK(rml_session_resize(session, "x", shape, NULL) == RML_OK);
    CHECK(rml_session_prepare(session, NULL) == RML_OK);
    CHECK(rml_session_bind(session, "gram", gram, 4096, NULL) == RML_OK);
    CHECK(rml_session_input(session, "x", NULL) == x &&
          rml_session_output(session, "gram", NULL) == gram);
    uniform_fill(x, 3 * 256, 5, 'u');
    CHECK(rml_session_run(session, NULL) == RML_OK);
    CHECK(memcmp(gram, want_gram, 32 * 32 * sizeof *gram) == 0);
    memset(gram, 0, 32 * 32 * sizeof *gram);
    CHECK(rml_session_bind(session, "gram", NULL, 0, NULL) == RML_OK);
    CHECK(rml_session_run(session, NULL) == RML_OK && gram[0] == 0.0f);
    CHECK(memcmp(rml_session_output(session, "gram", NULL), want_gram, 4096) == 0);
    rml_session_destroy(&session);
    free(want);
    free(x);
    free(gram);
}

// Memory that is too small is refused: at once, or by the run where the shapes changed since.
static void test_bind_size(rml_model *model)
{
    rml_session_settings settings = {.size = sizeof settings, .threads = 1};
    rml_session *session;
    rml_error err = {0};
    const size_t bytes = 3 * 256 * sizeof(float);
    float *x = calloc(1, bytes), *gram = malloc(4096);
    CHECK(rml_session_create(&session, model, &settings, NULL) == RML_OK);
    CHECK(rml_session_resize(session, "x", image_shape(1, 16, 16), NULL) == RML_OK);
    CHECK(rml_session_prepare(session, NULL) == RML_OK);
    CHECK(rml_session_bind(session, "x", x, bytes - 1, &err) == RML_ERR_LIMIT &&
          strstr(err.message, "input x has 3072 bytes") && strstr(err.message, "has 3071"));
    CHECK(rml_session_bind(session, "gram", gram, 4095, &err) == RML_ERR_LIMIT &&
          strstr(err.message, "output gram has 4096 bytes") && strstr(err.message, "has 4095"));
    CHECK(rml_session_run(session, &err) == RML_OK); // as before
    CHECK(rml_session_bind(session, "x", x, bytes, &err) == RML_OK);
    CHECK(rml_session_bind(session, "gram", gram, 4096, &err) == RML_OK);
    CHECK(rml_session_run(session, &err) == RML_OK);
    // Other shapes, then other memory, then a plan.
    CHECK(rml_session_resize(session, "x", image_shape(2, 16, 16), NULL) == RML_OK);
    CHECK(rml_session_prepare(session, NULL) == RML_OK);
    CHECK(!rml_session_input(session, "x", NULL) && !rml_session_output(session, "gram", NULL));
    CHECK(rml_session_run(session, &err) == RML_ERR_LIMIT &&
          strstr(err.message, "input x has 6144 bytes") && strstr(err.message, "has 3072"));
    CHECK(rml_session_bind(session, "x", NULL, 0, &err) == RML_OK);
    CHECK(rml_session_run(session, &err) == RML_ERR_LIMIT &&
          strstr(err.message, "output gram has 8192 bytes") && strstr(err.message, "has 4096"));
    CHECK(rml_session_bind(session, "gram", NULL, 0, &err) == RML_OK);
    CHECK(rml_session_run(session, &err) == RML_OK);
    // Before the plan for smaller shapes, less is enough.
    CHECK(rml_session_resize(session, "x", image_shape(1, 16, 16), NULL) == RML_OK);
    CHECK(rml_session_bind(session, "x", x, bytes, &err) == RML_OK);
    CHECK(rml_session_prepare(session, NULL) == RML_OK);
    CHECK(rml_session_input(session, "x", NULL) == x && rml_session_run(session, &err) == RML_OK);
    rml_session_destroy(&session);
    free(x);
    free(gram);
}

static void count_line(void *user, const char *line)
{
    CHECK(strstr(line, "planned ") == line);
    ++*(int *)user;
}

// The log hears of every plan that is made, not of one that is found again, and nothing during run.
static void test_log(rml_model *model)
{
    rml_error err;
    int lines = 0;
    size_t count;
    rml_session *session;
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = 1;
    settings.log = count_line;
    settings.log_user = &lines;
    CHECK(rml_session_create(&session, model, &settings, &err) == RML_OK);
    free(run(session, model, image_shape(1, 20, 20), &count));
    CHECK(lines == 1);
    free(run(session, model, image_shape(2, 20, 20), &count));
    free(run(session, model, image_shape(1, 20, 20), &count));
    CHECK(lines == 2);
    rml_session_destroy(&session);
}

int main(void)
{
    net at;
    build(&at, NULL);
    CHECK(rml_model_input_count(at.model) == 1 && rml_model_output_count(at.model) == 2);
    CHECK(!rml_model_input(at.model, 1).name && !rml_model_output(at.model, 2).name);
    test_misuse(at.model);
    test_no_allocation(at.model);
    test_resize(at.model);
    test_failure(at.model);
    test_memory_of_caller(at.model);
    test_bind(at.model);
    test_bind_size(at.model);
    test_log(at.model);
    net_end(&at);
    return check_result();
}
