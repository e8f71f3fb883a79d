// Our own readers of images. The first byte chooses one; the rest is the file.
#include "tests/fuzz/fuzz.h"

#include "media/image/picture_codecs.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rml_picture picture = {0};
    rml_error error = {RML_OK, ""};
    if (size < 1)
        return 0;
    const bool pnm = data[0] == 'P' && size >= 3; // its reader is only given what begins like one
    const rml_status status =
        pnm ? rml_pnm_decode(&picture, data, size, rml_allocator_default(), &error)
            : rml_tga_decode(&picture, data + 1, size - 1, rml_allocator_default(), &error);
    if (status != RML_OK && !error.message[0])
        abort();
    if (status == RML_OK) {
        const size_t bytes = rml_picture_pitch(&picture) * (size_t)picture.height;
        uint8_t *copy = malloc(bytes); // a sanitizer sees samples that were not written
        if (copy)
            memcpy(copy, picture.data, bytes);
        free(copy);
    }
    rml_picture_release(&picture);
    return 0;
}
