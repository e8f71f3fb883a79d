// Little-endian numbers at any address.
#ifndef RML_LOADERS_FORMATS_BYTES_H
#define RML_LOADERS_FORMATS_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t rml_le(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

static inline uint16_t rml_le16(const uint8_t *at)
{
    return (uint16_t)rml_le(at, 2);
}

static inline uint32_t rml_le32(const uint8_t *at)
{
    return (uint32_t)rml_le(at, 4);
}

static inline uint64_t rml_le64(const uint8_t *at)
{
    return rml_le(at, 8);
}

#endif
