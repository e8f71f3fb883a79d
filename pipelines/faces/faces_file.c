#define _POSIX_C_SOURCE 200809L
#include "pipelines/faces/faces_file.h"

#include "loaders/formats/json.h"
#include "media/files/files.h"
#include "tensor/mapfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FORMAT "run-model faces 1"
#define FORMAT_OF_SEVERAL "run-model faces 2"
#define MOST_NUMBER 1000000
#define MARK_LIMIT 1e6
#define HASH_PIECES 64
#define HASH_PIECE_BYTES 65536

static uint64_t hash_bytes(uint64_t hash, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * UINT64_C(0x100000001B3); // FNV-1a
    return hash;
}

rml_status rml_faces_key_make(rml_faces_key *key, const rml_clip_settings *settings,
                              const rml_clip_info *info, rml_error *err)
{
    memset(key, 0, sizeof *key);
    rml_mapfile file;
    RML_TRY(rml_mapfile_open(&file, settings->path, err));
    uint64_t hash = UINT64_C(0xCBF29CE484222325) ^ (uint64_t)file.size;
    if (file.size <= (size_t)HASH_PIECES * HASH_PIECE_BYTES) {
        hash = hash_bytes(hash, file.data, file.size);
    } else {
        size_t step = (file.size - HASH_PIECE_BYTES) / (HASH_PIECES - 1);
        for (size_t i = 0; i < HASH_PIECES; i++)
            hash = hash_bytes(hash, file.data + i * step, HASH_PIECE_BYTES);
    }
    rml_mapfile_close(&file);
    snprintf(key->id, sizeof key->id, "%016" PRIx64, hash);
    key->width = info->width;
    key->height = info->height;
    // A still is neither resized nor turned nor cropped.
    key->resize_factor = info->still ? 1 : settings->resize_factor;
    key->rotate = !info->still && settings->rotate;
    static const int whole[4] = {0, -1, 0, -1};
    memcpy(key->crop, info->still ? whole : settings->crop, sizeof key->crop);
    return RML_OK;
}

typedef struct {
    rml_json json;
    const char *path;
    rml_error *err;
    const rml_allocator *allocator;
    rml_face_roll roll;
    rml_faces_key key;
    bool seen_format, seen_clip, seen_faces;
} reader;

static rml_status damaged(reader *r, const char *what)
{
    return rml_fail(r->err, RML_ERR_FORMAT, "%s: %s", r->path, what);
}

static rml_status next_int(reader *r, const char *what, int64_t low, int64_t high, int64_t *value)
{
    rml_json_token token;
    RML_TRY(rml_json_expect(&r->json, RML_JSON_NUMBER, what, &token, r->err));
    if (!token.is_integer || token.integer < low || token.integer > high)
        return rml_fail(r->err, RML_ERR_FORMAT,
                        "%s: %s at byte %zu must be a whole number from %lld to %lld", r->path,
                        what, token.at, (long long)low, (long long)high);
    *value = token.integer;
    return RML_OK;
}

// Four numbers; the '[' is read already.
static rml_status four_ints(reader *r, const char *what, int64_t low, int64_t high, int out[4])
{
    for (int i = 0; i < 4; i++) {
        int64_t value = 0;
        RML_TRY(next_int(r, what, low, high, &value));
        out[i] = (int)value;
    }
    rml_json_token token;
    return rml_json_expect(&r->json, RML_JSON_ARRAY_END, what, &token, r->err);
}

// x and y of each mark; the '[' is read already.
static rml_status read_marks(reader *r, rml_face *face)
{
    rml_json_token token;
    for (int i = 0; i < 2 * RML_FACE_MARKS; i++) {
        RML_TRY(rml_json_expect(&r->json, RML_JSON_NUMBER, "\"marks\"", &token, r->err));
        if (!(token.number > -MARK_LIMIT && token.number < MARK_LIMIT))
            return rml_fail(r->err, RML_ERR_FORMAT,
                            "%s: \"marks\" at byte %zu must be numbers within %g", r->path,
                            token.at, MARK_LIMIT);
        face->marks[i / 2][i % 2] = (float)token.number;
    }
    face->has_marks = true;
    return rml_json_expect(&r->json, RML_JSON_ARRAY_END, "\"marks\"", &token, r->err);
}

