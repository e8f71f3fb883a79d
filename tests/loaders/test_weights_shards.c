// Sharded weights on disk: the index and each shard cut at every byte, mutated indexes, and every
// allocation failing in turn.
#define _DEFAULT_SOURCE
#include "tests/support/loader_files.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "loaders/weights/weights.h"

#include <unistd.h>

static rml_error error;
static char folder[] = "/tmp/rml_test_shards_XXXXXX";
static const char *const files[] = {"pytorch_model.bin.index.json", "one.bin", "two.bin"};

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static blob make_index(void)
{
    blob b = {NULL, 0, 0};
    put_text(&b, "{\"metadata\": {\"total_size\": 1e3}, \"weight_map\": {"
                 "\"module.a.weight\": \"one.bin\", \"module.b\": \"one.bin\", "
                 "\"module.c\": \"one.bin\", \"module.d\": \"one.bin\", \"module.e\": \"one.bin\", "
                 "\"f\\u00e9\": \"two.bin\"}}");
    return b;
}

static blob make_second(void)
{
    return make_safetensors_raw(
        "{\"f\xC3\xA9\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
        "\x80\x3F\x00\x40", 4);
}

static rml_status open_folder(counting *c)
{
    const rml_allocator allocator = {counting_alloc, counting_release, c};
    rml_weights *w = NULL;
    error.message[0] = 0;
    rml_status status = rml_weights_open(&w, folder, &allocator, &error);
    CHECK((status == RML_OK) == (w != NULL));
    if (w) {
        float values[6] = {0};
        const rml_weight *weight = rml_weights_find(w, "f\xC3\xA9");
        CHECK(rml_weights_count(w) == 6 && weight);
        if (weight)
            rml_stored_read_all(&weight->stored, values);
        CHECK(values[0] == 1.0f && values[1] == 2.0f);
    } else {
        CHECK(strstr(error.message, folder) || status == RML_ERR_NOMEM);
    }
    rml_weights_close(&w);
    CHECK_MSG(c->live_bytes == 0, "%zu bytes leak", c->live_bytes);
    return status;
}

static void truncate_everywhere(const blob *whole)
{
    counting c = {0};
    for (int i = 0; i < 3; i++) {
        for (size_t size = 0; size < whole[i].size; size++) {
            CHECK(write_file(in_folder(files[i]), whole[i].data, size));
            rml_status status = open_folder(&c);
            CHECK_MSG(status == RML_ERR_FORMAT, "%s cut to %zu bytes: %s, %s", files[i], size,
                      rml_status_name(status), error.message);
        }
        CHECK(write_file(in_folder(files[i]), whole[i].data, whole[i].size));
        CHECK_MSG(open_folder(&c) == RML_OK, "%s", error.message);
    }
}

static void mutate_index(const blob *index)
{
    counting c = {0};
    uint32_t state = 1;
    blob changed = {NULL, 0, 0};
    for (int i = 0; i < 10000; i++) {
        changed.size = 0;
        put(&changed, index->data, index->size);
        for (int n = 0; n < 1 + i % 3; n++) {
            state = state * 1664525u + 1013904223u;
            changed.data[(state >> 8) % changed.size] =
                state & 1 ? index->data[(state >> 16) % index->size] : (uint8_t)(state >> 24);
        }
        CHECK(write_file(in_folder(files[0]), changed.data, changed.size));
        open_folder(&c);
    }
    blob_free(&changed);
    CHECK(write_file(in_folder(files[0]), index->data, index->size));
    CHECK_MSG(c.peak_bytes < RML_WEIGHTS_MIN_BYTES, "%zu bytes of memory", c.peak_bytes);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    // a shard may be of either format: its contents tell
    blob whole[3] = {make_index(), make_torch_zip(false), make_second()};
    for (int i = 0; i < 3; i++)
        CHECK(write_file(in_folder(files[i]), whole[i].data, whole[i].size));
    truncate_everywhere(whole);
    mutate_index(&whole[0]);
    rml_status status = RML_ERR_NOMEM;
    counting c = {0};
    for (size_t fail_at = 1; status == RML_ERR_NOMEM && fail_at < 10000; fail_at++) {
        c.calls = 0;
        c.fail_at = fail_at;
        status = open_folder(&c);
    }
    CHECK_MSG(status == RML_OK && c.fail_at > 10, "%s", error.message);
    for (int i = 0; i < 3; i++) {
        unlink(in_folder(files[i]));
        blob_free(&whole[i]);
    }
    CHECK(rmdir(folder) == 0);
    return check_result();
}
