// Faces as JSON: what is written is read back, and a file that does not fit is refused in a
// sentence.
#define _POSIX_C_SOURCE 200809L
#include "pipelines/faces/faces_file.h"

#include "tests/support/check.h"
#include "tensor/alloc.h"

#include <unistd.h>

static char folder[] = "/tmp/test_faces_XXXXXX";
static char clip_path[64], faces_path[64];
static rml_error err;

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    fwrite(text, 1, strlen(text), file);
    fclose(file);
}

static rml_faces_key make_key(void)
{
    rml_clip_settings settings = {.path = clip_path, .resize_factor = 2, .crop = {0, -1, 5, -1}};
    rml_clip_info info = {.width = 320, .height = 240};
    rml_faces_key key;
    CHECK(rml_faces_key_make(&key, &settings, &info, &err) == RML_OK);
    return key;
}

static rml_status read_back(const rml_faces_key *key, rml_face_list *list)
{
    *list = (rml_face_list){.count = 0};
    return rml_faces_read(list, faces_path, key, rml_allocator_default(), &err);
}

static void add(rml_face_list *list, int64_t frame, double seconds, const rml_numbered_face *faces,
                int count)
{
    CHECK(rml_face_list_add(list, frame, seconds, faces, count, rml_allocator_default(), &err) ==
          RML_OK);
}

// Whether the file has this text.
static bool says(const char *word)
{
    static char text[8192];
    FILE *file = fopen(faces_path, "rb");
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return strstr(text, word) != NULL;
}

static void same_list(const rml_face_list *wrote, const rml_face_list *read)
{
    CHECK(wrote->count == read->count && wrote->frames == read->frames);
    for (size_t i = 0; i < read->count; i++) {
        const rml_face *a = &wrote->records[i].face.face, *b = &read->records[i].face.face;
        CHECK(wrote->records[i].frame == read->records[i].frame);
        CHECK(wrote->records[i].face.number == read->records[i].face.number);
        CHECK(memcmp(&a->box, &b->box, sizeof a->box) == 0 && a->source == b->source);
        CHECK(a->has_marks == b->has_marks && memcmp(a->marks, b->marks, sizeof a->marks) == 0);
        CHECK(fabsf(a->score - b->score) < 1e-6f && fabs(a->seconds - b->seconds) < 1e-6);
    }
}

static void test_round_trip(void)
{
    rml_faces_key key = make_key();
    rml_face_list wrote = {0}, read;
    for (int i = 0; i < 10; i++) {
        rml_face face = {.box = {10 + i, 20, 100, 120 + i},
                         .score = 0.5f + 0.01f * (float)i,
                         .source = i == 3 ? RML_FACE_BY_HAND : RML_FACE_DETECTED,
                         .seconds = 0.04 * i,
                         .has_marks = i % 2 == 0};
        for (int k = 0; k < 2 * RML_FACE_MARKS && face.has_marks; k++)
            face.marks[k / 2][k % 2] = 1000.0f / 3 * (float)(k - 2 + i);
        const rml_numbered_face numbered = {face, 1};
        add(&wrote, i, 0.04 * i, &numbered, i != 5);
    }
    CHECK(rml_faces_write(faces_path, &key, &wrote, rml_allocator_default(), &err) == RML_OK);
    CHECK_MSG(read_back(&key, &read) == RML_OK, "%s", err.message);
    CHECK(read.frames == 10 && says("faces 1") && !says("number"));
    same_list(&wrote, &read);
    rml_face_list_release(&read, rml_allocator_default());

    // A second face comes: all tell their numbers.
    rml_numbered_face two[2] = {wrote.records[0].face, wrote.records[1].face};
    two[0].number = 3;
    add(&wrote, 10, 0.4, two, 2);
    CHECK(rml_faces_write(faces_path, &key, &wrote, rml_allocator_default(), &err) == RML_OK);
    CHECK_MSG(read_back(&key, &read) == RML_OK, "%s", err.message);
    CHECK(read.frames == 11 && read.count == 12 && says("faces 2") && says("\"number\": 3"));
    same_list(&wrote, &read);
    rml_face_list_release(&read, rml_allocator_default());
    rml_face_list_release(&wrote, rml_allocator_default());

    // The same clip with other settings, and another clip.
    rml_faces_key other = key;
    other.resize_factor = 1;
    CHECK(read_back(&other, &read) == RML_ERR_ARG && strstr(err.message, "resize_factor"));
    write_text(clip_path, "another clip altogether");
    other = make_key();
    CHECK(read_back(&other, &read) == RML_ERR_ARG && strstr(err.message, "another clip"));
    CHECK(read.records == NULL && read.count == 0);
}

static void refused(const char *faces_text, const char *word)
{
    rml_faces_key key = make_key();
    static char text[16384];
    snprintf(text, sizeof text,
             "{\"format\": \"run-model faces 1\", \"unknown\": [1, {\"a\": 2}], \"clip\": {\"id\": "
             "\"%s\", \"width\": 320, \"height\": 240, \"resize_factor\": 2, \"rotate\": false, "
             "\"crop\": [0, -1, 5, -1]}, \"faces\": [%s]}",
             key.id, faces_text);
    write_text(faces_path, text);
    rml_face_list read;
    rml_status status = read_back(&key, &read);
    CHECK_MSG(word
                  ? status != RML_OK && strstr(err.message, word) && strstr(err.message, faces_path)
                  : status == RML_OK,
              "%s: %s", faces_text, status == RML_OK ? "taken" : err.message);
    rml_face_list_release(&read, rml_allocator_default());
}

