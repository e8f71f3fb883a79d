// Binding a network to weights: what is missing, misshapen or unexpected is listed all at once;
// widths are read from the weights; trained numbers are counted.
#include "engine/model.h"
#include "models/params.h"
#include "tests/support/narrow.h"

// A copy of the store without tensor `skip`, with `last` more columns in tensor `bent`, and with
// `extra` tensors of their own.
static rml_weights *altered(const rml_weights *from, const char *skip, const char *bent,
                            const char *const *extra)
{
    rml_weights *out;
    float *data;
    CHECK(rml_weights_create(&out, rml_allocator_default(), NULL) == RML_OK);
    for (size_t i = 0; i < rml_weights_count(from); i++) {
        rml_weight_info info = rml_weights_at(from, i);
        size_t count = 1;
        if (skip && strstr(info.name, skip))
            continue;
        if (bent && strcmp(info.name, bent) == 0)
            info.shape.dim[info.shape.rank - 1]++;
        for (int k = 0; k < info.shape.rank; k++)
            count *= (size_t)info.shape.dim[k];
        CHECK(rml_weights_add_f32(out, info.name, &info.shape, &data, NULL) == RML_OK);
        memset(data, 0, count * sizeof *data);
    }
    for (; extra && *extra; extra++) {
        CHECK(rml_weights_add_f32(out, *extra, &(rml_shape){1, {1}}, &data, NULL) == RML_OK);
        *data = 0;
    }
    return out;
}

static void expect(rml_weights *weights, rml_status status, const char *const *words)
{
    rml_model *model;
    rml_error err = {0};
    CHECK_MSG(rml_model_create(&model, "s3fd", weights, NULL, &err) == status, "%s", err.message);
    CHECK((model != NULL) == (status == RML_OK));
    for (; *words; words++)
        CHECK_MSG(strstr(err.message, *words), "\"%s\" is not in: %s", *words, err.message);
    rml_model_destroy(&model);
    rml_weights_close(&weights);
}

#define EXPECT(weights, status, ...)                                                               \
    expect(weights, status, (const char *const[]){__VA_ARGS__, NULL})

// A network of one parameter, bound to a store with tensors of the given names.
static void expect_bound(const char *const *stored, bool ignore, const char *config,
                         const char *words)
{
    static const char *const prefixes[] = {"vae.", "unet.", NULL};
    rml_weights *weights;
    rml_graph graph;
    rml_params *params;
    rml_error err = {0};
    float *data;
    rml_graph_init(&graph, rml_allocator_default());
    CHECK(rml_weights_create(&weights, rml_allocator_default(), NULL) == RML_OK);
    for (; *stored; stored++) {
        CHECK(rml_weights_add_f32(weights, *stored, &(rml_shape){1, {2}}, &data, NULL) == RML_OK);
        data[0] = data[1] = 1.0f;
    }
    const rml_params_source source = {.weights = weights, .config = config};
    CHECK(rml_params_create(&params, &graph, &source, &err) == RML_OK);
    rml_params_scope(params, "conv_in.bias", prefixes);
    if (ignore)
        rml_params_ignore(params, "decoder.");
    const rml_value_id got =
        rml_params_get(params, "conv_in.bias", &(rml_shape){1, {2}}, 0, RML_INIT_ZERO);
    CHECK(got != RML_NO_VALUE && strcmp(graph.values[got].name, "conv_in.bias") == 0);
    const rml_status status = rml_params_finish(params, "a network", &err);
    CHECK_MSG((status == RML_OK) == !words, "%s", err.message);
    CHECK_MSG(!words || strstr(err.message, words), "\"%s\" is not in: %s", words, err.message);
    rml_params_destroy(&params);
    rml_graph_release(&graph);
    rml_weights_close(&weights);
}

#define EXPECT_BOUND(ignore, config, words, ...)                                                   \
    expect_bound((const char *const[]){__VA_ARGS__, NULL}, ignore, config, words)

