// Every allocation on the way from a weights file to a prepared session fails in turn: the status
// says so, nothing is given out, nothing leaks, and what was made before stays usable.
#include "tests/support/counting_allocator.h"
#include "tests/support/narrow.h"

#include "loaders/weights/weights.h"

// A safetensors file of the store, in memory.
static unsigned char *make_file(const rml_weights *weights, size_t *size)
{
    const size_t count = rml_weights_count(weights), header_room = 200 * (count + 1);
    size_t at = 0, bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const rml_weight_info info = rml_weights_at(weights, i);
        size_t elements = 1;
        for (int k = 0; k < info.shape.rank; k++)
            elements *= (size_t)info.shape.dim[k];
        bytes += elements * sizeof(float);
    }
    unsigned char *file = calloc(1, 8 + header_room + bytes);
    char *header = (char *)file + 8;
    float *data = (float *)(void *)(file + 8 + header_room);
    at += (size_t)sprintf(header, "{");
    for (size_t i = 0, start = 0; i < count; i++) {
        const rml_weight_info info = rml_weights_at(weights, i);
        size_t elements = 1;
        at += (size_t)sprintf(header + at, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", i ? "," : "",
                              info.name);
        for (int k = 0; k < info.shape.rank; k++) {
            elements *= (size_t)info.shape.dim[k];
            at += (size_t)sprintf(header + at, "%s%d", k ? "," : "", (int)info.shape.dim[k]);
        }
        at += (size_t)sprintf(header + at, "],\"data_offsets\":[%zu,%zu]}", start * 4,
                              (start + elements) * 4);
        CHECK(rml_weights_read_f32(weights, i, data + start, elements, NULL) == RML_OK);
        start += elements;
    }
    at += (size_t)sprintf(header + at, "}");
    CHECK(at < header_room);
    memset(header + at, ' ', header_room - at);
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)((uint64_t)header_room >> (8 * i));
    *size = 8 + header_room + bytes;
    return file;
}

typedef struct objects {
    rml_weights *weights;
    rml_model *model;
    rml_session *session;
} objects;

// Makes everything; `*stage` counts the steps that went well.
static rml_status make(objects *out, const unsigned char *file, size_t size, rml_shape shape,
                       const rml_allocator *allocator, int threads, int *stage, rml_error *err)
{
    const rml_model_settings model_settings = {.size = sizeof model_settings,
                                               .allocator = allocator};
    const rml_session_settings settings = {
        .size = sizeof settings, .threads = threads, .profile = true};
    *out = (objects){0};
    *stage = 0;
    RML_TRY(rml_weights_open_memory(&out->weights, file, size, allocator, err));
    ++*stage;
    RML_TRY(rml_model_create(&out->model, "s3fd", out->weights, &model_settings, err));
    ++*stage;
    RML_TRY(rml_session_create(&out->session, out->model, &settings, err));
    ++*stage;
    RML_TRY(rml_session_resize(out->session, "image", shape, err));
    RML_TRY(rml_session_prepare(out->session, err));
    ++*stage;
    return rml_session_run(out->session, err);
}

static void drop(objects *at)
{
    rml_session_destroy(&at->session);
    rml_model_destroy(&at->model);
    rml_weights_close(&at->weights);
}

static void check_failure(const objects *at, int stage, size_t call, rml_status status,
                          const rml_error *err)
{
    CHECK_MSG(status == RML_ERR_NOMEM && err->status == RML_ERR_NOMEM, "allocation %zu: %s: %s",
              call, rml_status_name(status), err->message);
    CHECK_MSG(strstr(err->message, "out of memory"), "allocation %zu: %s", call, err->message);
    CHECK_MSG((stage > 0) == (at->weights != NULL) && (stage > 1) == (at->model != NULL) &&
                  (stage > 2) == (at->session != NULL),
              "allocation %zu, stage %d", call, stage);
    if (stage == 3) // not prepared, and says so
        CHECK(rml_session_run(at->session, NULL) == RML_ERR_ARG &&
              !rml_session_input(at->session, "image", NULL));
}

static void check_every(const unsigned char *file, size_t size, int threads)
{
    const rml_shape shape = {4, {1, 3, 32, 32}};
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    int reached[5] = {0};
    for (size_t call = 1; call < 100000; call++) {
        objects at;
        int stage;
        rml_error err = {0};
        count.calls = 0;
        count.fail_at = call;
        rml_status status = make(&at, file, size, shape, &allocator, threads, &stage, &err);
        count.fail_at = 0;
        reached[stage]++;
        if (status != RML_OK)
            check_failure(&at, stage, call, status, &err);
        // the next try with the same objects goes well
        if (stage == 3 && call % 4 == 0) {
            CHECK(rml_session_prepare(at.session, &err) == RML_OK);
            CHECK(rml_session_run(at.session, &err) == RML_OK);
        }
        drop(&at);
        CHECK_MSG(count.live_bytes == 0, "allocation %zu: %zu bytes leak", call, count.live_bytes);
        if (status == RML_OK || count.live_bytes)
            break;
    }
    for (int i = 0; i < 4; i++)
        CHECK_MSG(reached[i] > 0, "no allocation failed in step %d", i);
    CHECK(reached[4] == 1);
}

int main(void)
{
    rml_weights *weights = narrow_weights("s3fd", 64, NULL);
    size_t size = 0;
    unsigned char *file = weights ? make_file(weights, &size) : NULL;
    rml_weights_close(&weights);
    for (int threads = 1; file && threads <= (rml_threads_default() > 1 ? 2 : 1); threads++)
        check_every(file, size, threads);
    free(file);
    return check_result();
}
