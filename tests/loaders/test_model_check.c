// rml_model_check on damaged Core ML models: every truncation, random mutations, every allocation
// failing in turn. Whatever a file holds, there is a finding or a status, and nothing leaks.
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/mutations.h"

#include "runmodel.h"

#include <unistd.h>

static const char *const names[] = {"control", "images",   "lstm",      "new_layers",
                                    "loop",    "pipeline", "quantized", "recurrent"};
#define NAMES (sizeof names / sizeof *names)

static char place[64]; // where models are written to

static blob read_model(const char *name)
{
    char path[512];
    uint8_t bytes[4096];
    blob model = {NULL, 0, 0};
    snprintf(path, sizeof path, "tests/fuzz/corpus/coreml/%s.mlmodel", name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("%s: cannot open\n", path);
        exit(1);
    }
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, file)) > 0;)
        put(&model, bytes, got);
    fclose(file);
    return model;
}

typedef struct heard {
    size_t faults, others;
} heard;

static void hear(void *user, const rml_check_finding *finding)
{
    heard *h = user;
    CHECK(finding->text && *finding->text && finding->place);
    (*(finding->kind == RML_CHECK_FAULT ? &h->faults : &h->others))++;
}

// The status; the number of allocations goes to *allocations.
static rml_status check_bytes(const uint8_t *data, size_t size, size_t fail_at, size_t *allocations)
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
    return status;
}

static void test_model(const char *name, size_t mutations)
{
    blob model = read_model(name);
    size_t allocations;
    CHECK_MSG(check_bytes(model.data, model.size, 0, &allocations) == RML_OK, "%s", name);
    const size_t step = check_is_slow() ? 1 + model.size / 20 : 1 + model.size / 200;
    for (size_t cut = 0; cut < model.size; cut += step)
        check_bytes(model.data, cut, 0, NULL);
    for (size_t i = 1; i <= allocations; i += check_is_slow() ? 7 : 1)
        CHECK(check_bytes(model.data, model.size, i, NULL) == RML_ERR_NOMEM);
    for (size_t i = 0; i < mutations; i++) {
        blob copy = same(&model);
        mutate(&copy);
        check_bytes(copy.data, copy.size, 0, NULL);
        blob_free(&copy);
    }
    blob_free(&model);
}

int main(void)
{
    snprintf(place, sizeof place, "/tmp/run-model-check-%ld.mlmodel", (long)getpid());
    for (size_t i = 0; i < NAMES; i++)
        test_model(names[i], check_is_slow() ? 20 : 400);
    remove(place);
    return check_result();
}
