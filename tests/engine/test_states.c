// States of a model: each session's own, zeros at first and on request, kept by runs that succeed.
// The model of the fuzz targets' corpus gives y = 2 (s + x) and keeps s + x.
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"

#include "engine/model.h"

#define MODEL "tests/fuzz/corpus/coreml/states.mlmodel"

static rml_error error;

static rml_model *open_model(void)
{
    rml_model *model = NULL;
    if (rml_model_open(&model, MODEL, NULL, &error) != RML_OK) {
        printf("%s\n", error.message);
        exit(1);
    }
    return model;
}

static rml_session *make(rml_model *model, const rml_session_settings *settings)
{
    rml_session *session = NULL;
    CHECK_MSG(rml_session_create(&session, model, settings, &error) == RML_OK &&
                  rml_session_prepare(session, &error) == RML_OK,
              "%s", error.message);
    return session;
}

// Runs with x all `x`: y is all one number, or -1.
static float run(rml_session *session, float x)
{
    float *in = rml_session_input(session, "x", NULL);
    for (int i = 0; i < 6; i++)
        in[i] = x;
    if (rml_session_run(session, &error) != RML_OK)
        return -1;
    const float *out = rml_session_output(session, "y", NULL);
    for (int i = 1; i < 6; i++)
        if (out[i] != out[0])
            return -1;
    return out[0];
}

static void test_ports(void)
{
    rml_model *model = open_model();
    rml_session *session = make(model, NULL);
    const rml_port state = rml_model_state(model, 0);
    const rml_tensor_view view = rml_tensor_view_default();
    CHECK(rml_model_input_count(model) == 1 && rml_model_output_count(model) == 1);
    CHECK(state.name && strcmp(state.name, "s") == 0 && state.dtype == RML_F32);
    CHECK(state.shape.rank == 2 && state.shape.dim[0] == 2 && state.shape.dim[1] == 3);
    CHECK(!rml_model_state(model, 1).name && !rml_model_input(model, 1).name);
    CHECK(!rml_model_output(model, 1).name);
    CHECK(rml_model_find_input(model, "s") == RML_NO_PORT);
    CHECK(rml_model_find_output(model, "s") == RML_NO_PORT);
    CHECK(!rml_session_input_at(session, 1, NULL) && !rml_session_output_at(session, 1, NULL));
    CHECK(!rml_session_input(session, "s", NULL) && !rml_session_output(session, "s", NULL));
    CHECK(rml_session_bind_input(session, 1, &view, &error) == RML_ERR_ARG);
    CHECK(rml_session_bind_output(session, 1, &view, &error) == RML_ERR_ARG);
    CHECK(rml_session_bind(session, "s", NULL, 0, &error) == RML_ERR_ARG);
    CHECK(rml_session_resize_at(session, 1, state.shape, &error) == RML_ERR_ARG);
    rml_session_destroy(&session);
    rml_model_destroy(&model);
}

static void test_sessions(const rml_session_settings *settings)
{
    rml_model *model = open_model();
    rml_session *a = make(model, settings), *b = make(model, settings);
    const bool shares = settings && settings->shared;
    CHECK(!shares || rml_session_prepare(a, &error) == RML_OK);
    CHECK(run(a, 1) == 2 && run(a, 1) == 4 && run(a, 3) == 10);
    CHECK(rml_session_prepare(b, &error) == RML_OK);
    CHECK(run(b, 1) == 2);
    CHECK(rml_session_prepare(a, &error) == RML_OK);
    CHECK(run(a, 1) == 12);
    rml_session_reset_state(a);
    CHECK(run(a, 1) == 2 && run(a, 1) == 4);
    CHECK(rml_session_prepare(b, &error) == RML_OK && run(b, 1) == 4);
    // A run that is cancelled leaves what was there.
    rml_session_cancel(b, true);
    CHECK(run(b, 5) == -1 && error.status == RML_ERR_CANCELLED);
    CHECK(run(b, 1) == 6);
    rml_session_destroy(&a);
    rml_session_destroy(&b);
    rml_model_destroy(&model);
}

static void test_memory_of_others(void)
{
    rml_session_settings settings = rml_session_settings_default();
    rml_shared_block *block = NULL;
    test_sessions(NULL);
    settings.no_reuse = true;
    settings.observe = NULL;
    test_sessions(&settings);
    settings = rml_session_settings_default();
    CHECK(rml_shared_block_create(&block, NULL, &error) == RML_OK);
    settings.shared = block;
    test_sessions(&settings);
    rml_shared_block_destroy(&block);
}

// What is bound to an output holds what the run gave, whatever becomes of the state.
static void test_bound(void)
{
    float out[2][6];
    rml_model *model = open_model();
    rml_session *session = make(model, NULL);
    for (int i = 0; i < 2; i++) {
        CHECK(rml_session_bind(session, "y", out[i], sizeof out[i], &error) == RML_OK);
        run(session, 1);
    }
    CHECK(out[0][0] == 2 && out[0][5] == 2 && out[1][0] == 4 && out[1][5] == 4);
    rml_session_destroy(&session);
    rml_model_destroy(&model);
}

static void test_allocations(void)
{
    counting c;
    const rml_allocator allocator = counting_allocator(&c);
    rml_session_settings settings = rml_session_settings_default();
    rml_model *model = open_model();
    rml_status status = RML_ERR_NOMEM;
    size_t fail_at = 0;
    settings.allocator = &allocator;
    settings.threads = 1;
    while (status == RML_ERR_NOMEM && fail_at < 1000) {
        rml_session *session = NULL;
        c.calls = 0;
        c.fail_at = ++fail_at;
        status = rml_session_create(&session, model, &settings, &error);
        CHECK((status == RML_OK) == (session != NULL));
        if (status == RML_OK)
            status = rml_session_prepare(session, &error);
        if (status == RML_OK)
            CHECK(run(session, 1) == 2);
        rml_session_destroy(&session);
        CHECK_MSG(c.live_bytes == 0, "%zu bytes leak", c.live_bytes);
    }
    CHECK_MSG(status == RML_OK && fail_at > 5, "%s", error.message);
    rml_model_destroy(&model);
}

int main(void)
{
    test_ports();
    test_memory_of_others();
    test_bound();
    test_allocations();
    return check_result();
}
