// Still images as frames of the lip-sync pipeline. In a build without stb rml_image_load fails with
// RML_ERR_UNSUPPORTED.
#ifndef RML_MEDIA_IMAGE_IMAGE_H
#define RML_MEDIA_IMAGE_IMAGE_H

#include "media/image/frame.h"

// True when the file begins like a PNG, JPEG or BMP, whatever its name. A file that cannot be read
// is not an image; the reader that opens it next reports why. JPEG streams named .mjpg or .mjpeg
// and animated PNG count as video.
bool rml_image_is_still(const char *path);

// Loads an image (media/image/picture.h) as BGR, 8 bits: gray is repeated, alpha dropped and 16
// bits cut to the upper 8, as cv2.imread does. pts = 0, time_base = 1/1. `frame` is reserved; on
// failure it holds no image that means anything, and is still to be released.
rml_status rml_image_load(rml_frame *frame, const char *path, const rml_allocator *allocator,
                          rml_error *err);

#endif
