// Every allocation fails in turn on the way from weights, or from a graph file, to an output: the
// status says so, nothing is given out, nothing leaks, and the next try with what there is goes
// well. For every network at few channels, and for every small graph file of the fuzz corpus, loops
// of several turns among them.
#define _DEFAULT_SOURCE // opendir
#include "tests/support/any_model.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/narrow.h"

#include "engine/model.h"

#include <dirent.h>

#define FOLDER "tests/fuzz/corpus/import"
#define MOST_FILE ((size_t)1 << 16)
#define MOST_CALLS 100000

typedef struct subject {
    const char *name;   // of the network or file
    const char *config; // of a network whose weights do not tell everything
    int divisor;        // of the widths, for others
    rml_shape shapes[3];
    const rml_weights *weights; // NULL: a file
    const void *data;
    size_t size;
} subject;

#define UNET                                                                                       \
    "{\"in_channels\":8,\"block_out_channels\":[4,8],\"layers_per_block\":1,"                      \
    "\"down_block_types\":[\"CrossAttnDownBlock2D\",\"DownBlock2D\"],"                             \
    "\"up_block_types\":[\"UpBlock2D\",\"CrossAttnUpBlock2D\"],\"norm_num_groups\":2,"             \
    "\"cross_attention_dim\":4,\"attention_head_dim\":2}"
#define VAE "{\"block_out_channels\":[4,8],\"layers_per_block\":1,\"norm_num_groups\":2}"
#define WAV2VEC2                                                                                   \
    "{\"conv_dim\":[4,4,4,4,4,4,4],\"hidden_size\":8,\"num_attention_heads\":2,"                   \
    "\"num_hidden_layers\":1,\"intermediate_size\":8,\"num_conv_pos_embeddings\":4,"               \
    "\"num_conv_pos_embedding_groups\":2}"

#define WHISPER                                                                                    \
    "{\"d_model\":8,\"encoder_attention_heads\":2,\"encoder_layers\":1,\"encoder_ffn_dim\":8,"     \
    "\"num_mel_bins\":4,\"max_source_positions\":6}"

static const subject networks[] = {
    {"wav2lip", NULL, 16, {{4, {1, 1, 80, 16}}, {4, {1, 6, 96, 96}}}, 0, 0, 0},
    {"s3fd", NULL, 64, {{4, {1, 3, 32, 32}}}, 0, 0, 0},
    {"ffdnet", NULL, 32, {{4, {1, 3, 7, 8}}, {1, {1}}}, 0, 0, 0},
    {"ffdnet-map", NULL, 32, {{4, {1, 3, 7, 8}}, {4, {1, 1, 4, 4}}}, 0, 0, 0},
    {"mobilenetv2", NULL, 16, {{4, {1, 3, 32, 32}}}, 0, 0, 0},
    {"lstm", NULL, 1, {{3, {1, 3, 1}}}, 0, 0, 0},
    {"lstm-stream", NULL, 1, {{3, {1, 1, 50}}, {3, {1, 1, 50}}, {3, {1, 3, 1}}}, 0, 0, 0},
    {"unet", UNET, 0, {{4, {1, 8, 4, 4}}, {1, {1}}, {3, {1, 2, 4}}}, 0, 0, 0},
    {"unet-step0", UNET, 0, {{4, {1, 8, 4, 4}}, {3, {1, 2, 4}}}, 0, 0, 0},
    {"vae-encoder", VAE, 0, {{4, {1, 3, 8, 8}}}, 0, 0, 0},
    {"vae-decoder", VAE, 0, {{4, {1, 4, 4, 4}}}, 0, 0, 0},
    {"wav2vec2", WAV2VEC2, 0, {{2, {1, 800}}}, 0, 0, 0},
    {"wav2vec2-norm", WAV2VEC2, 0, {{2, {1, 800}}}, 0, 0, 0},
    {"wav2vec2-features", WAV2VEC2, 0, {{2, {1, 800}}, {3, {1, 2, 4}}}, 0, 0, 0},
    {"wav2vec2-encoder", WAV2VEC2, 0, {{3, {1, 2, 4}}}, 0, 0, 0},
    {"whisper-encoder", WHISPER, 0, {{3, {1, 4, 12}}}, 0, 0, 0},
};

typedef struct objects {
    rml_model *model;
    rml_session *session;
} objects;

