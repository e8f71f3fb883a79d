#include "pipelines/convert/convert.h"

#include "media/files/files.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// Most that a file may differ from its source, as a part of the largest value. In floats: what two
// orders of the same sums differ by. In halves ten times what trained networks lose. Of fewer bits
// weights are off by up to 2^-bits of the largest, and a whole network by many times that: below 6
// bits it may be all of it. What differs so little in halves may be another function, and not its
// rounding. So the same network goes first into a file of floats, which shows that every layer is
// in its place.
#define BOUND_F32 5e-5
#define BOUND_HALVES 2e-2
#define BOUND_INT8 1e-1

static double bound_of(const rml_write_settings *write)
{
    switch (write->weights) {
    case RML_WRITE_F16:
        return BOUND_HALVES;
    case RML_WRITE_INT8:
        return BOUND_INT8;
    case RML_WRITE_PALETTE:
        return fmax(BOUND_INT8, ldexp(1, 5 - write->palette_bits));
    default:
        return BOUND_F32;
    }
}

bool rml_ends_in(const char *path, const char *ending)
{
    const size_t length = strlen(path), bytes = strlen(ending);
    return length > bytes && strcmp(path + length - bytes, ending) == 0;
}

// The name that the user knows, in a message that has the one below the folder of the staging,
// which is longer.
static void explain(const rml_staging *s, const char *path, rml_error *err)
{
    for (const char *at; (at = strstr(err->message, s->file)) != NULL;) {
        const rml_error old = *err;
        const int before = (int)(at - err->message);
        rml_fail(err, old.status, "%.*s%s%s", before, old.message, path,
                 old.message + before + strlen(s->file));
    }
}

// ---- what was written, read again ---------------------------------------------------------------

static rml_status prove_graph(const rml_conversion *c, const rml_layers *inputs, const char *file,
                              rml_conversion_result *out, rml_error *err)
{
    rml_model_settings settings = rml_model_settings_default();
    rml_model *again = NULL;
    rml_graph_file *told = NULL;
    settings.keep_types = true;
    RML_TRY(rml_model_open(&again, file, &settings, err));
    rml_status status = rml_graph_file_open(&told, file, NULL, err);
    if (status == RML_OK) {
        out->version = rml_ends_in(file, ".onnx") ? rml_graph_file_opset(told, 0).version
                                                  : rml_graph_file_summary(told).format_version;
        status = rml_named(rml_prove_run(c, inputs, again, out, err), err, c->path);
    }
    rml_graph_file_close(&told);
    rml_model_destroy(&again);
    return status;
}

#define PATH_BYTES 4096

// The config.json in the folder of the weights: as rml_model_create finds it, but for weights that
// lie elsewhere now. "": there is none.
static void find_config(const char *weights, char path[PATH_BYTES])
{
    const char *slash = strrchr(weights, '/');
    const size_t folder = rml_is_folder(weights) ? strlen(weights)
                          : slash                ? (size_t)(slash - weights)
                                                 : 0;
    const int length =
        snprintf(path, PATH_BYTES, "%.*s%sconfig.json", (int)folder, weights, folder ? "/" : "");
    FILE *file = length < PATH_BYTES ? fopen(path, "rb") : NULL;
    if (file)
        fclose(file);
    else
        path[0] = 0;
}

static rml_status prove_network(const rml_conversion *c, const rml_layers *inputs,
                                const rml_weights *weights, rml_conversion_result *out,
                                rml_error *err)
{
    rml_model_settings settings = rml_model_settings_default();
    rml_model *again = NULL;
    char config[PATH_BYTES] = "", line[PATH_BYTES + 64];
    if (!c->config && c->weights)
        find_config(c->weights, config);
    settings.config = *config ? config : c->config;
    if (settings.config && c->log) {
        snprintf(line, sizeof line, "it is to be read with the settings of its source: %s",
                 settings.config);
        c->log(c->log_user, line);
    }
    RML_TRY(rml_model_create(&again, c->network, weights, &settings, err));
    const rml_status status = rml_prove_run(c, inputs, again, out, err);
    rml_model_destroy(&again);
    return rml_named(status, err, c->path);
}