static rml_status read_clip(reader *r)
{
    rml_json_token token;
    RML_TRY(rml_json_expect(&r->json, RML_JSON_OBJECT_BEGIN, "\"clip\"", &token, r->err));
    r->key.resize_factor = 1;
    for (;;) {
        RML_TRY(rml_json_next(&r->json, &token, r->err));
        if (token.type == RML_JSON_OBJECT_END)
            break;
        char name[16];
        snprintf(name, sizeof name, "%s", token.text);
        int64_t value = 0;
        if (strcmp(name, "id") == 0) {
            RML_TRY(rml_json_expect(&r->json, RML_JSON_TEXT, "\"id\"", &token, r->err));
            snprintf(r->key.id, sizeof r->key.id, "%s", token.text);
        } else if (strcmp(name, "width") == 0) {
            RML_TRY(next_int(r, "\"width\"", 1, RML_FRAME_MAX_SIDE, &value));
            r->key.width = (int)value;
        } else if (strcmp(name, "height") == 0) {
            RML_TRY(next_int(r, "\"height\"", 1, RML_FRAME_MAX_SIDE, &value));
            r->key.height = (int)value;
        } else if (strcmp(name, "resize_factor") == 0) {
            RML_TRY(next_int(r, "\"resize_factor\"", 1, RML_FRAME_MAX_SIDE, &value));
            r->key.resize_factor = (int)value;
        } else if (strcmp(name, "crop") == 0) {
            RML_TRY(rml_json_expect(&r->json, RML_JSON_ARRAY_BEGIN, "\"crop\"", &token, r->err));
            RML_TRY(four_ints(r, "\"crop\"", INT32_MIN, INT32_MAX, r->key.crop));
        } else {
            RML_TRY(rml_json_next(&r->json, &token, r->err));
            if (strcmp(name, "rotate") == 0)
                r->key.rotate = token.type == RML_JSON_TRUE;
            RML_TRY(rml_json_skip(&r->json, &token, r->err));
        }
    }
    r->seen_clip = true;
    return RML_OK;
}

// Whatever the user writes there by hand is "by hand".
static rml_face_source parse_source(const char *text)
{
    if (strcmp(text, rml_face_source_name(RML_FACE_NONE)) == 0)
        return RML_FACE_NONE;
    if (strcmp(text, rml_face_source_name(RML_FACE_DETECTED)) == 0)
        return RML_FACE_DETECTED;
    return RML_FACE_BY_HAND;
}

// Another face of the last frame.
static rml_status check_another(const reader *r, int64_t frame, int number)
{
    const rml_face_record *other = r->roll.records + r->roll.count;
    while (other-- > r->roll.records && other->frame == frame) {
        if (other->face.number == number && number)
            return rml_fail(r->err, RML_ERR_FORMAT, "%s: frame %lld has two faces of number %d",
                            r->path, (long long)frame, number);
        if (!other->face.number || !number)
            return rml_fail(r->err, RML_ERR_FORMAT,
                            "%s: a record says that frame %lld has no face, and another that it "
                            "has one",
                            r->path, (long long)frame);
    }
    return RML_OK;
}

static rml_status check_face(const reader *r, const rml_face *face, int64_t frame, int number)
{
    const int64_t next = r->roll.frames;
    if (next > 0 && frame == next - 1)
        RML_TRY(check_another(r, frame, number));
    else if (frame != next)
        return rml_fail(r->err, RML_ERR_FORMAT,
                        "%s: the record of frame %lld stands where that of frame %lld should",
                        r->path, (long long)frame, (long long)next);
    const rml_box *b = &face->box;
    // With --compat a detector may have found a box that only its padding makes larger than
    // nothing.
    if (face->source == RML_FACE_BY_HAND && (b->x1 >= b->x2 || b->y1 >= b->y2))
        return rml_fail(r->err, RML_ERR_FORMAT, "%s: the box of frame %lld is empty", r->path,
                        (long long)frame);
    return RML_OK;
}

