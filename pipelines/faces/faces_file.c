#define _POSIX_C_SOURCE 200809L
#include "pipelines/faces/faces_file.h"

#include "media/files/files.h"
#include "tensor/mapfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

static void write_document(FILE *file, const rml_faces_key *key, const rml_face_list *list)
{
    bool several = false;
    for (size_t i = 0; i < list->count; i++)
        several = several || list->records[i].face.number > 1;
    fprintf(file,
            "{\"format\": \"%s\",\n \"clip\": {\"id\": \"%s\", \"width\": %d, "
            "\"height\": %d, \"resize_factor\": %d, \"rotate\": %s, \"crop\": [%d, %d, %d, %d]},\n"
            " \"faces\": [",
            several ? RML_FACES_FORMAT_OF_SEVERAL : RML_FACES_FORMAT, key->id, key->width,
            key->height, key->resize_factor, key->rotate ? "true" : "false", key->crop[0],
            key->crop[1], key->crop[2], key->crop[3]);
    for (size_t i = 0; i < list->count; i++) {
        const rml_face_record *record = &list->records[i];
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

rml_status rml_faces_write(const char *path, const rml_faces_key *key, const rml_face_list *list,
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
        write_document(file, key, list);
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
