// Readers of images, those of libraries too. 'T' in front of a file asks for TGA, which has no
// mark.
#include "tests/fuzz/fuzz.h"

#include "media/image/picture_codecs.h"
#include "tensor/alloc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rml_picture picture = {0};
    rml_error error = {RML_OK, ""};
    const bool tga = size > 0 && data[0] == 'T';
    const rml_image_kind kind = tga ? RML_IMAGE_TGA : rml_image_kind_of("a.jpg", data, size);
    const rml_picture_codec *codec = rml_picture_codec_of(kind);
    if (!codec)
        return 0;
    const rml_status status =
        codec->decode(&picture, data + tga, size - tga, rml_allocator_default(), &error);
    if (status != RML_OK && !error.message[0])
        abort();
    if (status == RML_OK) {
        const size_t bytes = rml_picture_pitch(&picture) * (size_t)picture.height;
        uint8_t *copy = malloc(bytes); // a sanitizer sees samples that were not written
        if (copy && memcmp(memcpy(copy, picture.data, bytes), picture.data, bytes) != 0)
            abort();
        free(copy);
    }
    rml_picture_release(&picture);
    return 0;
}
