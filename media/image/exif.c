// The orientation that a block of EXIF states in its first directory.
#include "media/image/picture_codecs.h"

#include "tensor/size.h"

#include <string.h>

enum { ENTRY_BYTES = 12, TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4 };

// Numbers of a TIFF block in its own byte order.
typedef struct tiff {
    const uint8_t *data;
    size_t size;
    bool big_endian;
} tiff;

static bool tiff_u16(const tiff *t, size_t at, uint32_t *value)
{
    if (!rml_range_inside(at, 2, t->size))
        return false;
    const uint8_t *p = t->data + at;
    *value = t->big_endian ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
    return true;
}

static bool tiff_u32(const tiff *t, size_t at, uint32_t *value)
{
    uint32_t first, second;
    if (!tiff_u16(t, at, &first) || !tiff_u16(t, at + 2, &second))
        return false;
    *value = t->big_endian ? first << 16 | second : second << 16 | first;
    return true;
}

// Where the value of the orientation lies, a number of 16 bits; 0 when it is not stated.
static size_t find(const tiff *t)
{
    uint32_t directory, count, tag, type;
    if (t->size < 8 || !tiff_u32(t, 4, &directory) || !tiff_u16(t, directory, &count))
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        const size_t entry = (size_t)directory + 2 + (size_t)i * ENTRY_BYTES;
        if (!rml_range_inside(entry, ENTRY_BYTES, t->size) || !tiff_u16(t, entry, &tag) ||
            !tiff_u16(t, entry + 2, &type))
            return 0;
        if (tag == TAG_ORIENTATION && (type == TYPE_SHORT || type == TYPE_LONG))
            return entry + 8 + (type == TYPE_LONG && t->big_endian ? 2 : 0);
    }
    return 0;
}

rml_orientation rml_exif_orientation(const uint8_t *data, size_t size)
{
    const tiff t = {data, size, size > 0 && data[0] == 'M'};
    const size_t at = find(&t);
    uint32_t value = 0;
    return at && tiff_u16(&t, at, &value) && value >= RML_ORIENT_NORMAL &&
                   value <= RML_ORIENT_ROTATE_270
               ? (rml_orientation)value
               : RML_ORIENT_NORMAL;
}

void rml_exif_set_upright(uint8_t *data, size_t size)
{
    const tiff t = {data, size, size > 0 && data[0] == 'M'};
    const size_t at = find(&t);
    if (at) {
        data[at] = t.big_endian ? 0 : RML_ORIENT_NORMAL;
        data[at + 1] = t.big_endian ? RML_ORIENT_NORMAL : 0;
    }
}
