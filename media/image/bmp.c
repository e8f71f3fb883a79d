// BMP by ourselves: stb takes palettes of OS/2 for what they are not, refuses half of the others,
// and there is no library that does it better.
#include "media/image/picture_codecs.h"

#include "loaders/formats/bytes.h"
#include "tensor/alloc.h"
#include "tensor/size.h"
#include "tensor/status.h"

#include <string.h>

enum {
    FILE_HEADER = 14,
    CORE_HEADER = 12,
    INFO_HEADER = 40,
    OS2_HEADER = 64,
    ACROSS_AT = 38,
    MASKS_AT = 54
};
enum { RGB = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3, ALPHABITFIELDS = 6 };

// The bits of a pixel that are one of its colours: 0 to `most` when shifted; 0 where there is none.
typedef struct field {
    uint32_t mask, most;
    int shift;
} field;

typedef struct bmp {
    const uint8_t *data;
    size_t size, pixels_at;
    int width, height;
    bool from_top;
    unsigned bits, compression;
    field fields[4];          // red, green, blue, alpha
    uint8_t palette[256 * 3]; // RGB; black where the file says nothing
    const rml_allocator *allocator;
} bmp;

static rml_status cut_short(const bmp *b, rml_error *err)
{
    return rml_fail(err, RML_ERR_FORMAT, "the BMP is cut short at byte %zu", b->size);
}

// ---- headers ----------------------------------------------------------------------------------

static void read_palette(bmp *b, size_t at, size_t entry, size_t count)
{
    // Palettes end where the pixels begin, whatever their header says.
    const size_t room = b->pixels_at > at ? (b->pixels_at - at) / entry : 0;
    count = count < room ? count : room;
    for (size_t i = 0; i < count && i < 256 && rml_range_inside(at + i * entry, 3, b->size); i++)
        for (size_t c = 0; c < 3; c++)
            b->palette[3 * i + c] = b->data[at + i * entry + 2 - c];
}

static rml_status check_kind(const bmp *b, size_t header, rml_error *err)
{
    const unsigned bits = b->bits;
    const bool packed = header == OS2_HEADER && b->compression > RLE4; // other codes in OS/2
    const bool known =
        !packed &&
        ((b->compression == RGB && (bits == 1 || bits == 2 || bits == 4 || bits == 8 ||
                                    bits == 16 || bits == 24 || bits == 32)) ||
         (b->compression == RLE8 && bits == 8) || (b->compression == RLE4 && bits == 4) ||
         ((b->compression == BITFIELDS || b->compression == ALPHABITFIELDS) &&
          (bits == 16 || bits == 32)));
    if (known)
        return RML_OK;
    return rml_fail(err, RML_ERR_UNSUPPORTED, "a BMP of %u bits a pixel with compression %u", bits,
                    b->compression);
}

static field field_of(uint32_t mask)
{
    int shift = 0;
    while (mask && !(mask >> shift & 1))
        shift++;
    return (field){mask, mask >> shift, shift};
}

static void read_masks(bmp *b, size_t header)
{
    static const uint32_t usual[2][4] = {{0x7C00, 0x03E0, 0x001F, 0},
                                         {0xFF0000, 0xFF00, 0xFF, 0xFF000000}};
    const bool stated = b->compression != RGB;
    const bool alpha = b->compression == ALPHABITFIELDS || header >= 56;
    for (size_t c = 0; c < 4; c++) {
        const size_t at = MASKS_AT + 4 * c;
        const bool there = (c < 3 || alpha) && rml_range_inside(at, 4, b->size);
        b->fields[c] = field_of(!stated ? usual[b->bits != 16][c]
                                : there ? rml_le32(b->data + at)
                                        : 0);
    }
}

