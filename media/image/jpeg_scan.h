// What an image decoder does not tell about a JPEG: how it is to be turned, and whether it is
// whole.
#ifndef RML_MEDIA_IMAGE_JPEG_SCAN_H
#define RML_MEDIA_IMAGE_JPEG_SCAN_H

#include "media/image/orient.h"

typedef struct rml_jpeg_facts {
    rml_orientation orientation; // from EXIF; NORMAL when not stated or not valid
    bool complete;               // the end marker was found
    bool tables_valid;           // no Huffman table claims more than 256 codes (stb does not check)
} rml_jpeg_facts;

// Walks the markers of a JPEG in memory; reads no pixel. Never fails: damaged parts end the walk.
rml_jpeg_facts rml_jpeg_scan(const uint8_t *data, size_t size);

#endif
