// Whole networks in bf16 for every kind of CPU that has it, reached by masks: with AMX, with
// AVX512-BF16 alone, where that is slow and where it is not, and with none. Sessions in bf16 and
// f32 share one model.
#include "engine/model.h"
#include "kernels/cpu.h"
#include "tests/support/narrow.h"
#include "tests/support/net.h"

#include <math.h>

// Of a network with random weights, against f32, of the largest element of each output.
#define BF16_ERROR 2e-2

typedef struct network {
    const char *name;
    int64_t divisor;
    rml_shape shapes[2]; // of each input
} network;

static const network networks[] = {
    {"wav2lip", 2, {{4, {1, 1, 80, 16}}, {4, {1, 6, 96, 96}}}},
    {"s3fd", 2, {{4, {1, 3, 70, 90}}, {0, {0}}}},
    {"mobilenetv2", 1, {{4, {1, 3, 64, 64}}, {0, {0}}}},
};

// Outputs of a session; how many nodes ran in bf16 to `half`. NULL where it is refused.
static float *run(rml_model *model, const network *chosen, rml_precision precision,
                  const char *mask, int threads, size_t *count, size_t *half)
{
    rml_session_settings settings = rml_session_settings_default();
    rml_session *session;
    rml_error err = {0};
    settings.precision = precision;
    settings.cpu_mask = mask;
    settings.threads = threads;
    settings.profile = true;
    *half = 0;
    if (rml_session_create(&session, model, &settings, &err) != RML_OK) {
        CHECK_MSG(strstr(err.message, "AVX512-BF16"), "%s", err.message);
        return NULL;
    }
    rml_status status = RML_OK;
    for (size_t i = 0; i < rml_model_input_count(model) && status == RML_OK; i++)
        status =
            rml_session_resize(session, rml_model_input(model, i).name, chosen->shapes[i], &err);
    if (status == RML_OK)
        status = rml_session_prepare(session, &err);
    float *all = NULL;
    if (status == RML_OK) {
        net_fill_inputs(session, model, 5);
        status = rml_session_run(session, &err);
        all = net_outputs(session, model, count);
    }
    CHECK_MSG(status == RML_OK, "%s: %s", chosen->name, err.message);
    for (size_t i = 0; i < rml_session_profile_count(session); i++)
        *half += strcmp(rml_session_profile(session, i).precision, "bf16") == 0;
    rml_session_destroy(&session);
    return all;
}

static void check_network(const network *chosen)
{
    static const char *const masks[] = {NULL, "amx-bf16", "amx-bf16,slow-avx512-bf16",
                                        "avx512-bf16"};
    enum { MASKS = sizeof masks / sizeof *masks };
    rml_weights *weights = narrow_weights(chosen->name, chosen->divisor, NULL);
    rml_model *model = NULL;
    rml_error err = {0};
    size_t count = 0, half = 0;
    CHECK_MSG(weights && rml_model_create(&model, chosen->name, weights, NULL, &err) == RML_OK,
              "%s", err.message);
    float *want = run(model, chosen, RML_PRECISION_F32, NULL, 1, &count, &half);
    CHECK(want && half == 0);
    for (int m = 0; want && m < MASKS; m++) {
        uint32_t features;
        CHECK(rml_cpu_features(RML_CPU_BEST, masks[m], &features, &err) == RML_OK);
        const bool has = (features & RML_ISA_AVX512BF16) == RML_ISA_AVX512BF16;
        const bool fast = !(features & RML_CPU_FEATURE_SLOW_AVX512_BF16) ||
                          (features & RML_ISA_AMXBF16) == RML_ISA_AMXBF16;
        size_t ours = 0, again = 0;
        float *got = run(model, chosen, RML_PRECISION_BF16, masks[m], 1, &ours, &half);
        CHECK_MSG((got != NULL) == has, "%s without %s: bf16 is %s", chosen->name,
                  masks[m] ? masks[m] : "nothing", got ? "there" : "refused");
        if (!got)
            continue;
        CHECK_MSG((half > 0) == fast, "%s without %s: %zu nodes in bf16", chosen->name,
                  masks[m] ? masks[m] : "nothing", half);
        float *shared =
            run(model, chosen, RML_PRECISION_BF16, masks[m], net_threads(), &again, &half);
        CHECK(ours == count && again == count);
        CHECK_MSG(shared && memcmp(got, shared, count * sizeof *got) == 0,
                  "%s: threads change bits", chosen->name);
        double error = 0, most = 0;
        for (size_t i = 0; i < count; i++) {
            error = fmax(error, fabs((double)got[i] - (double)want[i]));
            most = fmax(most, fabs((double)want[i]));
        }
        CHECK_MSG(error <= BF16_ERROR * most && (error > 0) == fast,
                  "%s without %s: off by %g of %g", chosen->name, masks[m] ? masks[m] : "nothing",
                  error, most);
        free(got);
        free(shared);
    }
    float *last = run(model, chosen, RML_PRECISION_F32, NULL, 1, &count, &half);
    CHECK_MSG(want && last && memcmp(want, last, count * sizeof *want) == 0,
              "%s: sessions in bf16 change those in f32", chosen->name);
    free(want);
    free(last);
    rml_model_destroy(&model);
    rml_weights_close(&weights);
}

int main(void)
{
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        check_network(&networks[i]);
    return check_result();
}