static rml_status read_headers(bmp *b, rml_error *err)
{
    if (b->size < FILE_HEADER + CORE_HEADER)
        return cut_short(b, err);
    const uint8_t *h = b->data + FILE_HEADER;
    const size_t header = rml_le32(h);
    const bool core = header == CORE_HEADER;
    if (!core && (header < 16 || header > 124))
        return rml_fail(err, RML_ERR_FORMAT, "not a BMP that can be read: a header of %zu bytes",
                        header);
    if (b->size - FILE_HEADER < header)
        return cut_short(b, err);
    int64_t height = core ? (int64_t)rml_le16(h + 6) : (int64_t)(int32_t)rml_le32(h + 8);
    const int64_t width = core ? (int64_t)rml_le16(h + 4) : (int64_t)(int32_t)rml_le32(h + 4);
    b->from_top = height < 0;
    height = height < 0 ? -height : height;
    b->bits = rml_le16(h + (core ? 10 : 14));
    b->compression = header >= 20 ? rml_le32(h + 16) : RGB; // shorter ones end before
    RML_TRY(check_kind(b, header, err));
    RML_TRY(rml_frame_check_size(width, height, "image", err));
    b->width = (int)width;
    b->height = (int)height;
    read_masks(b, header);
    size_t palette_at = FILE_HEADER + header;
    if (header == INFO_HEADER && b->compression >= BITFIELDS)
        palette_at += b->compression == ALPHABITFIELDS ? 16 : 12;
    const size_t entry = core ? 3 : 4, used = header >= 36 ? rml_le32(h + 32) : 0;
    const size_t most = b->bits <= 8 ? (size_t)1 << b->bits : 0;
    const size_t count = used && used < most ? used : most;
    b->pixels_at = rml_le32(b->data + 10);
    if (b->pixels_at < palette_at) // not stated
        b->pixels_at = palette_at + count * entry;
    read_palette(b, palette_at, entry, count);
    return RML_OK;
}

// ---- pixels -----------------------------------------------------------------------------------

static uint8_t *row_of(const bmp *b, const rml_picture *out, int y)
{
    const int from_top = b->from_top ? y : b->height - 1 - y;
    return (uint8_t *)out->data + (size_t)from_top * rml_picture_pitch(out);
}

static void put_index(const bmp *b, uint8_t *row, int x, unsigned index)
{
    memcpy(row + 3 * (size_t)x, b->palette + 3 * (size_t)index, 3);
}

// The colour as 0 to 255, cut as Pillow does.
static uint8_t colour_of(uint32_t pixel, const field *f)
{
    const uint32_t value = (pixel & f->mask) >> f->shift;
    return (uint8_t)(f->most == 255 || f->most == 0 ? value : (uint64_t)value * 255 / f->most);
}

static void put_row(const bmp *b, const uint8_t *from, uint8_t *to, int channels)
{
    const unsigned bits = b->bits;
    for (int x = 0; x < b->width; x++, to += channels) {
        if (bits <= 8) {
            const unsigned shift = 8 - bits - (unsigned)x * bits % 8;
            put_index(b, to, 0, from[(size_t)x * bits / 8] >> shift & ((1u << bits) - 1));
        } else if (bits == 24) {
            to[0] = from[3 * x + 2], to[1] = from[3 * x + 1], to[2] = from[3 * x];
        } else {
            const uint32_t pixel = bits == 16 ? rml_le16(from + 2 * x) : rml_le32(from + 4 * x);
            for (int c = 0; c < channels; c++)
                to[c] = colour_of(pixel, &b->fields[c]);
        }
    }
}

