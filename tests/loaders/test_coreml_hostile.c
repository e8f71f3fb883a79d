// Damaged Core ML models of all kinds: every truncation, random mutations of bytes and of fields,
// every allocation failing in turn. Those of the fuzz targets' corpus are damaged; coreml_corpus.py
// made them. RML_TEST_MUTATIONS changes the number of mutations (default 10000, of all models
// together).
#include "tests/support/check.h"
#include "tests/support/coreml_files.h"
#include "tests/support/counting_allocator.h"

#include "engine/model.h"

#include <time.h>

static const char *const names[] = {
    "classifier.mlmodel", "control.mlmodel",      "images.mlmodel",     "loop.mlmodel",
    "lstm.mlmodel",       "new_layers.mlmodel",   "old_layers.mlmodel", "pictures.mlmodel",
    "pipeline.mlmodel",   "quantized.mlmodel",    "recurrent.mlmodel",  "states.mlmodel",
    "shapes.mlmodel",     "flexible.mlmodel",     "package.zip",        "leaving.mlmodel",
    "resizing.mlmodel",   "states_inside.mlmodel"};
#define NAMES (sizeof names / sizeof *names)

static rml_error error;

// Opens bytes in a block of exactly their size, so that a sanitizer sees any read past the end.
static rml_status open_bytes(const uint8_t *data, size_t size, size_t fail_at)
{
    counting c;
    const rml_allocator allocator = counting_allocator(&c);
    rml_model_settings settings = rml_model_settings_default();
    rml_model *model = NULL;
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        exit(1);
    if (size)
        memcpy(exact, data, size);
    c.fail_at = fail_at;
    settings.allocator = &allocator;
    error = (rml_error){RML_OK, ""};
    const rml_status status = rml_model_open_memory(&model, exact, size, &settings, &error);
    CHECK((status == RML_OK) == (model != NULL));
    CHECK_MSG(status == RML_OK || (error.message[0] && error.status == status), "%s",
              rml_status_name(status));
    rml_model_destroy(&model);
    CHECK_MSG(c.live_bytes == 0, "%zu bytes leak", c.live_bytes);
    free(exact);
    return status;
}

static void test_truncation(const char *name)
{
    blob model = read_model(name);
    for (size_t size = 0; size < model.size; size++) {
        const rml_status status = open_bytes(model.data, size, 0);
        CHECK_MSG(status != RML_OK, "%s cut to %zu of %zu bytes opens", name, size, model.size);
    }
    CHECK_MSG(open_bytes(model.data, model.size, 0) == RML_OK, "%s: %s", name, error.message);
    blob_free(&model);
}

static void test_mutations(const char *name, long count)
{
    blob model = read_model(name);
    long opened = 0;
    double slowest = 0;
    for (long i = 0; i < count; i++) {
        blob changed = same(&model);
        (i % 2 ? mutate_field : mutate)(&changed);
        const clock_t start = clock();
        opened += open_bytes(changed.data, changed.size, 0) == RML_OK;
        const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        slowest = seconds > slowest ? seconds : slowest;
        blob_free(&changed);
    }
    printf("%s: %ld mutations of %zu bytes, %ld open, %.1f ms\n", name, count, model.size, opened,
           slowest * 1e3);
    CHECK_MSG(slowest < 5.0, "%.3f s", slowest);
    blob_free(&model);
}

static void test_allocations(const char *name)
{
    blob model = read_model(name);
    size_t fail_at = 0;
    rml_status status = RML_ERR_NOMEM;
    while (status == RML_ERR_NOMEM && fail_at < 100000)
        status = open_bytes(model.data, model.size, ++fail_at);
    CHECK_MSG(status == RML_OK && fail_at > 5, "%s: %s after %zu", name, error.message, fail_at);
    blob_free(&model);
}

int main(void)
{
    for (size_t i = 0; i < NAMES; i++) {
        test_truncation(names[i]);
        test_mutations(names[i], mutations_wanted() / (long)NAMES);
        test_allocations(names[i]);
    }
    return check_result();
}