static void test_refused(void)
{
    refused("{\"frame\": 0, \"box\": [1, 2, 30, 40]}", NULL);
    refused("{\"frame\": 0, \"box\": null}, {\"frame\": 1, \"extra\": [], \"box\": [0, 0, 9, 9]}",
            NULL);
    refused("{\"frame\": 1, \"box\": [1, 2, 30, 40]}", "frame 0");
    refused("{\"box\": [1, 2, 30, 40]}", "frame");
    refused("{\"frame\": 0, \"box\": [30, 2, 30, 40]}", "empty");
    refused("{\"frame\": 0, \"box\": [1.5, 2, 30, 40]}", "whole number");
    refused("{\"frame\": 0, \"box\": [1, 2, 30, 99999999999]}", "whole number");
    refused("{\"frame\": 0, \"box\": [1, 2, 30]}", "box");
    refused("{\"frame\": 0, \"box\": [1, 2, 30, 40], \"marks\": null}", NULL);
    refused("{\"frame\": 0, \"marks\": [1, 2, 3, 4, 5, 6.5, 7, 8, 9, -10], \"box\": [1, 2, 3, 4]}",
            NULL);
    refused("{\"frame\": 0, \"box\": [1, 2, 30, 40], \"marks\": [1, 2, 3]}", "marks");
    refused("{\"frame\": 0, \"box\": [1, 2, 30, 40], \"marks\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 1e9]}",
            "marks");
    refused("{\"frame\": 0, \"box\": [1, 2, 30, 40]}, "
            "{\"frame\": 0, \"number\": 2, \"box\": [1, 2, 30, 40]}",
            NULL);
    refused("{\"frame\": 0, \"box\": [1, 2, 30, 40]}, {\"frame\": 0, \"box\": [1, 2, 30, 40]}",
            "two faces of number 1");
    refused("{\"frame\": 0, \"box\": null}, {\"frame\": 0, \"box\": [1, 2, 30, 40]}", "no face");
    refused("{\"frame\": 0, \"number\": 0, \"box\": [1, 2, 30, 40]}", "whole number");
    refused("7", "record");
    refused("{\"frame\": 0", "faces");
    refused("{\"box\": [1, 2, 30, 40]}", "has no \"frame\"");
    refused("{\"frame\": 0, \"marks\": null}", "has no \"box\"");
    // By hand a box may reach out of the picture of 320x240.
    refused("{\"frame\": 0, \"box\": [300, 200, 400, 300]}", NULL);
    refused("{\"frame\": 0, \"box\": [320, 2, 400, 40]}", "outside the picture of 320x240");
    refused("{\"frame\": 0, \"box\": [0, 0, 1000000, 90]}", "outside the picture of 320x240");
    refused("{\"frame\": 0, \"box\": null, \"source\": \"detected\"}", NULL);

    static const char *const wrong[] = {"\"box\": 1.5",     "\"box\": \"x\"", "\"box\": {}",
                                        "\"box\": true",    "\"marks\": 1",   "\"marks\": {}",
                                        "\"score\": null",  "\"score\": []",  "\"score\": 1e308",
                                        "\"score\": 1e999", "\"score\": NaN", "\"time\": \"0\"",
                                        "\"time\": 1e999",  "\"source\": 1",  "\"source\": null"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[128], name[16];
        snprintf(text, sizeof text, "{\"frame\": 0, \"box\": [1, 2, 30, 40], %s}", wrong[i]);
        snprintf(name, sizeof name, "%s", strstr(text, "NaN") ? "bad JSON" : wrong[i]);
        if (strchr(name, ':'))
            *strchr(name, ':') = '\0';
        refused(text, name);
    }
}

// More than a detector gives for one picture would be left out in silence.
static void test_crowd(void)
{
    static char text[8192];
    size_t used = 0;
    for (int i = 0; i < 65; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "%s{\"frame\": 0, \"number\": %d, \"box\": [%d, 2, 99, 90]}",
                                 i ? ", " : "", i + 1, i);
        if (i >= 63)
            refused(text, i == 63 ? NULL : "more than 64 faces");
    }
}

// Cut short at any byte, and with something behind the end.
static void test_damaged(void)
{
    rml_faces_key key = make_key();
    rml_face_list read;
    char text[1024];
    refused("{\"frame\": 0, \"number\": 2, \"time\": 0.5, \"box\": [1, 2, 30, 40], \"score\": 0.5, "
            "\"source\": \"detected\", \"marks\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}",
            NULL);
    FILE *file = fopen(faces_path, "rb");
    const size_t size = fread(text, 1, sizeof text - 2, file);
    fclose(file);
    for (size_t i = 0; i < size; i++) {
        const char kept = text[i];
        text[i] = '\0';
        write_text(faces_path, text);
        text[i] = kept;
        CHECK_MSG(read_back(&key, &read) != RML_OK && strstr(err.message, faces_path),
                  "%zu bytes: taken", i);
    }
    text[size] = 'x';
    text[size + 1] = '\0';
    write_text(faces_path, text);
    CHECK(read_back(&key, &read) == RML_ERR_FORMAT);

    write_text(faces_path, "{\"format\": \"something else\"}");
    CHECK(read_back(&key, &read) != RML_OK && strstr(err.message, "something else"));
    write_text(faces_path, "{}");
    CHECK(read_back(&key, &read) != RML_OK && strstr(err.message, "missing"));
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(clip_path, sizeof clip_path, "%s/clip", folder);
    snprintf(faces_path, sizeof faces_path, "%s/faces.json", folder);
    write_text(clip_path, "a clip");
    test_round_trip();
    test_refused();
    test_crowd();
    test_damaged();
    remove(clip_path);
    remove(faces_path);
    rmdir(folder);
    return check_result();
}
