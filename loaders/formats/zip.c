#include "loaders/formats/zip.h"

#include "loaders/formats/bytes.h"
#include "loaders/formats/inflate.h"
#include "tensor/size.h"

#include <string.h>

// Record sizes and signatures of the PKWARE application note.
#define LOCAL_SIGNATURE 0x04034B50u
#define LOCAL_BYTES 30
#define CENTRAL_SIGNATURE 0x02014B50u
#define CENTRAL_BYTES 46
#define END_SIGNATURE 0x06054B50u
#define END_BYTES 22
#define END64_SIGNATURE 0x06064B50u
#define END64_BYTES 56
#define LOCATOR64_SIGNATURE 0x07064B50u
#define LOCATOR64_BYTES 20
#define EXTRA64_ID 0x0001
#define MAX_COMMENT_BYTES 65535
#define FLAG_ENCRYPTED 0x0001
#define METHOD_STORED 0
#define METHOD_DEFLATED 8
#define METHOD_AES 99

typedef struct directory {
    uint64_t offset, bytes, entries;
} directory;

// The end record is the last thing in the file but for a comment, so that a file without one was
// cut.
static rml_status find_end(const uint8_t *data, size_t size, size_t *at, rml_error *err)
{
    size_t lowest = size > END_BYTES + MAX_COMMENT_BYTES ? size - END_BYTES - MAX_COMMENT_BYTES : 0;
    for (size_t end = size; end >= lowest + END_BYTES; end--) {
        size_t begin = end - END_BYTES;
        if (rml_le32(data + begin) == END_SIGNATURE && rml_le16(data + begin + 20) == size - end) {
            *at = begin;
            return RML_OK;
        }
    }
    return rml_fail(err, RML_ERR_FORMAT,
                    "cut short: the file ends at byte %zu without a zip archive's closing table; "
                    "download or copy it again",
                    size);
}

static rml_status read_end64(const uint8_t *data, size_t end, directory *dir, rml_error *err)
{
    if (end < LOCATOR64_BYTES || rml_le32(data + end - LOCATOR64_BYTES) != LOCATOR64_SIGNATURE)
        return rml_fail(err, RML_ERR_FORMAT, "damaged zip archive: zip64 locator is missing");
    uint64_t at = rml_le64(data + end - LOCATOR64_BYTES + 8);
    if (!rml_range_inside(at, END64_BYTES, end - LOCATOR64_BYTES) ||
        rml_le32(data + at) != END64_SIGNATURE)
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged zip archive: no zip64 end record at byte %llu",
                        (unsigned long long)at);
    dir->entries = rml_le64(data + at + 32);
    dir->bytes = rml_le64(data + at + 40);
    dir->offset = rml_le64(data + at + 48);
    return RML_OK;
}

static rml_status read_directory(const uint8_t *data, size_t size, directory *dir, rml_error *err)
{
    size_t end = 0;
    RML_TRY(find_end(data, size, &end, err));
    dir->entries = rml_le16(data + end + 10);
    dir->bytes = rml_le32(data + end + 12);
    dir->offset = rml_le32(data + end + 16);
    if (dir->entries == 0xFFFF || dir->bytes == 0xFFFFFFFFu || dir->offset == 0xFFFFFFFFu)
        RML_TRY(read_end64(data, end, dir, err));
    if (!rml_range_inside(dir->offset, dir->bytes, end))
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged zip archive: table of %llu bytes at byte %llu does not fit before "
                        "byte %zu",
                        (unsigned long long)dir->bytes, (unsigned long long)dir->offset, end);
    if (dir->entries > RML_ZIP_MAX_ENTRIES)
        return rml_fail(err, RML_ERR_LIMIT, "zip archive with %llu entries, the limit is %zu",
                        (unsigned long long)dir->entries, RML_ZIP_MAX_ENTRIES);
    if (dir->entries > dir->bytes / CENTRAL_BYTES)
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged zip archive: %llu entries do not fit a table of %llu bytes",
                        (unsigned long long)dir->entries, (unsigned long long)dir->bytes);
    return RML_OK;
}

