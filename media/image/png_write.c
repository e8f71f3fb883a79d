// PNG (ISO/IEC 15948): one image data chunk, a filter chosen for each row.
#include "media/image/picture_codecs.h"

#ifdef RML_WITH_STB

#include "tensor/alloc.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

// stb's compressor counts in int and doubles its buffer.
#define MAX_RAW_BYTES ((size_t)1 << 29)
#define FILTERS 5

static uint32_t crc32_of(uint32_t crc, const uint8_t *data, size_t size)
{
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190,
                                       0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344,
                                       0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278,
                                       0xbdbdf21c}; // of 4 bits, polynomial edb88320
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

static void put_big_endian(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put_chunk(FILE *file, const char *name, const uint8_t *data, size_t size)
{
    uint8_t head[8], tail[4];
    put_big_endian(head, (uint32_t)size);
    memcpy(head + 4, name, 4);
    put_big_endian(tail, ~crc32_of(crc32_of(~0u, head + 4, 4), data, size));
    fwrite(head, 1, sizeof head, file);
    if (size > 0)
        fwrite(data, 1, size, file);
    fwrite(tail, 1, sizeof tail, file);
}

static void put_image_data(void *user, const uint8_t *data, size_t size)
{
    put_chunk(user, "IDAT", data, size);
}

static int paeth(int left, int up, int corner)
{
    const int guess = left + up - corner;
    const int a = abs(guess - left), b = abs(guess - up), c = abs(guess - corner);
    return a <= b && a <= c ? left : b <= c ? up : corner;
}

// Writes the row with its filter's number in front to `out`, and returns the sum of what is left,
// taken as signed: the usual guess of what it will cost.
static size_t filter_row(int filter, const uint8_t *row, const uint8_t *above, size_t bytes,
                         size_t pixel, uint8_t *out)
{
    size_t cost = 0;
    *out++ = (uint8_t)filter;
    for (size_t i = 0; i < bytes; i++) {
        const int left = i >= pixel ? row[i - pixel] : 0, up = above[i];
        const int corner = i >= pixel ? above[i - pixel] : 0;
        const int guess = filter == 0   ? 0
                          : filter == 1 ? left
                          : filter == 2 ? up
                          : filter == 3 ? (left + up) / 2
                                        : paeth(left, up, corner);
        out[i] = (uint8_t)(row[i] - guess);
        cost += (size_t)abs((int8_t)out[i]);
    }
    return cost;
}

// The samples of a row as bytes, the higher one first.
static void row_bytes(const rml_picture *picture, int y, uint8_t *out)
{
    const size_t pitch = rml_picture_pitch(picture);
    const uint8_t *row = (const uint8_t *)picture->data + (size_t)y * pitch;
    if (picture->bits == 8) {
        memcpy(out, row, pitch);
        return;
    }
    const uint16_t *samples = (const uint16_t *)(const void *)row;
    for (size_t i = 0; i < pitch / 2; i++) {
        out[2 * i] = (uint8_t)(samples[i] >> 8);
        out[2 * i + 1] = (uint8_t)samples[i];
    }
}

// All rows, each with the filter that promises the smallest file. `scratch` holds two rows and one
// filtered row.
static void filter_all(const rml_picture *picture, uint8_t *out, uint8_t *scratch)
{
    const size_t bytes = rml_picture_pitch(picture);
    const size_t pixel = (size_t)picture->channels * (size_t)(picture->bits / 8);
    uint8_t *row = scratch, *above = scratch + bytes, *tried = scratch + 2 * bytes;
    memset(above, 0, bytes);
    for (int y = 0; y < picture->height; y++, out += bytes + 1) {
        row_bytes(picture, y, row);
        size_t best = filter_row(0, row, above, bytes, pixel, out);
        for (int filter = 1; filter < FILTERS; filter++) {
            const size_t cost = filter_row(filter, row, above, bytes, pixel, tried);
            if (cost < best) {
                best = cost;
                memcpy(out, tried, bytes + 1);
            }
        }
        uint8_t *last = above;
        above = row;
        row = last;
    }
}

rml_status rml_png_write(FILE *file, const rml_picture *picture, const rml_allocator *allocator,
                         rml_error *err)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    static const uint8_t colour_types[] = {0, 0, 4, 2, 6}; // by channels
    const size_t row = rml_picture_pitch(picture) + 1;
    const size_t raw = row * (size_t)picture->height;
    if (raw > MAX_RAW_BYTES)
        return rml_fail(err, RML_ERR_LIMIT, "a PNG of %zu bytes of samples, the limit is %zu", raw,
                        MAX_RAW_BYTES);
    uint8_t *memory = rml_alloc(allocator, raw + 3 * row);
    if (!memory)
        return rml_fail_nomem(err, raw + 3 * row, "the rows of a PNG");
    filter_all(picture, memory, memory + raw);
    uint8_t header[13] = {0};
    put_big_endian(header, (uint32_t)picture->width);
    put_big_endian(header + 4, (uint32_t)picture->height);
    header[8] = (uint8_t)picture->bits;
    header[9] = colour_types[picture->channels];
    fwrite(signature, 1, sizeof signature, file);
    put_chunk(file, "IHDR", header, sizeof header);
    rml_status status = rml_stb_deflate(memory, raw, put_image_data, file, err);
    put_chunk(file, "IEND", NULL, 0);
    rml_free(allocator, memory);
    return status;
}

#endif
