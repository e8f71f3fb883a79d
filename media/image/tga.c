// TGA by ourselves: stb takes what is missing at the end of a file for zeros and tells nobody.
#include "media/image/picture_codecs.h"

#include "loaders/formats/bytes.h"
#include "media/image/frame.h"
#include "tensor/status.h"

#include <string.h>

#define HEADER_BYTES 18
enum { PALETTE = 1, COLOUR = 2, GRAY = 3, RUN_LENGTH = 8 };
enum { FROM_RIGHT = 0x10, FROM_TOP = 0x20 };

typedef struct reader {
    const uint8_t *data;
    size_t size, at;
    size_t pixel_bytes;
    bool runs;
    int left, repeats;   // pixels left of a packet, and whether they are all the same
    const uint8_t *last; // the pixel that repeats
} reader;

// The stored bytes of the next pixel, or NULL past the end.
static const uint8_t *next_pixel(reader *r)
{
    if (r->runs && r->left == 0) {
        if (r->at >= r->size)
            return NULL;
        const uint8_t packet = r->data[r->at++];
        r->left = (packet & 127) + 1;
        r->repeats = packet >> 7;
        r->last = NULL;
    }
    if (r->runs)
        r->left--;
    if (r->runs && r->repeats && r->last)
        return r->last;
    if (r->size - r->at < r->pixel_bytes)
        return NULL;
    r->last = r->data + r->at;
    r->at += r->pixel_bytes;
    return r->last;
}

// Blue, green, red to RGB; 15 and 16 bits hold 5 of each.
static void unpack(const uint8_t *from, size_t bytes, uint8_t *to)
{
    if (bytes == 1) {
        to[0] = from[0];
    } else if (bytes == 2) {
        const unsigned value = rml_le16(from);
        for (int c = 0; c < 3; c++)
            to[c] = (uint8_t)(((value >> (10 - 5 * c) & 31) * 255 + 15) / 31);
    } else {
        to[0] = from[2], to[1] = from[1], to[2] = from[0];
        if (bytes == 4)
            to[3] = from[3];
    }
}

static int channels_of(size_t bytes)
{
    return bytes == 1 ? 1 : bytes == 4 ? 4 : 3;
}

// Bytes of an entry of 8, 15, 16, 24 or 32 bits; 0 for other numbers.
static size_t entry_bytes(unsigned bits)
{
    return bits == 8 || bits == 15 || bits == 16 || bits == 24 || bits == 32 ? (bits + 7) / 8 : 0;
}

static rml_status decode(rml_picture *out, const uint8_t *data, size_t size,
                         const rml_allocator *allocator, rml_error *err)
{
    if (size < HEADER_BYTES)
        return rml_fail(err, RML_ERR_FORMAT, "the TGA is cut short at byte %zu", size);
    const int kind = data[2] & ~RUN_LENGTH;
    const size_t first = rml_le16(data + 3), entries = rml_le16(data + 5);
    const int width = rml_le16(data + 12), height = rml_le16(data + 14);
    const size_t colour_bytes = entry_bytes(kind == PALETTE ? data[7] : data[16]);
    const size_t pixel_bytes = entry_bytes(data[16]);
    const size_t palette_bytes = data[1] ? entries * entry_bytes(data[7]) : 0;
    if (kind < PALETTE || kind > GRAY || data[1] > 1 || colour_bytes == 0 || pixel_bytes == 0 ||
        (kind == PALETTE && (!data[1] || pixel_bytes > 2)) || (kind == GRAY && pixel_bytes > 2) ||
        (kind == COLOUR && pixel_bytes == 1))
        return rml_fail(err, RML_ERR_FORMAT, "not a TGA image: type %d with %d bits a pixel",
                        data[2], data[16]);
    RML_TRY(rml_frame_check_size(width, height, "image", err));
    const size_t palette_at = HEADER_BYTES + (size_t)data[0];
    reader r = {.data = data,
                .size = size,
                .at = palette_at + palette_bytes,
                .pixel_bytes = pixel_bytes,
                .runs = (data[2] & RUN_LENGTH) != 0};
    // A packet of two bytes or more makes at most 128 pixels: no memory for a header that lies.
    const size_t pixels = (size_t)width * (size_t)height;
    if (r.at > size || (size - r.at) * (r.runs ? 128 : 1) < pixels)
        return rml_fail(err, RML_ERR_FORMAT, "the TGA is cut short at byte %zu", size);
    const int channels = kind == GRAY ? (int)pixel_bytes : channels_of(colour_bytes);
    RML_TRY(rml_picture_create(out, width, height, channels, 8, allocator, err));
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t *stored = next_pixel(&r);
        if (!stored)
            return rml_fail(err, RML_ERR_FORMAT, "the TGA is cut short at byte %zu", size);
        size_t y = i / (size_t)width, x = i % (size_t)width;
        y = data[17] & FROM_TOP ? y : (size_t)height - 1 - y;
        x = data[17] & FROM_RIGHT ? (size_t)width - 1 - x : x;
        uint8_t *to = (uint8_t *)out->data + (y * (size_t)width + x) * (size_t)channels;
        if (kind == PALETTE) {
            const size_t index = pixel_bytes == 1 ? stored[0] : rml_le16(stored);
            if (index < first || index - first >= entries)
                return rml_fail(err, RML_ERR_FORMAT,
                                "the TGA is damaged: colour %zu of a palette of %zu", index,
                                entries);
            unpack(data + palette_at + (index - first) * colour_bytes, colour_bytes, to);
        } else if (kind == GRAY) {
            memcpy(to, stored, pixel_bytes);
        } else {
            unpack(stored, colour_bytes, to);
        }
    }
    return RML_OK;
}

const rml_picture_codec rml_tga_codec = {.kind = RML_IMAGE_TGA, .decode = decode};