// Values that do not fit 32 bits stand in an extra field, in this order, each only where the 32-bit
// field is all ones.
static bool read_extra64(const uint8_t *extra, size_t extra_bytes, rml_zip_entry *entry)
{
    uint64_t *field[3] = {&entry->plain_bytes, &entry->stored_bytes, &entry->header_offset};
    while (extra_bytes >= 4) {
        size_t bytes = rml_le16(extra + 2);
        bool is_zip64 = rml_le16(extra) == EXTRA64_ID;
        extra += 4;
        extra_bytes -= 4;
        if (bytes > extra_bytes)
            return false;
        if (is_zip64) {
            for (int i = 0; i < 3; i++) {
                if (*field[i] != 0xFFFFFFFFu)
                    continue;
                if (bytes < 8)
                    return false;
                *field[i] = rml_le64(extra);
                extra += 8;
                bytes -= 8;
            }
            return true;
        }
        extra += bytes;
        extra_bytes -= bytes;
    }
    return true;
}

static rml_status read_entry(rml_zip *zip, size_t index, const uint8_t *at, size_t room,
                             size_t *used, rml_error *err)
{
    if (room < CENTRAL_BYTES || rml_le32(at) != CENTRAL_SIGNATURE)
        return rml_fail(err, RML_ERR_FORMAT, "damaged zip archive: entry %zu of %zu is not one",
                        index + 1, zip->count);
    rml_zip_entry *entry = &zip->entry[index];
    size_t extra_bytes = rml_le16(at + 30), comment_bytes = rml_le16(at + 32);
    *entry = (rml_zip_entry){
        .name = (const char *)at + CENTRAL_BYTES,
        .name_bytes = rml_le16(at + 28),
        .header_offset = rml_le32(at + 42),
        .stored_bytes = rml_le32(at + 20),
        .plain_bytes = rml_le32(at + 24),
        .method = rml_le16(at + 10),
        .flags = rml_le16(at + 8),
    };
    *used = CENTRAL_BYTES + entry->name_bytes + extra_bytes + comment_bytes;
    if (*used > room)
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged zip archive: entry %zu of %zu leaves the table", index + 1,
                        zip->count);
    char quoted[RML_QUOTE_BYTES];
    if (!read_extra64(at + CENTRAL_BYTES + entry->name_bytes, extra_bytes, entry))
        return rml_fail(err, RML_ERR_FORMAT, "damaged zip archive: bad extra field of \"%s\"",
                        rml_quote(quoted, entry->name, entry->name_bytes));
    size_t now = 0;
    RML_TRY(rml_names_add(&zip->names, entry->name, entry->name_bytes, index, &now, err));
    if (now != index)
        return rml_fail(err, RML_ERR_FORMAT, "damaged zip archive: two entries are named \"%s\"",
                        rml_quote(quoted, entry->name, entry->name_bytes));
    return RML_OK;
}

rml_status rml_zip_open(rml_zip *out, const uint8_t *data, size_t size,
                        const rml_allocator *allocator, rml_error *err)
{
    *out = (rml_zip){.data = data, .size = size, .allocator = allocator};
    rml_names_init(&out->names, allocator);
    directory dir = {0};
    RML_TRY(read_directory(data, size, &dir, err));
    rml_status status = RML_OK;
    if (dir.entries > 0) {
        out->count = (size_t)dir.entries;
        out->entry = rml_alloc_zero(allocator, out->count, sizeof *out->entry);
        if (!out->entry)
            status = rml_fail_nomem(err, out->count * sizeof *out->entry, "a zip archive's table");
    }
    const uint8_t *at = data + dir.offset;
    size_t room = (size_t)dir.bytes;
    for (size_t i = 0; status == RML_OK && i < out->count; i++) {
        size_t used = 0;
        status = read_entry(out, i, at, room, &used, err);
        at += used;
        room -= used;
    }
    if (status != RML_OK)
        rml_zip_release(out);
    return status;
}

bool rml_zip_has(const uint8_t *data, size_t size, const char *last_name)
{
    const size_t last = strlen(last_name);
    directory dir = {0};
    if (size < END_BYTES ||
        (rml_le32(data) != LOCAL_SIGNATURE && rml_le32(data) != END_SIGNATURE) ||
        read_directory(data, size, &dir, NULL) != RML_OK)
        return false;
    const uint8_t *at = data + dir.offset;
    size_t room = (size_t)dir.bytes;
    while (room >= CENTRAL_BYTES && rml_le32(at) == CENTRAL_SIGNATURE) {
        const size_t name = rml_le16(at + 28);
        const size_t bytes = CENTRAL_BYTES + name + rml_le16(at + 30) + rml_le16(at + 32);
        if (bytes > room)
            return false;
        const uint8_t *end = at + CENTRAL_BYTES + name;
        if (name >= last && memcmp(end - last, last_name, last) == 0 &&
            (name == last || end[-(ptrdiff_t)last - 1] == '/'))
            return true;
        at += bytes;
        room -= bytes;
    }
    return false;
}

