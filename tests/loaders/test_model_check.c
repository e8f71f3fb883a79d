// rml_model_check on damaged Core ML models and ONNX files: every truncation, random mutations of
// bytes and of fields, every allocation failing in turn. Whatever a file holds, there is a finding
// or a status, nothing leaks, and what has no fault opens, but for what cannot be run here.
#include "tests/support/check.h"
#include "tests/support/coreml_files.h"
#include "tests/support/counting_allocator.h"

#include "runmodel.h"

#include <unistd.h>

static const char *const names[] = {
    "control.mlmodel",        "images.mlmodel",     "lstm.mlmodel",     "new_layers.mlmodel",
    "loop.mlmodel",           "old_layers.mlmodel", "pipeline.mlmodel", "quantized.mlmodel",
    "recurrent.mlmodel",      "states.mlmodel",     "package.zip",      "../import/if.onnx",
    "../import/loop_if.onnx", "../import/scan.onnx"};
#define NAMES (sizeof names / sizeof *names)

static char place[64]; // where models are written to

typedef struct heard {
    size_t faults, others;
} heard;

static void hear(void *user, const rml_check_finding *finding)
{
    heard *h = user;
    CHECK(finding->text && *finding->text && finding->place);
    (*(finding->kind == RML_CHECK_FAULT ? &h->faults : &h->others))++;
}

// The status; the number of allocations goes to *allocations, that of faults to *found.
static rml_status check_bytes(const uint8_t *data, size_t size, size_t fail_at, size_t *allocations,
                              size_t *found)
{
    counting c;
    const rml_allocator allocator = counting_allocator(&c);
    rml_error err = {RML_OK, ""};
    heard h = {0, 0};
    size_t faults = 0;
    remove(place); // writing over a file waits for the disk
    FILE *file = fopen(place, "wb");
    if (!file || fwrite(data, 1, size, file) != size)
        exit(1);
    fclose(file);
    c.fail_at = fail_at;
    const rml_status status = rml_model_check(place, &allocator, hear, &h, &faults, &err);
    CHECK(faults == h.faults);
    CHECK(status != RML_OK || h.faults + h.others > 0);
    CHECK(status == RML_OK || err.message[0]);
    CHECK_MSG(c.live_bytes == 0, "%zu bytes leak", c.live_bytes);
    if (allocations)
        *allocations = c.calls;
    if (found)
        *found = faults;
    return status;
}

// Of the file checked last.
static void test_opens(void)
{
    rml_model *model = NULL;
    rml_error err = {RML_OK, ""};
    const rml_status status = rml_model_open(&model, place, NULL, &err);
    CHECK_MSG(status == RML_OK || status == RML_ERR_UNSUPPORTED, "no fault, but %s", err.message);
    rml_model_destroy(&model);
}

static void test_model(const char *name, size_t mutations)
{
    blob model = read_model(name);
    size_t allocations;
    snprintf(place, sizeof place, "/tmp/run-model-check-%ld.%s", (long)getpid(),
             strstr(name, ".onnx") ? "onnx" : "mlmodel");
    CHECK_MSG(check_bytes(model.data, model.size, 0, &allocations, NULL) == RML_OK, "%s", name);
    const size_t step = check_is_slow() ? 1 + model.size / 20 : 1 + model.size / 200;
    for (size_t cut = 0; cut < model.size; cut += step)
        check_bytes(model.data, cut, 0, NULL, NULL);
    for (size_t i = 1; i <= allocations; i += check_is_slow() ? 7 : 1)
        CHECK(check_bytes(model.data, model.size, i, NULL, NULL) == RML_ERR_NOMEM);
    for (size_t i = 0; i < mutations; i++) {
        blob copy = same(&model);
        (i % 2 ? mutate_field : mutate)(&copy);
        size_t faults;
        check_bytes(copy.data, copy.size, 0, NULL, &faults);
        if (faults == 0)
            test_opens();
        blob_free(&copy);
    }
    blob_free(&model);
    remove(place);
}

int main(void)
{
    for (size_t i = 0; i < NAMES; i++)
        test_model(names[i], check_is_slow() ? 20 : 400);
    return check_result();
}
