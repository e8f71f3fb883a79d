// A run that is watched, and one that is stopped: from its callback, beforehand, and from another
// thread, in plain steps, in bands of rows, and in a loop that would not end.
#include "tests/support/net.h"

#ifdef RML_WITH_THREADS
#include <pthread.h>
#endif

typedef struct watcher {
    rml_session *session;
    size_t calls, total, stop_at; // 0: never
} watcher;

static void watch(void *user, size_t done, size_t total)
{
    watcher *w = user;
    CHECK_MSG(done == w->calls + 1 && done <= total, "part %zu of %zu after %zu calls", done, total,
              w->calls);
    CHECK(w->calls == 0 || total == w->total);
    w->calls = done;
    w->total = total;
    if (done == w->stop_at)
        rml_session_cancel(w->session, true);
}

static rml_status run(watcher *w, size_t stop_at, rml_error *err)
{
    w->calls = 0;
    w->stop_at = stop_at;
    return rml_session_run(w->session, err);
}

static void open_session(net *at, watcher *w, size_t limit)
{
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = 1;
    settings.memory_limit = limit;
    settings.progress = watch;
    settings.progress_user = w;
    *w = (watcher){.calls = 0};
    CHECK(rml_session_create(&w->session, at->model, &settings, &at->err) == RML_OK);
    CHECK_MSG(rml_session_prepare(w->session, &at->err) == RML_OK, "%s", at->err.message);
}

// Convolutions of an image that grows in between, so that bands of it take less.
static void build(net *at)
{
    static const int64_t channels[] = {32, 32, 16, 16, 3};
    const rml_conv_attr three = rml_conv_square(3, 1, 1);
    const rml_resize_attr twice = rml_resize_twice();
    int64_t in = 4;
    net_begin(at, NULL);
    rml_value_id x = rml_graph_input(at->graph, "x", &(rml_shape){4, {1, 4, 96, 64}});
    for (int i = 0; i < 5; i++) {
        const rml_value_id w = net_random(at, "w", (rml_shape){4, {channels[i], in, 3, 3}}, 'u');
        x = rml_graph_conv(at->graph, x, w, RML_NO_VALUE, &three, "conv");
        if (i == 0)
            x = rml_graph_resize(at->graph, x, RML_NO_VALUE, &twice, "twice");
        in = channels[i];
    }
    rml_graph_output(at->graph, "y", x);
    CHECK(net_finish(at, NULL));
}

// Stopped at each part in turn, and run to its end after each.
static size_t check_stops(net *at, watcher *w)
{
    size_t count;
    net_fill_inputs(w->session, at->model, 1);
    CHECK(run(w, 0, &at->err) == RML_OK);
    const size_t total = w->total;
    CHECK(w->calls == total && total > 1);
    float *want = net_outputs(w->session, at->model, &count);
    for (size_t stop_at = 1; stop_at < total; stop_at++) {
        char text[80];
        snprintf(text, sizeof text, "cancelled after %zu of %zu parts", stop_at, total);
        net_fill_inputs(w->session, at->model, 1);
        CHECK(run(w, stop_at, &at->err) == RML_ERR_CANCELLED);
        CHECK_MSG(w->calls == stop_at && strstr(at->err.message, text), "%s", at->err.message);
        net_fill_inputs(w->session, at->model, 1);
        CHECK(run(w, 0, &at->err) == RML_OK && w->calls == total);
        float *got = net_outputs(w->session, at->model, &count);
        CHECK(memcmp(got, want, count * sizeof *got) == 0);
        free(got);
    }
    // Too late for this run: the next one meets it, unless it is taken back.
    CHECK(run(w, total, &at->err) == RML_OK);
    CHECK(run(w, 0, &at->err) == RML_ERR_CANCELLED && w->calls == 0);
    CHECK(run(w, total, &at->err) == RML_OK);
    rml_session_cancel(w->session, false);
    CHECK(run(w, 0, &at->err) == RML_OK);
    rml_session_cancel(w->session, true);
    rml_session_cancel(w->session, true);
    CHECK(run(w, 0, &at->err) == RML_ERR_CANCELLED);
    CHECK(run(w, 0, &at->err) == RML_OK);
    free(want);
    return total;
}

