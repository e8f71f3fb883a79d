// Networks that a program names one by one give the bits of those made by name, and say what they
// lack: they are planned, optimised and run by less.
#include "engine/model.h"
#include "models/networks.h"
#include "tests/support/check.h"

#include <string.h>

typedef struct alone {
    const char *name;
    const rml_network *(*network)(void);
    rml_shape input;
} alone;

static const alone all[] = {
    {"lstm", rml_network_lstm, {3, {2, 9, 1}}},
    {"mobilenetv2", rml_network_mobilenetv2, {4, {1, 3, 96, 64}}},
    {"mobilenetv2", rml_network_mobilenetv2, {4, {2, 3, 33, 47}}},
    {"ffdnet-map", rml_network_ffdnet_map, {4, {1, 3, 32, 48}}},
};

static rml_session *prepared(rml_model *model, const alone *at, rml_error *err)
{
    rml_session *session = NULL;
    rml_session_settings settings = rml_session_settings_default();
    settings.threads = 1;
    CHECK_MSG(rml_session_create(&session, model, &settings, err) == RML_OK, "%s", err->message);
    CHECK_MSG(rml_session_resize_at(session, 0, at->input, err) == RML_OK, "%s", err->message);
    for (size_t i = 1; i < rml_model_input_count(model); i++) {
        rml_shape half = at->input;
        half.dim[1] = 1;
        half.dim[2] /= 2;
        half.dim[3] /= 2;
        CHECK_MSG(rml_session_resize_at(session, i, half, err) == RML_OK, "%s", err->message);
    }
    CHECK_MSG(rml_session_prepare(session, err) == RML_OK, "%s", err->message);
    return session;
}

static const float *run(rml_session *session, rml_model *model, size_t *count, rml_error *err)
{
    rml_shape shape;
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        float *in = rml_session_input_at(session, i, &shape);
        size_t numbers;
        CHECK(rml_shape_count(&shape, &numbers));
        for (size_t k = 0; k < numbers; k++)
            in[k] = (float)((k * 7 + i) % 23) / 11.0f - 1.0f;
    }
    CHECK_MSG(rml_session_run(session, err) == RML_OK, "%s", err->message);
    const float *out = rml_session_output_at(session, 0, &shape);
    CHECK(rml_shape_count(&shape, count) && *count > 0);
    return out;
}

static void compare(const alone *at)
{
    rml_error err;
    rml_weights *weights;
    rml_model *models[2];
    rml_session *sessions[2];
    const float *out[2];
    size_t count[2];
    CHECK(rml_weights_create_random(&weights, at->name, 5, NULL, &err) == RML_OK);
    CHECK(rml_model_create(&models[0], at->name, weights, NULL, &err) == RML_OK);
    CHECK(rml_model_create_network(&models[1], at->network(), weights, NULL, &err) == RML_OK);
    for (int i = 0; i < 2; i++) {
        sessions[i] = prepared(models[i], at, &err);
        out[i] = run(sessions[i], models[i], &count[i], &err);
    }
    CHECK_MSG(count[0] == count[1] && memcmp(out[0], out[1], count[0] * sizeof(float)) == 0,
              "%s alone gives other bits", at->name);
    CHECK_MSG(rml_session_planned_bytes(sessions[0]) == rml_session_planned_bytes(sessions[1]),
              "%s alone takes other memory", at->name);
    for (int i = 0; i < 2; i++) {
        rml_session_destroy(&sessions[i]);
        rml_model_destroy(&models[i]);
    }
    rml_weights_close(&weights);
}

static void test_lacks(void)
{
    rml_error err;
    rml_model *model;
    rml_session *session;
    rml_model_settings settings = rml_model_settings_default();
    settings.precision = RML_PRECISION_F16_ROUNDED;
    CHECK(rml_model_create_network(&model, rml_network_lstm(), NULL, &settings, &err) ==
          RML_ERR_UNSUPPORTED);
    CHECK_MSG(!model && strstr(err.message, "f16-rounded"), "%s", err.message);
    settings = rml_model_settings_default();
    settings.disabled_passes = "fold_const"; // its operators want constants
    CHECK(rml_model_create_network(&model, rml_network_lstm(), NULL, &settings, &err) ==
          RML_ERR_ARG);
    CHECK(rml_model_create_network(&model, rml_network_mobilenetv2(), NULL, NULL, &err) == RML_OK);
    rml_session_settings limited = rml_session_settings_default();
    limited.memory_limit = 100000; // there are no bands to keep it by
    CHECK(rml_session_create(&session, model, &limited, &err) == RML_OK);
    CHECK(rml_session_resize_at(session, 0, (rml_shape){4, {1, 3, 96, 96}}, &err) == RML_OK);
    CHECK(rml_session_prepare(session, &err) == RML_ERR_LIMIT);
    CHECK_MSG(!strstr(err.message, "bands"), "%s", err.message);
    rml_session_destroy(&session);
    rml_model_destroy(&model);
}

static void test_safetensors(void)
{
    static const char empty[] = "\2\0\0\0\0\0\0\0{}", cut[] = "\2\0\0\0\0\0\0\0{";
    rml_error err;
    rml_weights *weights;
    CHECK(rml_weights_open_safetensors(&weights, empty, sizeof empty - 1, NULL, &err) == RML_OK);
    CHECK(strcmp(rml_weights_format(weights), "safetensors") == 0 &&
          rml_weights_count(weights) == 0);
    rml_weights_close(&weights);
    CHECK(rml_weights_open_safetensors(&weights, cut, sizeof cut - 1, NULL, &err) ==
          RML_ERR_FORMAT);
    CHECK_MSG(!weights && strstr(err.message, "cut short"), "%s", err.message);
}

int main(void)
{
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        compare(&all[i]);
    test_lacks();
    test_safetensors();
    return check_result();
}