static rml_status decode_plain(const bmp *b, rml_picture *out, rml_error *err)
{
    const size_t row = ((size_t)b->width * b->bits + 31) / 32 * 4; // stored, of which the last
    const size_t used = ((size_t)b->width * b->bits + 7) / 8;      // one may end with its pixels
    if (!rml_range_inside(b->pixels_at, row * (size_t)(b->height - 1) + used, b->size))
        return cut_short(b, err);
    const uint8_t *from = b->data + b->pixels_at;
    bool alpha = b->bits > 8 && b->bits != 24 && b->fields[3].mask;
    if (alpha && b->compression == RGB) { // which leaves the fourth byte to its writer
        alpha = false;
        for (int y = 0; y < b->height && !alpha; y++)
            for (int x = 0; x < b->width && !alpha; x++)
                alpha = from[row * (size_t)y + 4 * (size_t)x + 3] != 0;
    }
    const int channels = alpha ? 4 : 3;
    RML_TRY(rml_picture_create(out, b->width, b->height, channels, 8, b->allocator, err));
    for (int y = 0; y < b->height; y++)
        put_row(b, from + row * (size_t)y, row_of(b, out, y), channels);
    return RML_OK;
}

// Runs of two bytes, the first how many pixels; 0 and then: 0 ends the row, 1 the image, 2 moves on
// by the two bytes behind, others are that many pixels as they are, in whole words.
static rml_status decode_runs(const bmp *b, rml_picture *out, rml_error *err)
{
    enum { END_OF_ROW = 0, END = 1, MOVE = 2, MOST_PIXELS_A_BYTE = 1 << 15 };
    const unsigned per_byte = 8 / b->bits;
    int x = 0, y = 0;
    // Two bytes make 255 pixels, or skip as many rows: no memory for a header that lies.
    if ((size_t)b->width * (size_t)b->height / MOST_PIXELS_A_BYTE > b->size)
        return cut_short(b, err);
    RML_TRY(rml_picture_create(out, b->width, b->height, 3, 8, b->allocator, err));
    for (int k = 0; k < b->width; k++)
        put_index(b, out->data, k, 0);
    for (int i = 1; i < b->height; i++)
        memcpy((uint8_t *)out->data + (size_t)i * rml_picture_pitch(out), out->data,
               rml_picture_pitch(out));
    for (size_t at = b->pixels_at;; at += 2) {
        if (!rml_range_inside(at, 2, b->size)) {
            if (y < b->height - 1 || (y == b->height - 1 && x < b->width))
                return cut_short(b, err);
            rml_picture_remark(out, "the BMP has no end marker");
            return RML_OK;
        }
        const unsigned count = b->data[at], code = b->data[at + 1];
        const bool as_it_is = count == 0 && code > MOVE;
        const size_t bytes = as_it_is ? (code + per_byte - 1) / per_byte : 0;
        if (count == 0 && code == END)
            return RML_OK;
        if (count == 0 && code == END_OF_ROW) {
            x = 0;
            y++;
            continue;
        }
        if (!rml_range_inside(at + 2, as_it_is ? bytes : count == 0 ? 2 : 0, b->size))
            return cut_short(b, err);
        if (count == 0 && code == MOVE) {
            x += b->data[at + 2];
            y += b->data[at + 3];
            at += 2;
        }
        const unsigned pixels = as_it_is ? code : count;
        if (x > b->width || y > b->height)
            return rml_fail(err, RML_ERR_FORMAT, "the BMP is damaged: a run at column %d of row %d",
                            x, y);
        for (unsigned i = 0; i < pixels && x < b->width && y < b->height; i++, x++) {
            const unsigned byte = as_it_is ? b->data[at + 2 + i / per_byte] : code;
            put_index(b, row_of(b, out, y), x,
                      per_byte == 1 ? byte
                      : i % 2       ? byte & 15
                                    : byte >> 4);
        }
        at += (bytes + 1) / 2 * 2;
    }
}

// BMP has gray as a palette of grays only.
static void to_gray(rml_picture *picture)
{
    const size_t pixels = (size_t)picture->width * (size_t)picture->height;
    uint8_t *data = picture->data;
    for (size_t i = 0; i < pixels; i++)
        if (data[3 * i] != data[3 * i + 1] || data[3 * i] != data[3 * i + 2])
            return;
    for (size_t i = 0; i < pixels; i++)
        data[i] = data[3 * i];
    picture->channels = 1;
}

