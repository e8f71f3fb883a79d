// The weights of a network, written and read again: the same network.
#include "runmodel.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "test_safetensors_writer.safetensors"

static rml_model *create(const rml_weights *weights, bool as_written)
{
    rml_error err = {0};
    rml_model *model = NULL;
    rml_model_settings settings = rml_model_settings_default();
    settings.as_written = as_written;
    CHECK_MSG(rml_model_create(&model, "lstm", weights, &settings, &err) == RML_OK, "%s",
              err.message);
    return model;
}

static void run(const rml_weights *weights, float out[3])
{
    rml_error err = {0};
    rml_session *session = NULL;
    const float x[6] = {3, 1, 4, 1, 5, 9};
    rml_shape shape = {3, {1, 6, 1}};
    rml_model *model = create(weights, false);
    CHECK(rml_session_create(&session, model, NULL, &err) == RML_OK);
    CHECK(rml_session_resize(session, "seq_input", shape, &err) == RML_OK);
    CHECK(rml_session_prepare(session, &err) == RML_OK);
    memcpy(rml_session_input(session, "seq_input", NULL), x, sizeof x);
    CHECK(rml_session_run(session, &err) == RML_OK);
    memcpy(out, rml_session_output(session, "my_output", &shape), 3 * sizeof *out);
    rml_session_destroy(&session);
    rml_model_destroy(&model);
}

static void test_same_network(rml_write_weights kind, bool same_bits)
{
    rml_error err = {0};
    rml_weights *source = NULL, *back = NULL;
    float before[3], after[3];
    CHECK(rml_weights_create_random(&source, "lstm", 7, NULL, &err) == RML_OK);
    rml_model *model = create(source, true);
    rml_write_settings settings = rml_write_settings_default();
    settings.weights = kind;
    CHECK_MSG(rml_model_write(model, FILE_NAME, &settings, &err) == RML_OK, "%s", err.message);
    rml_model_destroy(&model);
    CHECK_MSG(rml_weights_open(&back, FILE_NAME, NULL, &err) == RML_OK, "%s", err.message);
    CHECK(rml_weights_count(back) == rml_weights_count(source));
    run(source, before);
    run(back, after);
    for (int i = 0; i < 3; i++)
        CHECK_MSG(same_bits ? before[i] == after[i] : before[i] - after[i] < 0.01f, "%g, %g",
                  (double)before[i], (double)after[i]);
    CHECK(same_bits || memcmp(before, after, sizeof before) != 0);
    rml_weights_close(&back);
    rml_weights_close(&source);
    remove(FILE_NAME);
}

static void test_refused(void)
{
    rml_error err = {0};
    rml_session *session;
    rml_model *plain = create(NULL, false), *written = create(NULL, true);
    CHECK(rml_model_write(plain, FILE_NAME, NULL, &err) == RML_ERR_ARG);
    CHECK(rml_model_write(written, "net.txt", NULL, &err) == RML_ERR_ARG);
    CHECK_MSG(strstr(err.message, ".safetensors") != NULL, "%s", err.message);
    CHECK(rml_model_write(written, "no/such/folder/net.safetensors", NULL, &err) == RML_ERR_IO);
    CHECK(rml_session_create(&session, written, NULL, &err) == RML_ERR_ARG);
    rml_model_destroy(&plain);
    rml_model_destroy(&written);
}

int main(void)
{
    test_same_network(RML_WRITE_F32, true);
    test_same_network(RML_WRITE_F16, false);
    test_refused();
    return check_result();
}
