// Settings of programs built against an older or a newer header.
#include "tests/support/net.h"

// A newer header's: what is known here, and more behind it.
typedef struct newer {
    rml_session_settings known;
    uint64_t more[3];
} newer;

static rml_status create(rml_model *model, const void *settings, rml_error *err)
{
    rml_session *session;
    const rml_status status = rml_session_create(&session, model, settings, err);
    CHECK((status == RML_OK) == (session != NULL));
    rml_session_destroy(&session);
    return status;
}

static void test_session(rml_model *model)
{
    rml_error err = {0};
    newer given = {.known = rml_session_settings_default()};
    CHECK(given.known.size == sizeof given.known);
    CHECK(create(model, NULL, &err) == RML_OK && create(model, &given, &err) == RML_OK);
    // older: what lies behind its end is not looked at
    given.known.threads = -1;
    given.known.cpu = (rml_cpu_level)99;
    given.known.size = offsetof(rml_session_settings, threads);
    CHECK(create(model, &given, &err) == RML_OK);
    given.known.size = offsetof(rml_session_settings, cpu);
    CHECK(create(model, &given, &err) == RML_ERR_ARG);
    given.known.threads = 1;
    CHECK(create(model, &given, &err) == RML_OK);
    // newer: accepted while it asks for nothing new
    given.known = rml_session_settings_default();
    given.known.size = sizeof given;
    CHECK(create(model, &given, &err) == RML_OK);
    given.more[2] = (uint64_t)1 << 63;
    CHECK(create(model, &given, &err) == RML_ERR_UNSUPPORTED);
    CHECK_MSG(strstr(err.message, "rml_session_settings of") && strstr(err.message, rml_version()),
              "%s", err.message);
    given.known.size = sizeof given - sizeof given.more[2];
    CHECK(create(model, &given, &err) == RML_OK);
    // none: nobody began with the defaults
    static const size_t wrong[] = {0, 1, sizeof(size_t), 5000, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        given.known.size = wrong[i];
        CHECK(create(model, &given, &err) == RML_ERR_ARG);
        CHECK_MSG(strstr(err.message, "rml_session_settings_default()"), "%s", err.message);
    }
}

static void test_model(void)
{
    rml_error err = {0};
    rml_model *model;
    rml_weights *weights;
    rml_model_settings given = rml_model_settings_default();
    CHECK(given.size == sizeof given);
    given.size = 0;
    CHECK(rml_model_create(&model, "lstm", NULL, &given, &err) == RML_ERR_ARG && !model);
    CHECK(rml_model_open(&model, "no.onnx", &given, &err) == RML_ERR_ARG && !model);
    CHECK(rml_weights_create_random(&weights, "lstm", 1, &given, &err) == RML_ERR_ARG && !weights);
    CHECK(strstr(err.message, "rml_model_settings_default()"));
    given.size = offsetof(rml_model_settings, disabled_passes);
    given.disabled_passes = "of a newer header";
    CHECK(rml_model_create(&model, "lstm", NULL, &given, &err) == RML_OK);
    rml_model_destroy(&model);
}

// Every kind is there, what is available is built, and names tell levels and precisions.
static void test_features(void)
{
    rml_feature feature;
    unsigned kinds = 0;
    size_t count = 0;
    for (; (feature = rml_feature_at(count)).name; count++) {
        rml_cpu_level level;
        rml_precision precision;
        kinds |= 1u << feature.kind;
        CHECK_MSG(feature.built || !feature.available, "%s", feature.name);
        if (feature.kind == RML_FEATURE_LEVEL)
            CHECK(rml_cpu_level_parse(feature.name, &level) &&
                  rml_cpu_level_available(level) == feature.available);
        if (feature.kind == RML_FEATURE_PRECISION)
            CHECK(rml_precision_parse(feature.name, &precision) &&
                  rml_precision_available(precision, RML_CPU_BEST) == feature.available);
    }
    CHECK(kinds == 15 && count < 100 && !rml_feature_at(SIZE_MAX).name);
}

int main(void)
{
    test_features();
    net at;
    net_begin(&at, NULL);
    const rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){1, {2}});
    rml_graph_output(at.graph, "y",
                     rml_graph_unary(at.graph, x, (rml_activation){.kind = RML_UNARY_NEG}, "y"));
    CHECK(net_finish(&at, NULL));
    test_session(at.model);
    test_model();
    net_end(&at);
    return check_result();
}