static rml_status decode(rml_picture *out, const uint8_t *data, size_t size,
                         const rml_allocator *allocator, rml_error *err)
{
    bmp b = {.data = data, .size = size, .allocator = allocator};
    RML_TRY(read_headers(&b, err));
    const bool runs = b.compression == RLE8 || b.compression == RLE4;
    RML_TRY(runs ? decode_runs(&b, out, err) : decode_plain(&b, out, err));
    if (b.bits <= 8)
        to_gray(out);
    if (rml_le32(data + FILE_HEADER) >= INFO_HEADER) {
        out->across = rml_picture_per_inch(rml_le32(data + ACROSS_AT));
        out->down = rml_picture_per_inch(rml_le32(data + ACROSS_AT + 4));
    }
    return RML_OK;
}

// ---- writing ----------------------------------------------------------------------------------

static size_t put(uint8_t *out, size_t at, size_t bytes, uint32_t value)
{
    for (size_t i = 0; i < bytes; i++)
        out[at + i] = (uint8_t)(value >> 8 * i);
    return at + bytes;
}

// Gray by a palette, RGB, or RGB and alpha with masks that say so.
static rml_status encode(FILE *file, const rml_picture *picture, const rml_allocator *allocator,
                         rml_error *err)
{
    enum { MASKS_HEADER = 108, MOST = FILE_HEADER + MASKS_HEADER + 1024 };
    const size_t channels = (size_t)picture->channels, width = (size_t)picture->width;
    const size_t row = (width * channels + 3) / 4 * 4, pixels = row * (size_t)picture->height;
    const size_t header = channels == 4 ? MASKS_HEADER : INFO_HEADER;
    const size_t pixels_at = FILE_HEADER + header + (channels == 1 ? 1024 : 0);
    uint8_t head[MOST] = {'B', 'M'}, *line = rml_alloc_zero(allocator, row, 1);
    if (!line)
        return rml_fail_nomem(err, row, "a row of a BMP");
    put(head, 2, 4, (uint32_t)(pixels_at + pixels));
    put(head, 10, 4, (uint32_t)pixels_at);
    put(head, 14, 4, (uint32_t)header);
    put(head, 18, 4, (uint32_t)picture->width);
    put(head, 22, 4, (uint32_t)picture->height);
    put(head, 26, 2, 1);
    put(head, 28, 2, (uint32_t)(8 * channels));
    put(head, 30, 4, channels == 4 ? BITFIELDS : RGB);
    put(head, 34, 4, (uint32_t)pixels);
    put(head, ACROSS_AT, 4, rml_picture_per_metre(picture->across));
    put(head, ACROSS_AT + 4, 4, rml_picture_per_metre(picture->down));
    for (size_t c = 0; c < 4 && channels == 4; c++)
        put(head, MASKS_AT + 4 * c, 4, 0xFFu << (c == 3 ? 24 : 16 - 8 * c));
    for (size_t i = 0; i < 256 && channels == 1; i++)
        put(head, FILE_HEADER + header + 4 * i, 4, (uint32_t)(i * 0x010101));
    fwrite(head, 1, pixels_at, file);
    for (int y = picture->height - 1; y >= 0 && !ferror(file); y--) {
        const uint8_t *from = (const uint8_t *)picture->data + (size_t)y * width * channels;
        memcpy(line, from, width * channels);
        for (size_t i = 0; i < width && channels >= 3; i++) { // blue comes first
            line[i * channels] = from[i * channels + 2];
            line[i * channels + 2] = from[i * channels];
        }
        fwrite(line, 1, row, file);
    }
    rml_free(allocator, line);
    return RML_OK;
}

const rml_picture_codec rml_bmp_codec = {
    .kind = RML_IMAGE_BMP, .decode = decode, .encode = encode, .gray = true, .alpha = true};
