// Files of weights: a header, then blobs, each behind a description of 64 bytes.
#include "loaders/coreml/mil.h"
#include "loaders/coreml/reader.h"
#include "loaders/formats/beside.h"
#include "loaders/formats/bytes.h"

#include <stdlib.h>
#include <string.h>

enum {
    UNIT = 64, // headers, descriptions and data begin at multiples of it
    VERSION = 2,
};

#define SENTINEL 0xDEADBEEFu
#define FOLDER "@model_path/"

// Types as these files number them.
static const int type_of[] = {
    [1] = RML_MIL_F16,     [2] = RML_MIL_F32,  [3] = RML_MIL_U8,   [4] = RML_MIL_I8,
    [5] = RML_MIL_BF16,    [6] = RML_MIL_I16,  [7] = RML_MIL_U16,  [8] = RML_MIL_I4,
    [9] = RML_MIL_U1,      [10] = RML_MIL_U2,  [11] = RML_MIL_U4,  [12] = RML_MIL_U3,
    [13] = RML_MIL_U6,     [14] = RML_MIL_I32, [15] = RML_MIL_U32, [16] = RML_MIL_F8E4M3FN,
    [17] = RML_MIL_F8E5M2,
};

static rml_status map_file(rml_coreml *file, const rml_text *location, size_t *place,
                           rml_error *err)
{
    const size_t skip = strlen(FOLDER);
    size_t now = 0;
    if (!file->path)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "its weights lie in another file, and this model is read from memory");
    if (location->bytes <= skip || memcmp(location->text, FOLDER, skip) != 0)
        return rml_fail(err, RML_ERR_FORMAT, "weights lie in \"%.80s\", not in " FOLDER,
                        location->text);
    if (file->blob_count >= RML_COREML_MAX_BLOB_FILES)
        return rml_fail(err, RML_ERR_LIMIT, "more than %d files of weights",
                        RML_COREML_MAX_BLOB_FILES);
    RML_TRY(rml_reserve(file->allocator, &file->blob_file, &file->blob_capacity,
                        file->blob_count + 1, sizeof *file->blob_file, "a list of files", err));
    *place = file->blob_count;
    rml_mapfile *map = &file->blob_file[*place];
    if (file->zip.data) {
        const size_t folder = (size_t)(strrchr(file->path, '/') + 1 - file->path); // Data/ at least
        RML_TRY(rml_coreml_entry(file, file->path, folder, location->text + skip, map, err));
    } else {
        RML_TRY(
            rml_beside_map(file->path, location->text + skip, location->bytes - skip, map, err));
    }
    const bool has_header = map->size >= UNIT;
    const uint64_t version = has_header ? rml_le(map->data + 4, 4) : 0;
    if (version != VERSION) {
        rml_fail(err, RML_ERR_FORMAT,
                 "\"%.80s\" is no file of weights of version %d: it has %zu bytes and version %llu",
                 location->text, VERSION, map->size, (unsigned long long)version);
        if (!file->zip.data)
            rml_mapfile_close(map);
        return RML_ERR_FORMAT;
    }
    file->blob_count++;
    return rml_names_add(&file->blobs, location->text, location->bytes, *place, &now, err);
}

rml_status rml_mil_read_blob(rml_coreml *file, const rml_text *location, uint64_t offset,
                             rml_mil_value *out, rml_error *err)
{
    rml_coreml *first = file->first ? file->first : file;
    size_t place = 0, wanted;
    if (!rml_names_find(&first->blobs, location->text, location->bytes, &place))
        RML_TRY(map_file(first, location, &place, err));
    const rml_mapfile *map = &first->blob_file[place];
    if (offset % UNIT != 0 || offset < UNIT || offset > map->size || map->size - offset < UNIT)
        return rml_fail(err, RML_ERR_FORMAT,
                        "weights are at byte %llu of \"%.80s\", which has %zu bytes",
                        (unsigned long long)offset, location->text, map->size);
    const uint8_t *at = map->data + offset;
    if (rml_le(at, 4) != SENTINEL)
        return rml_fail(err, RML_ERR_FORMAT, "\"%.80s\" has no weights at byte %llu",
                        location->text, (unsigned long long)offset);
    const uint64_t type = rml_le(at + 4, 4), bytes = rml_le(at + 8, 8), begin = rml_le(at + 16, 8);
    const int element = type < sizeof type_of / sizeof *type_of ? type_of[type] : RML_MIL_NONE;
    const bool is_bool = out->type.element == RML_MIL_BOOL && element == RML_MIL_U8;
    if (element != out->type.element && !is_bool)
        return rml_fail(err, RML_ERR_FORMAT,
                        "weights at byte %llu of \"%.80s\" are of type %s, not %s",
                        (unsigned long long)offset, location->text, rml_mil_element_name(element),
                        rml_mil_element_name(out->type.element));
    if (!rml_mil_bytes(element, out->count, &wanted) || wanted != bytes)
        return rml_fail(err, RML_ERR_FORMAT,
                        "weights at byte %llu of \"%.80s\" are %llu bytes, and %zu elements of "
                        "type %s are expected",
                        (unsigned long long)offset, location->text, (unsigned long long)bytes,
                        out->count, rml_mil_element_name(element));
    if (begin > map->size || bytes > map->size - begin)
        return rml_fail(err, RML_ERR_FORMAT,
                        "cut short: %llu bytes of weights at byte %llu of \"%.80s\", which has %zu",
                        (unsigned long long)bytes, (unsigned long long)begin, location->text,
                        map->size);
    out->data = map->data + begin;
    out->bytes = (size_t)bytes;
    RML_TRY(rml_reserve(file->allocator, &file->range, &file->range_capacity, file->range_count + 2,
                        sizeof *file->range, "a list of weights", err));
    file->range[file->range_count++] = (rml_coreml_bytes){place, offset, UNIT, offset};
    file->range[file->range_count++] = (rml_coreml_bytes){place, begin, bytes, offset};
    return RML_OK;
}

// ---- overlaps -----------------------------------------------------------------------------------

static int by_begin(const void *a, const void *b)
{
    const rml_coreml_bytes *x = a, *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

void rml_mil_overlaps(rml_coreml *file, void (*tell)(void *user, const rml_error *fault),
                      void *user)
{
    const rml_coreml_bytes *widest = file->range; // of those so far the one that ends last
    rml_error fault;
    if (file->range_count)
        qsort(file->range, file->range_count, sizeof *file->range, by_begin);
    for (size_t i = 1; i < file->range_count; i++) {
        const rml_coreml_bytes *range = &file->range[i];
        const bool one_file = range->file == widest->file;
        const bool is_same =
            one_file && range->offset == widest->offset && range->begin == widest->begin;
        if (one_file && range->begin - widest->begin < widest->bytes && !is_same && range->bytes) {
            rml_fail(&fault, RML_ERR_FORMAT,
                     "weights described at bytes %llu and %llu of a file overlap",
                     (unsigned long long)widest->offset, (unsigned long long)range->offset);
            tell(user, &fault);
        }
        if (!one_file || range->begin + range->bytes > widest->begin + widest->bytes)
            widest = range;
    }
}