void rml_zip_release(rml_zip *zip)
{
    rml_free(zip->allocator, zip->entry);
    rml_names_release(&zip->names);
    zip->entry = NULL;
    zip->count = 0;
}

const rml_zip_entry *rml_zip_find(const rml_zip *zip, const char *name, size_t name_bytes)
{
    size_t index;
    return rml_names_find(&zip->names, name, name_bytes, &index) ? &zip->entry[index] : NULL;
}

static rml_status check_open(const rml_zip_entry *entry, const char *name, rml_error *err)
{
    if ((entry->flags & FLAG_ENCRYPTED) || entry->method == METHOD_AES)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "encrypted zip archive: \"%s\" needs a password; unpack it and save the "
                        "weights again without one",
                        name);
    return RML_OK;
}

// Where the entry's bytes lie, as they are stored.
static rml_status locate(const rml_zip *zip, const rml_zip_entry *entry, const char *name,
                         uint64_t *out, rml_error *err)
{
    uint64_t at = entry->header_offset;
    if (!rml_range_inside(at, LOCAL_BYTES, zip->size) ||
        rml_le32(zip->data + at) != LOCAL_SIGNATURE)
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged zip archive: no header of \"%s\" at byte %llu", name,
                        (unsigned long long)at);
    size_t name_bytes = rml_le16(zip->data + at + 26), extra_bytes = rml_le16(zip->data + at + 28);
    if (!rml_range_inside(at, LOCAL_BYTES + name_bytes + extra_bytes, zip->size) ||
        name_bytes != entry->name_bytes ||
        memcmp(zip->data + at + LOCAL_BYTES, entry->name, name_bytes) != 0)
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged zip archive: header and table disagree about \"%s\"", name);
    at += LOCAL_BYTES + name_bytes + extra_bytes;
    if ((entry->method == METHOD_STORED && entry->stored_bytes != entry->plain_bytes) ||
        !rml_range_inside(at, entry->stored_bytes, zip->size))
        return rml_fail(
            err, RML_ERR_FORMAT,
            "damaged zip archive: %llu bytes of \"%s\" at byte %llu leave a file of %zu",
            (unsigned long long)entry->stored_bytes, name, (unsigned long long)at, zip->size);
    *out = at;
    return RML_OK;
}

rml_status rml_zip_contents(const rml_zip *zip, const rml_zip_entry *entry, const uint8_t **data,
                            size_t *bytes, rml_error *err)
{
    char name[RML_QUOTE_BYTES];
    uint64_t at;
    rml_quote(name, entry->name, entry->name_bytes);
    RML_TRY(check_open(entry, name, err));
    if (entry->method != METHOD_STORED)
        return rml_fail(
            err, RML_ERR_UNSUPPORTED,
            "compressed zip archive: \"%s\" uses method %u, and weights must be stored "
            "plainly, as torch.save does; unpack it and look for the weights file inside",
            name, entry->method);
    RML_TRY(locate(zip, entry, name, &at, err));
    *data = zip->data + at;
    *bytes = (size_t)entry->stored_bytes;
    return RML_OK;
}

rml_status rml_zip_unpack(const rml_zip *zip, const rml_zip_entry *entry, rml_arena *arena,
                          const uint8_t **data, size_t *bytes, rml_error *err)
{
    char name[RML_QUOTE_BYTES];
    uint64_t at;
    if (entry->method != METHOD_DEFLATED)
        return rml_zip_contents(zip, entry, data, bytes, err);
    rml_quote(name, entry->name, entry->name_bytes);
    RML_TRY(check_open(entry, name, err));
    RML_TRY(locate(zip, entry, name, &at, err));
    if (entry->plain_bytes / RML_INFLATE_MOST > entry->stored_bytes ||
        entry->plain_bytes >= SIZE_MAX / 2)
        return rml_fail(
            err, RML_ERR_FORMAT, "damaged zip archive: %llu bytes cannot become the %llu of \"%s\"",
            (unsigned long long)entry->stored_bytes, (unsigned long long)entry->plain_bytes, name);
    uint8_t *out = rml_arena_alloc(arena, (size_t)entry->plain_bytes + 1, 1);
    if (!out)
        return rml_fail_nomem(err, (size_t)entry->plain_bytes, name);
    RML_TRY(rml_named(rml_inflate(zip->data + at, (size_t)entry->stored_bytes, out,
                                  (size_t)entry->plain_bytes, zip->allocator, err),
                      err, name));
    *data = out;
    *bytes = (size_t)entry->plain_bytes;
    return RML_OK;
}
