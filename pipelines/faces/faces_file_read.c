#include "pipelines/faces/faces_file.h"

#include "loaders/formats/json.h"
#include "pipelines/faces/face_finder.h"
#include "tensor/mapfile.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST_NUMBER 1000000
#define MOST_SECONDS 1e9
#define MOST 1e6 // of marks, which no picture has so far out, and of scores

typedef struct {
    rml_json json;
    const char *path;
    rml_error *err;
    const rml_allocator *allocator;
    rml_face_list list;
    rml_faces_key key;
    bool seen_format, seen_clip, seen_faces;
} reader;

static rml_status damaged(reader *r, const char *what)
{
    return rml_fail(r->err, RML_ERR_FORMAT, "%s: %s", r->path, what);
}

enum { NAME_BYTES = 16 }; // no name that is known is as long

// Of what comes next in an object; or its end.
static rml_status next_name(reader *r, char name[NAME_BYTES], rml_json_token *token)
{
    RML_TRY(rml_json_next(&r->json, token, r->err));
    if (token->type != RML_JSON_OBJECT_END)
        snprintf(name, NAME_BYTES, "%s", token->text);
    return RML_OK;
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

// What has the wrong type would be taken for something else, or for nothing.
static rml_status check_type(reader *r, const rml_json_token *token, bool fits, const char *what,
                             const char *wanted)
{
    return fits ? RML_OK
                : rml_fail(r->err, RML_ERR_FORMAT, "%s: %s at byte %zu must be %s", r->path, what,
                           token->at, wanted);
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
        if (!(token.number > -MOST && token.number < MOST))
            return rml_fail(r->err, RML_ERR_FORMAT,
                            "%s: \"marks\" at byte %zu must be numbers within %g", r->path,
                            token.at, MOST);
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
    for (char name[NAME_BYTES];;) {
        int64_t value = 0;
        RML_TRY(next_name(r, name, &token));
        if (token.type == RML_JSON_OBJECT_END)
            break;
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
            if (strcmp(name, "rotate") == 0) {
                RML_TRY(check_type(r, &token,
                                   token.type == RML_JSON_TRUE || token.type == RML_JSON_FALSE,
                                   "\"rotate\"", "true or false"));
                r->key.rotate = token.type == RML_JSON_TRUE;
            }
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
    const rml_face_record *other = r->list.records + r->list.count;
    int count = 1;
    while (other-- > r->list.records && other->frame == frame) {
        if (other->face.number == number && number)
            return rml_fail(r->err, RML_ERR_FORMAT, "%s: frame %lld has two faces of number %d",
                            r->path, (long long)frame, number);
        if (!other->face.number || !number)
            return rml_fail(r->err, RML_ERR_FORMAT,
                            "%s: a record says that frame %lld has no face, and another that it "
                            "has one",
                            r->path, (long long)frame);
        if (++count > RML_FINDER_MOST)
            return rml_fail(r->err, RML_ERR_LIMIT, "%s: frame %lld has more than %d faces", r->path,
                            (long long)frame, RML_FINDER_MOST);
    }
    return RML_OK;
}

static rml_status check_face(const reader *r, const rml_face *face, int64_t frame, int number)
{
    const int64_t next = r->list.frames;
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

typedef struct record {
    rml_face face;
    int64_t frame, number;
    bool has_frame, has_box; // that the record says so
} record;

// A value that is one token, or begins with it.
static rml_status read_value(reader *r, record *to, const char *name)
{
    rml_json_token token;
    RML_TRY(rml_json_next(&r->json, &token, r->err));
    const bool array = token.type == RML_JSON_ARRAY_BEGIN, null = token.type == RML_JSON_NULL;
    const bool small = token.type == RML_JSON_NUMBER && token.number > -MOST && token.number < MOST;
    if (strcmp(name, "box") == 0) {
        int box[4] = {0};
        RML_TRY(check_type(r, &token, array || null, "\"box\"", "four whole numbers or null"));
        if (array)
            RML_TRY(four_ints(r, "\"box\"", 0, RML_FRAME_MAX_SIDE * 64, box));
        to->face.box = (rml_box){box[0], box[1], box[2], box[3]};
        if (null)
            to->face.source = RML_FACE_NONE;
        to->has_box = true;
        return RML_OK;
    }
    if (strcmp(name, "marks") == 0) {
        RML_TRY(check_type(r, &token, array || null, "\"marks\"", "ten numbers or null"));
        return array ? read_marks(r, &to->face) : RML_OK;
    }
    if (strcmp(name, "score") == 0) {
        RML_TRY(check_type(r, &token, small, "\"score\"", "a number within 1e+06"));
        to->face.score = (float)token.number;
    } else if (strcmp(name, "time") == 0) {
        RML_TRY(check_type(r, &token,
                           token.type == RML_JSON_NUMBER && fabs(token.number) <= MOST_SECONDS,
                           "\"time\"", "a number of seconds"));
        to->face.seconds = token.number;
    } else if (strcmp(name, "source") == 0) {
        RML_TRY(check_type(r, &token, token.type == RML_JSON_TEXT, "\"source\"", "a text"));
        if (to->face.source != RML_FACE_NONE) // a box of null says more
            to->face.source = parse_source(token.text);
    }
    return rml_json_skip(&r->json, &token, r->err);
}

// One record; the '{' is read already.
static rml_status read_face(reader *r)
{
    record new = {.face = {.source = RML_FACE_BY_HAND}, .number = 1};
    rml_json_token token;
    for (char name[NAME_BYTES];;) {
        RML_TRY(next_name(r, name, &token));
        if (token.type == RML_JSON_OBJECT_END)
            break;
        if (strcmp(name, "frame") == 0) {
            RML_TRY(next_int(r, "\"frame\"", 0, RML_FACES_MAX_FRAMES - 1, &new.frame));
            new.has_frame = true;
        } else if (strcmp(name, "number") == 0) {
            RML_TRY(next_int(r, "\"number\"", 1, MOST_NUMBER, &new.number));
        } else {
            RML_TRY(read_value(r, &new, name));
        }
    }
    if (!new.has_frame || !new.has_box)
        return rml_fail(r->err, RML_ERR_FORMAT, "%s: the record that ends at byte %zu has no %s",
                        r->path, token.at, new.has_frame ? "\"box\"" : "\"frame\"");
    if (new.face.source == RML_FACE_NONE) {
        memset(&new.face.box, 0, sizeof new.face.box);
        new.face.has_marks = false;
    }
    const int told = new.face.source == RML_FACE_NONE ? 0 : (int)new.number;
    RML_TRY(check_face(r, &new.face, new.frame, told));
    const rml_face_record last = {new.frame, {new.face, told}};
    return rml_face_list_push(&r->list, &last, r->allocator, r->err);
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
            if (strcmp(token.text, RML_FACES_FORMAT) != 0 &&
                strcmp(token.text, RML_FACES_FORMAT_OF_SEVERAL) != 0)
                return rml_fail(r->err, RML_ERR_UNSUPPORTED, "%s: format is '%s', not '%s'",
                                r->path, token.text, RML_FACES_FORMAT_OF_SEVERAL);
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
    RML_TRY(rml_json_expect(&r->json, RML_JSON_END, "the end", &token, r->err));
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

// A box by hand may reach out of the picture, but not lie beside it or far beyond it.
static rml_status check_boxes(const reader *r)
{
    const int width = r->key.width, height = r->key.height;
    for (size_t i = 0; i < r->list.count; i++) {
        const rml_face *face = &r->list.records[i].face.face;
        const rml_box *b = &face->box;
        if (face->source == RML_FACE_BY_HAND &&
            (b->x1 >= width || b->y1 >= height || b->x2 > 2 * width || b->y2 > 2 * height))
            return rml_fail(r->err, RML_ERR_FORMAT,
                            "%s: the box of frame %lld, (%d,%d)-(%d,%d), lies outside the picture "
                            "of %dx%d",
                            r->path, (long long)r->list.records[i].frame, b->x1, b->y1, b->x2,
                            b->y2, width, height);
    }
    return RML_OK;
}

rml_status rml_faces_read(rml_face_list *list, const char *path, const rml_faces_key *key,
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
    if (status == RML_OK)
        status = check_boxes(&r);
    rml_json_release(&r.json);
    rml_mapfile_close(&file);
    if (status == RML_OK)
        *list = r.list;
    else
        rml_face_list_release(&r.list, allocator);
    return status;
}
