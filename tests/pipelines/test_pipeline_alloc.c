// Every allocation of the pipeline's parts fails once: RML_ERR_NOMEM, and nothing leaks.
#define _POSIX_C_SOURCE 200809L
#include "pipelines/faces/faces_file.h"
#include "pipelines/faces/light_detector.h"
#include "pipelines/ring.h"
#include "pipelines/faces/s3fd.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"

#include <unistd.h>

static char path[] = "/tmp/test_alloc_XXXXXX";
static rml_error err;

static rml_status use_track(const rml_allocator *allocator)
{
    rml_track_settings settings = {.width = 100, .height = 100, .smooth = true, .doubled = true};
    rml_track *track;
    rml_status status = rml_track_create(&track, &settings, allocator, &err);
    for (int i = 0; i < 40 && status == RML_OK; i++) {
        rml_face face = {
            .box = {i, 0, i + 20, 30}, .score = 1, .source = RML_FACE_DETECTED, .has_marks = true};
        status = rml_track_push(track, &face, false, &err);
    }
    CHECK(status == RML_OK || !track || rml_track_ready(track) <= rml_track_count(track));
    if (status == RML_OK)
        status = rml_track_finish(track, &err);
    rml_track_destroy(&track);
    return status;
}

static rml_status use_decode(const rml_allocator *allocator)
{
    static float cls[2 * 400], reg[4 * 400];
    rml_s3fd_level levels[RML_S3FD_LEVELS];
    for (int i = 0; i < RML_S3FD_LEVELS; i++)
        levels[i] = (rml_s3fd_level){cls, reg, 20, 20};
    for (int i = 0; i < 400; i++)
        cls[400 + i] = 3;
    rml_s3fd_face faces[10];
    int count;
    return rml_s3fd_decode(levels, faces, 10, &count, allocator, &err);
}

static rml_status use_light_decode(const rml_allocator *allocator)
{
    static float one[400], box[1600], marks[4000];
    rml_yunet_level levels[RML_YUNET_LEVELS];
    for (int i = 0; i < RML_YUNET_LEVELS; i++)
        levels[i] = (rml_yunet_level){one, one, box, marks, 20, 20};
    for (int i = 0; i < 400; i++)
        one[i] = 1;
    rml_light_face faces[10];
    int count;
    return rml_yunet_decode(levels, 0.5f, faces, 10, &count, allocator, &err);
}

static rml_status use_ring(const rml_allocator *allocator)
{
    rml_ring *ring;
    rml_status status = rml_ring_create(&ring, 4, allocator, &err);
    CHECK((status == RML_OK) == (ring != NULL));
    rml_ring_destroy(&ring);
    return status;
}

static rml_status use_faces_file(const rml_allocator *allocator)
{
    rml_faces_key key = {.id = "0123456789abcdef", .width = 100, .height = 100};
    rml_face_list list = {0}, again = {0};
    rml_status status = RML_OK;
    for (int i = 0; i < 40 && status == RML_OK; i++) {
        rml_numbered_face faces[2] = {{.number = 1}, {.number = 2}};
        for (int k = 0; k < 2; k++)
            faces[k].face = (rml_face){.box = {i, k, i + 20, 30},
                                       .score = 1,
                                       .source = RML_FACE_DETECTED,
                                       .has_marks = true};
        status = rml_face_list_add(&list, i, 0, faces, 2, allocator, &err);
    }
    key.resize_factor = 1;
    if (status == RML_OK)
        status = rml_faces_write(path, &key, &list, allocator, &err);
    rml_face_list_release(&list, allocator);
    if (status != RML_OK)
        return status;
    status = rml_faces_read(&again, path, &key, allocator, &err);
    CHECK((status == RML_OK) == (again.records != NULL && again.count == 80));
    rml_face_list_release(&again, allocator);
    return status;
}

static void fail_each(rml_status (*use)(const rml_allocator *allocator), size_t least)
{
    for (size_t n = 1;; n++) {
        counting counter;
        rml_allocator allocator = counting_allocator(&counter);
        counter.fail_at = n;
        rml_status status = use(&allocator);
        CHECK_MSG(counter.live_bytes == 0, "%zu bytes are left when call %zu fails",
                  counter.live_bytes, n);
        if (status == RML_OK) {
            CHECK_MSG(n > least, "only %zu allocations", n - 1);
            return;
        }
        CHECK_MSG(status == RML_ERR_NOMEM, "call %zu: %s", n, err.message);
    }
}

int main(void)
{
    int file = mkstemp(path);
    if (file < 0)
        return 1;
    close(file);
    fail_each(use_track, 4);
    fail_each(use_decode, 2);
    fail_each(use_light_decode, 2);
    fail_each(use_ring, 1);
    fail_each(use_faces_file, 5);
    remove(path);
    return check_result();
}
