#define _POSIX_C_SOURCE 200809L
#include "media/files/xmp.h"

#include "tensor/mapfile.h"
#include "tensor/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

enum {
    UUID_BYTES = 16,
    BOX_HEAD = 8, // size and type; chunks of RIFF too
    BOX_LARGE = 16,
    RIFF_HEAD = 12,
};

// Of a box of XMP (ISO 16684-1, part 3).
static const uint8_t xmp_uuid[UUID_BYTES] = {0xBE, 0x7A, 0xCF, 0xCB, 0x97, 0xA9, 0x42, 0xE8,
                                             0x9C, 0x71, 0x99, 0x94, 0x91, 0xE3, 0xAF, 0xAC};

typedef struct bytes {
    const uint8_t *data;
    size_t size;
} bytes;

static uint64_t big(const uint8_t *p, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | p[i];
    return value;
}

static uint32_t little(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put(uint8_t *p, uint32_t value, bool is_big)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> 8 * (is_big ? 3 - i : i));
}

const char *rml_video_format_name(rml_video_format format)
{
    static const char *const names[] = {"no video", "mp4", "avi", "matroska"};
    return (unsigned)format < sizeof names / sizeof *names ? names[format] : "?";
}

static rml_video_format format_of(const uint8_t head[RIFF_HEAD])
{
    if (memcmp(head + 4, "ftyp", 4) == 0)
        return RML_VIDEO_MP4;
    if (memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "AVI ", 4) == 0)
        return RML_VIDEO_AVI;
    return memcmp(head, "\x1A\x45\xDF\xA3", 4) == 0 ? RML_VIDEO_MATROSKA : RML_VIDEO_NONE;
}

// ---- writing -----------------------------------------------------------------------------------

// Adds `more` bytes to the size of the last RIFF list; of large AVIs there are several.
static bool grow_riff(FILE *file, off_t end, uint32_t more)
{
    uint8_t head[BOX_HEAD];
    off_t at = 0, last = -1;
    uint32_t size = 0;
    while (at + RIFF_HEAD <= end) {
        if (fseeko(file, at, SEEK_SET) != 0 || fread(head, 1, sizeof head, file) != sizeof head ||
            memcmp(head, "RIFF", 4) != 0)
            return false;
        last = at;
        size = little(head + 4);
        at += BOX_HEAD + (off_t)size + size % 2;
    }
    if (last < 0 || at != end || size > UINT32_MAX - more)
        return false;
    put(head + 4, size + more, false);
    return fseeko(file, last + 4, SEEK_SET) == 0 && fwrite(head + 4, 1, 4, file) == 4;
}

static bool append(FILE *file, rml_video_format format, const char *packet, size_t length)
{
    uint8_t head[BOX_HEAD + UUID_BYTES];
    const bool avi = format == RML_VIDEO_AVI, odd = avi && length % 2;
    const size_t head_bytes = avi ? BOX_HEAD : sizeof head;
    off_t end;
    if (fseeko(file, 0, SEEK_END) != 0 || (end = ftello(file)) < 0)
        return false;
    if (avi) {
        memcpy(head, "_PMX", 4);
        put(head + 4, (uint32_t)length, false);
        if (!grow_riff(file, end, (uint32_t)(head_bytes + length + odd)) ||
            fseeko(file, end, SEEK_SET) != 0)
            return false;
    } else {
        put(head, (uint32_t)(head_bytes + length), true);
        memcpy(head + 4, "uuid", 4);
        memcpy(head + BOX_HEAD, xmp_uuid, UUID_BYTES);
    }
    return fwrite(head, 1, head_bytes, file) == head_bytes &&
           fwrite(packet, 1, length, file) == length && (!odd || putc(0, file) != EOF);
}

rml_status rml_xmp_append(const char *path, rml_video_format format, const char *packet,
                          rml_error *err)
{
    const size_t length = strlen(packet);
    if (length > RML_XMP_MAX_BYTES)
        return rml_fail(err, RML_ERR_LIMIT, "%s: %zu bytes of XMP, and at most %zu are written",
                        path, length, RML_XMP_MAX_BYTES);
    if (format != RML_VIDEO_MP4 && format != RML_VIDEO_AVI)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: %s takes no XMP at its end", path,
                        rml_video_format_name(format));
    errno = 0;
    FILE *file = fopen(path, "r+b");
    bool done = file && append(file, format, packet, length);
    if (file && fclose(file) != 0)
        done = false;
    return done ? RML_OK
                : rml_fail(err, RML_ERR_IO,
                           "%s: what the file says of itself cannot be written: %s", path,
                           errno ? rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0})
                                 : "its end is not where it should be");
}

// ---- reading -----------------------------------------------------------------------------------

