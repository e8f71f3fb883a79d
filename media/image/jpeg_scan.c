#include "media/image/picture_codecs.h"

#include <string.h>

enum {
    MARKER_DHT = 0xC4,
    MARKER_SOI = 0xD8,
    MARKER_EOI = 0xD9,
    MARKER_SOS = 0xDA,
    MARKER_APP1 = 0xE1,
    MARKER_TEM = 0x01,
};

static rml_orientation exif_orientation(const uint8_t *segment, size_t size)
{
    static const char header[6] = "Exif\0";
    if (size < sizeof header || memcmp(segment, header, sizeof header) != 0)
        return RML_ORIENT_NORMAL;
    return rml_exif_orientation(segment + sizeof header, size - sizeof header);
}

// Each table: a byte of class and number, 16 counts of codes, then that many values.
static bool huffman_tables_valid(const uint8_t *segment, size_t size)
{
    enum { LENGTHS = 16, MAX_CODES = 256 };
    while (size > 0) {
        if (size < 1 + LENGTHS)
            return false;
        size_t codes = 0;
        for (int i = 1; i <= LENGTHS; i++)
            codes += segment[i];
        if (codes > MAX_CODES || codes > size - 1 - LENGTHS)
            return false;
        segment += 1 + LENGTHS + codes;
        size -= 1 + LENGTHS + codes;
    }
    return true;
}

// Past the compressed data of a scan: 0xFF there is followed by 0 or a restart marker; anything
// else is the next segment.
static size_t skip_scan(const uint8_t *data, size_t size, size_t at)
{
    while (at + 1 < size) {
        const uint8_t *found = memchr(data + at, 0xFF, size - 1 - at);
        if (!found)
            return size;
        at = (size_t)(found - data);
        uint8_t next = data[at + 1];
        if (next != 0 && next != 0xFF && !(next >= 0xD0 && next <= 0xD7))
            return at;
        at += next == 0xFF ? 1 : 2;
    }
    return size;
}

rml_jpeg_facts rml_jpeg_scan(const uint8_t *data, size_t size)
{
    rml_jpeg_facts facts = {RML_ORIENT_NORMAL, false, true};
    size_t at = 0;
    bool oriented = false;
    while (at + 1 < size && data[at] == 0xFF) {
        uint8_t marker = data[at + 1];
        if (marker == 0xFF) { // fill byte
            at++;
            continue;
        }
        at += 2;
        if (marker == MARKER_EOI) {
            facts.complete = true;
            break;
        }
        if (marker == MARKER_SOI || marker == MARKER_TEM)
            continue;
        if (size - at < 2)
            break;
        size_t length = (size_t)data[at] << 8 | data[at + 1];
        if (length < 2 || length > size - at)
            break;
        if (marker == MARKER_APP1 && !oriented) {
            facts.orientation = exif_orientation(data + at + 2, length - 2);
            oriented = facts.orientation != RML_ORIENT_NORMAL;
        }
        if (marker == MARKER_DHT && !huffman_tables_valid(data + at + 2, length - 2))
            facts.tables_valid = false;
        at += length;
        if (marker == MARKER_SOS)
            at = skip_scan(data, size, at);
    }
    return facts;
}