// One record; the '{' is read already.
static rml_status read_face(reader *r)
{
    rml_face face = {.source = RML_FACE_BY_HAND};
    rml_json_token token;
    int64_t frame = -1, number = 1;
    bool has_box = false;
    for (;;) {
        RML_TRY(rml_json_next(&r->json, &token, r->err));
        if (token.type == RML_JSON_OBJECT_END)
            break;
        char name[16];
        snprintf(name, sizeof name, "%s", token.text);
        if (strcmp(name, "frame") == 0) {
            RML_TRY(next_int(r, "\"frame\"", 0, RML_FACES_MAX_FRAMES - 1, &frame));
            continue;
        }
        if (strcmp(name, "number") == 0) {
            RML_TRY(next_int(r, "\"number\"", 1, MOST_NUMBER, &number));
            continue;
        }
        RML_TRY(rml_json_next(&r->json, &token, r->err));
        if (strcmp(name, "box") == 0 && token.type == RML_JSON_ARRAY_BEGIN) {
            int box[4];
            RML_TRY(four_ints(r, "\"box\"", 0, RML_FRAME_MAX_SIDE * 64, box));
            face.box = (rml_box){box[0], box[1], box[2], box[3]};
            has_box = true;
            continue;
        }
        if (strcmp(name, "marks") == 0 && token.type == RML_JSON_ARRAY_BEGIN) {
            RML_TRY(read_marks(r, &face));
            continue;
        }
        if (strcmp(name, "score") == 0 && token.type == RML_JSON_NUMBER)
            face.score = (float)token.number;
        else if (strcmp(name, "time") == 0 && token.type == RML_JSON_NUMBER)
            face.seconds = token.number;
        else if (strcmp(name, "source") == 0 && token.type == RML_JSON_TEXT)
            face.source = parse_source(token.text);
        RML_TRY(rml_json_skip(&r->json, &token, r->err));
    }
    if (!has_box)
        face.source = RML_FACE_NONE;
    if (face.source == RML_FACE_NONE) {
        memset(&face.box, 0, sizeof face.box);
        face.has_marks = false;
    }
    const int told = face.source == RML_FACE_NONE ? 0 : (int)number;
    RML_TRY(check_face(r, &face, frame, told));
    const rml_face_record record = {frame, {face, told}};
    return rml_face_roll_push(&r->roll, &record, r->allocator, r->err);
}

static rml_status read_document(reader *r)
{
    rml_json_token token;
    RML_TRY(rml_json_expect(&r->json, RML_JSON_OBJECT_BEGIN, "the file", &token, r->err));
    for (;;) {
        RML_TRY(rml_json_next(&r->json, &token, r->err));
        if (token.type == RML_JSON_OBJECT_END)
            break;
        if (strcmp(token.text, "clip") == 0) {
            RML_TRY(read_clip(r));
        } else if (strcmp(token.text, "format") == 0) {
            RML_TRY(rml_json_expect(&r->json, RML_JSON_TEXT, "\"format\"", &token, r->err));
            if (strcmp(token.text, FORMAT) != 0 && strcmp(token.text, FORMAT_OF_SEVERAL) != 0)
                return rml_fail(r->err, RML_ERR_UNSUPPORTED, "%s: format is '%s', not '%s'",
                                r->path, token.text, FORMAT_OF_SEVERAL);
            r->seen_format = true;
        } else if (strcmp(token.text, "faces") == 0) {
            RML_TRY(rml_json_expect(&r->json, RML_JSON_ARRAY_BEGIN, "\"faces\"", &token, r->err));
            for (;;) {
                RML_TRY(rml_json_next(&r->json, &token, r->err));
                if (token.type == RML_JSON_ARRAY_END)
                    break;
                if (token.type != RML_JSON_OBJECT_BEGIN)
                    return damaged(r, "\"faces\" holds something that is not a record");
                RML_TRY(read_face(r));
            }
            r->seen_faces = true;
        } else {
            RML_TRY(rml_json_next(&r->json, &token, r->err));
            RML_TRY(rml_json_skip(&r->json, &token, r->err));
        }
    }
    if (!r->seen_format || !r->seen_clip || !r->seen_faces)
        return damaged(r, "not a file of faces: \"format\", \"clip\" or \"faces\" is missing");
    return RML_OK;
}