static void test_steps_and_bands(void)
{
    net at;
    watcher w;
    build(&at);
    open_session(&at, &w, 0);
    const size_t steps = check_stops(&at, &w);
    const size_t whole = rml_session_planned_bytes(w.session);
    rml_session_destroy(&w.session);
    open_session(&at, &w, whole * 7 / 10);
    CHECK(rml_session_planned_bytes(w.session) < whole);
    const size_t bands = check_stops(&at, &w);
    CHECK_MSG(bands != steps, "%zu parts in bands as without", bands);
    rml_session_destroy(&w.session);
    net_end(&at);
    CHECK(strcmp(rml_status_name(RML_ERR_CANCELLED), "cancelled") == 0);
}

// A state that a loop negates, 2^40 times.
static rml_session *open_loop(net *at, rml_graph *body, watcher *w)
{
    static const rml_dtype types[] = {RML_F32};
    const rml_shape scalar = {0}, two = {1, {2}};
    const rml_op_attr same = {.cast = {.to = RML_BOOL}};
    rml_graph_init(body, rml_allocator_default());
    rml_graph_typed_input(body, "turn", RML_I64, &scalar);
    const rml_value_id go = rml_graph_typed_input(body, "go", RML_BOOL, &scalar);
    const rml_value_id state = rml_graph_input(body, "state", &two);
    rml_graph_output(body, "go_on", rml_graph_node(body, RML_OP_CAST, &same, &go, 1, "same"));
    rml_graph_output(
        body, "next",
        rml_graph_unary(body, state, (rml_activation){.kind = RML_UNARY_NEG}, "negate"));
    net_begin(at, NULL);
    const rml_value_id limit = rml_graph_typed_input(at->graph, "limit", RML_I64, &scalar);
    const rml_value_id x = rml_graph_input(at->graph, "x", &two);
    const rml_op_attr loop = {
        .control = {.body = {body}, .out_count = 1, .out_types = types, .states = 1}};
    const rml_value_id in[] = {limit, RML_NO_VALUE, x};
    rml_graph_output(at->graph, "y", rml_graph_node(at->graph, RML_OP_LOOP, &loop, in, 3, "loop"));
    CHECK(net_finish(at, NULL));
    open_session(at, w, 0);
    *(int64_t *)rml_session_input(w->session, "limit", NULL) = (int64_t)1 << 40;
    memset(rml_session_input(w->session, "x", NULL), 0, 2 * sizeof(float));
    return w->session;
}

#ifdef RML_WITH_THREADS
static void *run_loop(void *argument)
{
    static rml_error err;
    return rml_session_run(argument, &err) == RML_ERR_CANCELLED ? argument : NULL;
}

static void test_other_thread(void)
{
    net at;
    rml_graph body;
    watcher w;
    pthread_t thread;
    void *cancelled = NULL;
    rml_session *session = open_loop(&at, &body, &w);
    for (int turn = 0; turn < 2; turn++) {
        CHECK(pthread_create(&thread, NULL, run_loop, session) == 0);
        rml_session_cancel(session, true);
        CHECK(pthread_join(thread, &cancelled) == 0 && cancelled == session);
    }
    *(int64_t *)rml_session_input(session, "limit", NULL) = 3;
    CHECK(run(&w, 0, &at.err) == RML_OK && w.calls == w.total);
    rml_session_destroy(&session);
    net_end(&at);
    rml_graph_release(&body);
}
#else
static void test_other_thread(void)
{
    (void)open_loop;
}
#endif

int main(void)
{
    test_steps_and_bands();
    test_other_thread();
    return check_result();
}
