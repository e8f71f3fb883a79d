// Every published configuration of the UNet builds, from its config alone, with the parameters it
// is known to have.
#include "runmodel.h"
#include "tests/support/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct plan {
    const char *name, *channels;
    int levels, layers, heads, context, in;
    uint64_t parameters;
} plan;

static const plan plans[] = {
    {"v2", "160,320,640", 3, 1, 4, 768, 8, 80687044},
    {"v2_large", "320,320,640", 3, 2, 8, 768, 8, 140739844},
    {"v2_small", "160,160,320", 3, 1, 4, 768, 8, 25612164},
    {"v3", "128,128,256,512", 4, 2, 8, 768, 8, 79022340},
    {"v3_huge", "320,640,1280,1280", 4, 2, 8, 768, 8, 859532484},
    {"v3_large", "128,256,512,512", 4, 2, 8, 768, 8, 142240644},
    {"v3_small", "64,128,128,256", 4, 2, 8, 768, 8, 24513092},
    {"v4", "128,128,256,512", 4, 2, 8, 384, 8, 76663044},
    {"v4_huge", "320,640,1280,1280", 4, 2, 8, 384, 8, 849947844},
    {"v4_large", "128,256,512,512", 4, 2, 8, 384, 8, 138406788},
    {"v4_small", "64,128,128,256", 4, 2, 8, 384, 8, 23087684},
    {"v1", "160,320,640", 3, 1, 4, 768, 4, 80681284},
    {"v1_large", "320,320,640", 3, 2, 8, 768, 4, 140728324},
    {"sd-v1-5", "320,640,1280,1280", 4, 2, 8, 768, 4, 859520964},
};

// A list of `levels` blocks, the one without attention first or last.
static void list_blocks(char *text, size_t capacity, int levels, const char *plain,
                        const char *attention, bool plain_first)
{
    text[0] = 0;
    for (int i = 0; i < levels; i++) {
        const size_t used = strlen(text);
        const bool is_plain = i == (plain_first ? 0 : levels - 1);
        snprintf(text + used, capacity - used, "%s\"%s\"", i ? "," : "",
                 is_plain ? plain : attention);
    }
}

static void test_plan(const plan *at)
{
    char config[1024], down[200], up[200];
    list_blocks(down, sizeof down, at->levels, "DownBlock2D", "CrossAttnDownBlock2D", false);
    list_blocks(up, sizeof up, at->levels, "UpBlock2D", "CrossAttnUpBlock2D", true);
    snprintf(config, sizeof config,
             "{\"in_channels\":%d,\"block_out_channels\":[%s],\"layers_per_block\":%d,"
             "\"attention_head_dim\":%d,\"cross_attention_dim\":%d,\"down_block_types\":[%s],"
             "\"up_block_types\":[%s]}",
             at->in, at->channels, at->layers, at->heads, at->context, down, up);
    rml_model_settings settings = rml_model_settings_default();
    settings.config = config;
    rml_error err = {0};
    rml_model *model;
    const rml_status status = rml_model_create(&model, "unet", NULL, &settings, &err);
    CHECK_MSG(status == RML_OK, "%s: %s", at->name, err.message);
    if (status != RML_OK)
        return;
    CHECK_MSG(rml_model_parameters(model) == at->parameters, "%s has %" PRIu64 " parameters",
              at->name, rml_model_parameters(model));
    CHECK(rml_model_input(model, 0).shape.dim[1] == at->in);
    CHECK(rml_model_input(model, 2).shape.dim[2] == at->context);
    rml_model_destroy(&model);
}

// Without config and weights it is the smallest with Wav2Vec2's width that the reference trained.
static void test_published(void)
{
    rml_error err = {0};
    rml_model *model;
    CHECK_MSG(rml_model_create(&model, "unet", NULL, NULL, &err) == RML_OK, "%s", err.message);
    CHECK(rml_model_parameters(model) == plans[0].parameters);
    rml_model_destroy(&model);
}

int main(void)
{
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        test_plan(&plans[i]);
    test_published();
    return check_result();
}