static rml_status prepare(objects *at, const subject *of, rml_error *err)
{
    for (size_t i = 0; i < rml_model_input_count(at->model); i++) {
        const rml_port port = rml_model_input(at->model, i);
        const rml_shape shape = of->weights ? of->shapes[i] : any_model_shape(port.shape);
        RML_TRY(rml_session_resize(at->session, port.name, shape, err));
    }
    RML_TRY(rml_session_prepare(at->session, err));
    any_model_fill(at->session, at->model, 3);
    return rml_session_run(at->session, err);
}

// `*stage` counts what was made.
static rml_status make(objects *at, const subject *of, const rml_allocator *allocator, int *stage,
                       rml_error *err)
{
    rml_model_settings settings = rml_model_settings_default();
    rml_session_settings run = rml_session_settings_default();
    settings.allocator = allocator;
    settings.config = of->config;
    run.threads = 1;
    *at = (objects){0};
    *stage = 0;
    if (of->weights)
        RML_TRY(rml_model_create(&at->model, of->name, of->weights, &settings, err));
    else
        RML_TRY(rml_model_open_memory(&at->model, of->data, of->size, &settings, err));
    ++*stage;
    RML_TRY(rml_session_create(&at->session, at->model, &run, err));
    ++*stage;
    return prepare(at, of, err);
}

static void drop(objects *at)
{
    rml_session_destroy(&at->session);
    rml_model_destroy(&at->model);
}

// Fails each allocation; a subject that is refused anyway is refused for one reason or the other.
static void check_every(const subject *of)
{
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    objects at;
    int stage;
    rml_error err = {0};
    const rml_status usual = make(&at, of, &allocator, &stage, &err);
    drop(&at);
    if (of->weights)
        CHECK_MSG(usual == RML_OK, "%s: %s", of->name, err.message);
    for (size_t call = 1; call < MOST_CALLS; call++) {
        count.calls = 0;
        count.fail_at = call;
        err = (rml_error){0};
        const rml_status status = make(&at, of, &allocator, &stage, &err);
        const bool failed = count.calls >= call;
        count.fail_at = 0;
        CHECK_MSG(!failed || status == RML_ERR_NOMEM || (usual != RML_OK && status == usual),
                  "%s: allocation %zu: %s: %s", of->name, call, rml_status_name(status),
                  err.message);
        CHECK_MSG((stage > 0) == (at.model != NULL) && (stage > 1) == (at.session != NULL),
                  "%s: allocation %zu, stage %d", of->name, call, stage);
        if (stage == 2 && status == RML_ERR_NOMEM && usual == RML_OK)
            CHECK_MSG(prepare(&at, of, &err) == RML_OK, "%s: again after allocation %zu: %s",
                      of->name, call, err.message);
        drop(&at);
        CHECK_MSG(count.live_bytes == 0, "%s: allocation %zu: %zu bytes leak", of->name, call,
                  count.live_bytes);
        if (!failed || count.live_bytes)
            break;
    }
}

static void check_network(subject of)
{
    const bool part = strncmp(of.name, "wav2vec2-", 9) == 0; // of a network, with its weights
    const char *whole = part ? "wav2vec2" : of.name;
    rml_weights *weights =
        of.config ? random_weights(whole, of.config, 1) : narrow_weights(of.name, of.divisor, NULL);
    of.weights = weights;
    if (weights)
        check_every(&of);
    rml_weights_close(&weights);
}

static bool check_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", FOLDER, name);
    FILE *file = fopen(path, "rb");
    char *data = malloc(MOST_FILE);
    if (!file || !data) {
        CHECK_MSG(false, "%s: cannot read", path);
        return false;
    }
    const subject of = {.name = name, .data = data, .size = fread(data, 1, MOST_FILE, file)};
    fclose(file);
    check_every(&of);
    free(data);
    return true;
}

int main(void)
{
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        check_network(networks[i]);
    DIR *folder = opendir(FOLDER);
    int files = 0;
    CHECK_MSG(folder != NULL, "%s is not there", FOLDER);
    for (const struct dirent *entry; folder && (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.' && strncmp(entry->d_name, "endless", 7) != 0)
            files += check_file(entry->d_name);
    if (folder)
        closedir(folder);
    CHECK(files > 100);
    return check_result();
}