static bytes find_in_mp4(bytes file)
{
    size_t at = 0;
    while (file.size - at >= BOX_HEAD) {
        const uint8_t *box = file.data + at;
        const size_t left = file.size - at;
        uint64_t size = big(box, 4), head = BOX_HEAD;
        if (size == 1) {
            if (left < BOX_LARGE)
                break;
            size = big(box + BOX_HEAD, 8);
            head = BOX_LARGE;
        } else if (size == 0) {
            size = left;
        }
        if (size < head || size > left)
            break;
        if (memcmp(box + 4, "uuid", 4) == 0 && size - head >= UUID_BYTES &&
            memcmp(box + head, xmp_uuid, UUID_BYTES) == 0)
            return (bytes){box + head + UUID_BYTES, (size_t)(size - head) - UUID_BYTES};
        at += (size_t)size;
    }
    return (bytes){0};
}

static bytes find_in_riff(bytes file)
{
    size_t at = 0;
    while (file.size - at >= BOX_HEAD) {
        const uint8_t *chunk = file.data + at;
        const size_t left = file.size - at - BOX_HEAD, size = little(chunk + 4);
        if (memcmp(chunk, "RIFF", 4) == 0 && left >= 4) { // its chunks follow
            at += RIFF_HEAD;
            continue;
        }
        if (size > left)
            break;
        if (memcmp(chunk, "_PMX", 4) == 0)
            return (bytes){chunk + BOX_HEAD, size};
        at += BOX_HEAD + size + (size < left ? size % 2 : 0);
    }
    return (bytes){0};
}

// An element of EBML.
typedef struct element {
    uint64_t id;
    bytes body;
} element;

// A number whose first byte says by its leading zeros how many bytes it has; 0: there is none.
static int ebml_length(const bytes *b, size_t at, int most)
{
    for (int n = 1; at < b->size && n <= most; n++)
        if (b->data[at] & 0x100 >> n)
            return (size_t)n <= b->size - at ? n : 0;
    return 0;
}

static bool ebml_next(const bytes *b, size_t *at, element *out)
{
    const int id = ebml_length(b, *at, 4);
    const int size = id ? ebml_length(b, *at + (size_t)id, 8) : 0;
    if (!size)
        return false;
    const uint8_t *p = b->data + *at + id;
    const size_t begin = *at + (size_t)id + (size_t)size;
    const uint64_t mask = (UINT64_C(1) << 7 * size) - 1;
    uint64_t length = big(p, size) & mask;
    if (length == mask) // unknown: to the end
        length = b->size - begin;
    if (length > b->size - begin)
        return false;
    *out = (element){big(b->data + *at, id), {b->data + begin, (size_t)length}};
    *at = begin + (size_t)length;
    return true;
}

static bytes find_in_matroska(bytes file)
{
    enum { DEPTH = 4 };
    // Segment, Tags, Tag, SimpleTag; then TagName and TagString.
    static const uint64_t path[DEPTH] = {0x18538067, 0x1254C367, 0x7373, 0x67C8};
    enum { NAME = 0x45A3, STRING = 0x4487 };
    bytes level[DEPTH + 1] = {file};
    size_t at[DEPTH + 1] = {0};
    int depth = 0;
    bool named = false;
    while (depth >= 0) {
        element e;
        if (!ebml_next(&level[depth], &at[depth], &e)) {
            depth--;
        } else if (depth == DEPTH) {
            if (e.id == NAME)
                named = e.body.size == strlen(RML_XMP_TAG) &&
                        memcmp(e.body.data, RML_XMP_TAG, e.body.size) == 0;
            else if (e.id == STRING && named)
                return e.body;
        } else if (e.id == path[depth]) {
            level[++depth] = e.body;
            at[depth] = 0;
            named = false;
        }
    }
    return (bytes){0};
}

rml_status rml_xmp_find(char **packet, rml_video_format *format, const char *path,
                        const rml_allocator *allocator, rml_error *err)
{
    rml_mapfile file;
    *packet = NULL;
    *format = RML_VIDEO_NONE;
    RML_TRY(rml_mapfile_open(&file, path, err));
    rml_mapfile_expect(&file, RML_ACCESS_SCATTERED);
    const bytes all = {file.data, file.size};
    if (all.size >= RIFF_HEAD)
        *format = format_of(all.data);
    const bytes found = *format == RML_VIDEO_MP4        ? find_in_mp4(all)
                        : *format == RML_VIDEO_AVI      ? find_in_riff(all)
                        : *format == RML_VIDEO_MATROSKA ? find_in_matroska(all)
                                                        : (bytes){0};
    rml_status status = RML_OK;
    if (found.data && found.size <= RML_XMP_MAX_BYTES) {
        char *text = rml_alloc_zero(allocator, found.size + 1, 1);
        if (text)
            memcpy(text, found.data, found.size);
        else
            status = rml_fail_nomem(err, found.size + 1, "XMP");
        *packet = text;
    }
    rml_mapfile_close(&file);
    return status;
}