static rml_status check_key(const reader *r, const rml_faces_key *key)
{
    if (strcmp(r->key.id, key->id) != 0)
        return rml_fail(r->err, RML_ERR_ARG,
                        "%s: holds the faces of another clip (its id is %s, this clip's is %s)",
                        r->path, r->key.id, key->id);
    if (r->key.width != key->width || r->key.height != key->height ||
        r->key.resize_factor != key->resize_factor || r->key.rotate != key->rotate ||
        memcmp(r->key.crop, key->crop, sizeof key->crop) != 0)
        return rml_fail(r->err, RML_ERR_ARG,
                        "%s: holds the faces of this clip at %dx%d with other --resize_factor, "
                        "--rotate or --crop; it is %dx%d now",
                        r->path, r->key.width, r->key.height, key->width, key->height);
    return RML_OK;
}

rml_status rml_faces_read(rml_face_roll *roll, const char *path, const rml_faces_key *key,
                          const rml_allocator *allocator, rml_error *err)
{
    rml_mapfile file;
    RML_TRY(rml_mapfile_open(&file, path, err));
    rml_error local;
    reader r = {.path = path, .err = err ? err : &local, .allocator = allocator};
    rml_json_begin(&r.json, file.data, file.size, allocator);
    rml_status status = read_document(&r);
    if (status != RML_OK && !strstr(r.err->message, path))
        rml_error_prefix(r.err, path);
    if (status == RML_OK)
        status = check_key(&r, key);
    rml_json_release(&r.json);
    rml_mapfile_close(&file);
    if (status == RML_OK)
        *roll = r.roll;
    else
        rml_face_roll_release(&r.roll, allocator);
    return status;
}

static void write_document(FILE *file, const rml_faces_key *key, const rml_face_roll *roll)
{
    bool several = false;
    for (size_t i = 0; i < roll->count; i++)
        several = several || roll->records[i].face.number > 1;
    fprintf(file,
            "{\"format\": \"%s\",\n \"clip\": {\"id\": \"%s\", \"width\": %d, "
            "\"height\": %d, \"resize_factor\": %d, \"rotate\": %s, \"crop\": [%d, %d, %d, %d]},\n"
            " \"faces\": [",
            several ? FORMAT_OF_SEVERAL : FORMAT, key->id, key->width, key->height,
            key->resize_factor, key->rotate ? "true" : "false", key->crop[0], key->crop[1],
            key->crop[2], key->crop[3]);
    for (size_t i = 0; i < roll->count; i++) {
        const rml_face_record *record = &roll->records[i];
        const rml_face *face = &record->face.face;
        fprintf(file, "%s\n  {\"frame\": %" PRId64 ", ", i ? "," : "", record->frame);
        if (several && record->face.number)
            fprintf(file, "\"number\": %d, ", record->face.number);
        fprintf(file, "\"time\": %.6f, \"box\": ", face->seconds);
        if (face->source == RML_FACE_NONE)
            fprintf(file, "null");
        else
            fprintf(file, "[%d, %d, %d, %d]", face->box.x1, face->box.y1, face->box.x2,
                    face->box.y2);
        fprintf(file, ", \"score\": %.6g, \"source\": \"%s\"", (double)face->score,
                rml_face_source_name(face->source));
        for (int k = 0; k < RML_FACE_MARKS && face->has_marks; k++)
            fprintf(file, "%s%.9g, %.9g", k ? ", " : ", \"marks\": [", (double)face->marks[k][0],
                    (double)face->marks[k][1]);
        fprintf(file, "%s}", face->has_marks ? "]" : "");
    }
    fprintf(file, "]}\n");
}

rml_status rml_faces_write(const char *path, const rml_faces_key *key, const rml_face_roll *roll,
                           const rml_allocator *allocator, rml_error *err)
{
    char *temporary;
    RML_TRY(rml_temporary_name(&temporary, path, allocator, err));
    FILE *file = fopen(temporary, "wb");
    rml_status status = RML_OK;
    if (!file) {
        status = rml_fail(err, RML_ERR_IO, "%s: cannot be written: %s", path,
                          rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    } else {
        write_document(file, key, roll);
        bool ok = fflush(file) == 0 && !ferror(file);
        int reason = errno;
        if (fclose(file) != 0 && ok) {
            ok = false;
            reason = errno;
        }
        if (ok) {
            status = rml_replace_file(temporary, path, allocator, err);
        } else {
            remove(temporary);
            status = rml_fail(err, RML_ERR_IO, "%s: cannot be written: %s", path,
                              rml_errno_text(reason, (char[RML_ERRNO_BYTES]){0}));
        }
    }
    rml_free(allocator, temporary);
    return status;
}
