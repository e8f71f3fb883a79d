// Bounded reader of deflated data (RFC 1951), as entries of zip archives are compressed.
#ifndef RML_LOADERS_FORMATS_INFLATE_H
#define RML_LOADERS_FORMATS_INFLATE_H

#include "tensor/alloc.h"
#include "tensor/status.h"

// Times its size that deflated data becomes at most: a match of 258 bytes takes 2 bits.
#define RML_INFLATE_MOST 1032

// Fills out[bytes]; RML_ERR_FORMAT where the data is damaged, or gives another number of bytes.
rml_status rml_inflate(const uint8_t *data, size_t size, uint8_t *out, size_t bytes,
                       const rml_allocator *allocator, rml_error *err);

#endif