static rml_status prove_safetensors(const rml_conversion *c, const rml_layers *inputs,
                                    const char *file, rml_conversion_result *out, rml_error *err)
{
    rml_weights *weights = NULL;
    RML_TRY(rml_weights_open(&weights, file, NULL, err));
    out->tensors = rml_weights_count(weights);
    const rml_status status =
        c->network ? prove_network(c, inputs, weights, out, err)
                   : rml_named(rml_prove_weights(c, weights, out, err), err, c->path);
    rml_weights_close(&weights);
    return status;
}

// ---- the rules of its format --------------------------------------------------------------------

#define FAULT_BYTES 1024

typedef struct faults {
    size_t count;
    char first[FAULT_BYTES];
} faults;

// An output without a shape is one of which only a run tells how many dimensions it has: the writer
// has said so, and runtimes take it.
static void hear(void *user, const rml_check_finding *finding)
{
    faults *f = user;
    if (finding->kind != RML_CHECK_FAULT || finding->rule == RML_CHECK_OUTPUT_SHAPE)
        return;
    if (f->count++ == 0)
        snprintf(f->first, sizeof f->first, "%s%s%s", finding->place, *finding->place ? ": " : "",
                 finding->text);
}

static rml_status check(const rml_conversion *c, const char *file, rml_error *err)
{
    faults f = {0};
    size_t all;
    RML_TRY(rml_model_check(file, NULL, hear, &f, &all, err));
    if (f.count == 0)
        return RML_OK;
    return rml_fail(err, RML_ERR_FORMAT, "%s: %zu faults by the rules of its format: %s", c->path,
                    f.count, f.first);
}

// Writes the file and proves it; only with `place` it gets its name.
static rml_status attempt(const rml_conversion *c, const rml_layers *inputs, bool place,
                          rml_conversion_result *out, rml_error *err)
{
    rml_staging staging;
    *out = (rml_conversion_result){.bound = bound_of(c->write)};
    RML_TRY(rml_staging_open(&staging, c->path, inputs->allocator, err));
    rml_status status = rml_model_write(c->as_written, staging.file, c->write, err);
    if (status == RML_OK && rml_ends_in(c->path, ".safetensors"))
        status = prove_safetensors(c, inputs, staging.file, out, err);
    else if (status == RML_OK)
        status = prove_graph(c, inputs, staging.file, out, err);
    if (status == RML_OK)
        status = check(c, staging.file, err);
    out->bytes = rml_staging_bytes(&staging);
    if (status == RML_OK && place)
        status = rml_staging_place(&staging, err);
    if (status != RML_OK && err)
        explain(&staging, c->path, err);
    rml_staging_close(&staging);
    return status;
}

static rml_status attempt_in_floats(const rml_conversion *c, const rml_layers *inputs,
                                    rml_error *err)
{
    rml_conversion_result result;
    rml_conversion floats = *c;
    rml_write_settings write = *c->write;
    write.weights = RML_WRITE_F32;
    write.log = NULL;
    floats.write = &write;
    floats.log = NULL;
    return attempt(&floats, inputs, false, &result, err);
}

rml_status rml_convert(const rml_conversion *c, rml_conversion_result *out, rml_error *err)
{
    rml_layers inputs = {.allocator = rml_allocator_default()};
    const rml_write_weights weights = c->write->weights;
    *out = (rml_conversion_result){0};
    rml_status status = rml_check_inputs_make(c, &inputs, err);
    if (status == RML_OK && weights != RML_WRITE_F32)
        status = attempt_in_floats(c, &inputs, err);
    if (status == RML_OK)
        status = attempt(c, &inputs, true, out, err);
    rml_layers_release(&inputs);
    return status;
}
