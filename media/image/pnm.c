// PNM by ourselves: stb knows neither the text forms nor the end of a file that is cut short.
#include "media/image/picture_codecs.h"

#include "media/image/frame.h"
#include "tensor/status.h"

typedef struct reader {
    const uint8_t *data;
    size_t size, at;
} reader;

static bool is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// A whole number of at most `most`, after blanks and comments; -1 for anything else.
static int64_t read_number(reader *r, int64_t most)
{
    while (r->at < r->size && (is_space(r->data[r->at]) || r->data[r->at] == '#')) {
        if (r->data[r->at] == '#')
            while (r->at < r->size && r->data[r->at] != '\n' && r->data[r->at] != '\r')
                r->at++;
        else
            r->at++;
    }
    int64_t value = -1;
    for (; r->at < r->size && r->data[r->at] >= '0' && r->data[r->at] <= '9'; r->at++) {
        value = (value < 0 ? 0 : value * 10) + (r->data[r->at] - '0');
        if (value > most)
            return -1;
    }
    return value;
}

// The next sample, or -1 past the end, for a text that is no number, and above the largest value.
static int64_t read_sample(reader *r, bool text, int64_t most)
{
    if (text)
        return read_number(r, most);
    const size_t bytes = most > 255 ? 2 : 1;
    if (r->size - r->at < bytes)
        return -1;
    int64_t value = r->data[r->at++];
    if (bytes == 2)
        value = value << 8 | r->data[r->at++];
    return value <= most ? value : -1;
}

// Black and white: a bit a pixel with rows of whole bytes, or a character each. 1 is black.
static rml_status decode_bits(rml_picture *out, reader *r, bool text, int width, int height,
                              const rml_allocator *allocator, rml_error *err)
{
    const size_t row = text ? (size_t)width : ((size_t)width + 7) / 8;
    r->at += !text;
    if (r->at > r->size || (r->size - r->at) / row < (size_t)height)
        return rml_fail(err, RML_ERR_FORMAT, "the PNM is cut short at byte %zu", r->size);
    RML_TRY(rml_picture_create(out, width, height, 1, 8, allocator, err));
    uint8_t *to = out->data;
    for (int y = 0; y < height; y++, r->at += text ? 0 : row)
        for (int x = 0; x < width; x++) {
            while (text && r->at < r->size && is_space(r->data[r->at]))
                r->at++;
            if (text && (r->at == r->size || (r->data[r->at] | 1) != '1'))
                return rml_fail(err, RML_ERR_FORMAT,
                                "the PNM is cut short or damaged at byte %zu: neither 0 nor 1",
                                r->at);
            const int byte = text ? r->data[r->at++] << 7 : r->data[r->at + (size_t)x / 8] << x % 8;
            *to++ = byte & 0x80 ? 0 : 255;
        }
    return RML_OK;
}

static rml_status decode(rml_picture *out, const uint8_t *data, size_t size,
                         const rml_allocator *allocator, rml_error *err)
{
    reader r = {data, size, 2};
    const bool text = data[1] <= '3', bits_only = data[1] == '1' || data[1] == '4';
    const int channels = data[1] == '3' || data[1] == '6' ? 3 : 1;
    const int64_t width = read_number(&r, INT32_MAX), height = read_number(&r, INT32_MAX);
    const int64_t most = bits_only ? 1 : read_number(&r, 65535);
    if (width < 0 || height < 0 || most < 1)
        return rml_fail(err, RML_ERR_FORMAT, "the PNM's header is damaged or cut short");
    RML_TRY(rml_frame_check_size(width, height, "image", err));
    if (bits_only)
        return decode_bits(out, &r, text, (int)width, (int)height, allocator, err);
    r.at += !text; // the one blank before binary samples
    // A sample takes a byte at least: no memory for a header that lies.
    const size_t count = (size_t)width * (size_t)height * (size_t)channels;
    if (r.at > size || size - r.at < count)
        return rml_fail(err, RML_ERR_FORMAT, "the PNM is cut short at byte %zu", size);
    const int bits = most > 255 ? 16 : 8, full = bits == 16 ? 65535 : 255;
    RML_TRY(rml_picture_create(out, (int)width, (int)height, channels, bits, allocator, err));
    for (size_t i = 0; i < count; i++) {
        const int64_t value = read_sample(&r, text, most);
        if (value < 0)
            return rml_fail(err, RML_ERR_FORMAT,
                            "the PNM is cut short or damaged at byte %zu: sample %zu of %zu is no "
                            "number up to %lld",
                            r.at, i + 1, count, (long long)most);
        const int64_t scaled = (value * full + most / 2) / most;
        if (bits == 16)
            ((uint16_t *)out->data)[i] = (uint16_t)scaled;
        else
            ((uint8_t *)out->data)[i] = (uint8_t)scaled;
    }
    return RML_OK;
}

const rml_picture_codec rml_pnm_codec = {.kind = RML_IMAGE_PNM, .decode = decode};