// Weights that lie among others: what stands behind the prefix is bound strictly, the rest is not
// looked at.
static void test_scope(void)
{
    EXPECT_BOUND(false, NULL, NULL, "conv_in.bias");
    EXPECT_BOUND(false, NULL, NULL, "unet.conv_in.bias", "syncnet.a", "b");
    EXPECT_BOUND(false, NULL, NULL, "unet.conv_in.bias", "vae.conv_in.weight");
    EXPECT_BOUND(false, NULL, "1 unexpected: unet.extra", "unet.conv_in.bias", "unet.extra", "b");
    EXPECT_BOUND(false, NULL, "1 unexpected: unet.conv_in.bias", "conv_in.bias",
                 "unet.conv_in.bias");
    EXPECT_BOUND(false, NULL, "none of its 1 parameters is there", "audio.conv_in.bias", "b");
    EXPECT_BOUND(true, NULL, NULL, "conv_in.bias", "decoder.a");
    EXPECT_BOUND(true, NULL, NULL, "unet.conv_in.bias", "unet.decoder.a", "decoder.a");
    EXPECT_BOUND(true, NULL, "1 unexpected: adecoder.a", "conv_in.bias", "adecoder.a");
    EXPECT_BOUND(false, "{}", "a network takes no config", "conv_in.bias");
}

int main(void)
{
    test_scope();
    rml_weights *good = narrow_weights("s3fd", 16, NULL);
    rml_weights *other = narrow_weights("wav2lip", 64, NULL);
    rml_model *model;
    rml_error err = {0};
    uint64_t elements = 0;
    if (!good || !other)
        return check_result();

    CHECK_MSG(rml_model_create(&model, "s3fd", good, NULL, &err) == RML_OK, "%s", err.message);
    for (size_t i = 0; i < rml_weights_count(good); i++) {
        const rml_weight_info info = rml_weights_at(good, i);
        uint64_t count = 1;
        for (int k = 0; k < info.shape.rank; k++)
            count *= (uint64_t)info.shape.dim[k];
        elements += count;
    }
    CHECK(model && rml_model_parameters(model) == elements); // s3fd has no statistics
    rml_model_destroy(&model);

    EXPECT(altered(good, NULL, NULL, (const char *const[]){"bn.num_batches_tracked", NULL}), RML_OK,
           "");
    EXPECT(altered(good, "conv4_2.bias", NULL, NULL), RML_ERR_SHAPE, "s3fd", "1 missing",
           "conv4_2.bias");
    EXPECT(altered(good, NULL, "conv3_1.weight", NULL), RML_ERR_SHAPE, "1 wrong shape",
           "conv3_1.weight is (16,8,3,4)", "expected (?,8,3,3)");
    EXPECT(altered(good, NULL, NULL, (const char *const[]){"ema.decay", "step", NULL}),
           RML_ERR_SHAPE, "2 unexpected", "ema.decay, step");
    // all kinds at once, and a list that is too long is counted
    EXPECT(altered(good, ".bias", "fc7.weight", (const char *const[]){"nonsense", NULL}),
           RML_ERR_SHAPE, "31 missing", "and 19 more", "1 wrong shape", "fc7.weight",
           "1 unexpected: nonsense");
    EXPECT(other, RML_ERR_FORMAT, "not weights of s3fd");
    other = NULL;

    CHECK(rml_model_create(&model, "s3df", good, NULL, &err) == RML_ERR_ARG && !model);
    CHECK(strstr(err.message, "s3df") && strstr(err.message, "wav2lip"));
    const rml_model_settings settings = {.size = sizeof settings, .disabled_passes = "everything"};
    CHECK(rml_model_create(&model, "s3fd", good, &settings, &err) == RML_ERR_ARG && !model);
    CHECK(strstr(err.message, "everything"));

    // published size: what the model list promises, and the same numbers from the same seed
    rml_weights *random[2];
    for (int i = 0; i < 2; i++)
        CHECK(rml_weights_create_random(&random[i], "s3fd", 7, NULL, &err) == RML_OK);
    CHECK(rml_model_create(&model, "s3fd", random[0], NULL, &err) == RML_OK);
    CHECK_MSG(rml_model_parameters(model) == 22459110, "%llu parameters",
              (unsigned long long)rml_model_parameters(model));
    rml_model_destroy(&model);
    float a[64], b[64];
    CHECK(rml_weights_at(random[0], 1).shape.dim[0] == 64);
    for (size_t i = 0; i < rml_weights_count(random[0]); i++) {
        const rml_weight_info info = rml_weights_at(random[0], i);
        CHECK(strcmp(info.name, rml_weights_at(random[1], i).name) == 0);
        if (info.shape.rank == 1 && info.shape.dim[0] <= 64) {
            const size_t count = (size_t)info.shape.dim[0];
            CHECK(rml_weights_read_f32(random[0], i, a, count, NULL) == RML_OK);
            CHECK(rml_weights_read_f32(random[1], i, b, count, NULL) == RML_OK);
            CHECK(memcmp(a, b, count * sizeof *a) == 0);
        }
    }
    rml_weights_close(&random[0]);
    rml_weights_close(&random[1]);
    rml_weights_close(&good);
    return check_result();
}
