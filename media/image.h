// Still images: PNG, JPEG and BMP. In a build without stb every call here that touches pixels fails
// with RML_ERR_UNSUPPORTED.
#ifndef RML_MEDIA_IMAGE_H
#define RML_MEDIA_IMAGE_H

#include "media/frame.h"

#define RML_IMAGE_MAX_FILE_BYTES (INT64_C(1) << 30)

// True when the file begins like a PNG, JPEG or BMP, whatever its name. A file that cannot be read
// is not an image; the reader that opens it next reports why. JPEG streams named .mjpg or .mjpeg
// and animated PNG count as video.
bool rml_image_is_still(const char *path);

// Loads an image as BGR, 8 bits: grey is repeated, alpha dropped, 16 bits cut to the upper 8, and
// the EXIF orientation of a JPEG is applied, all as cv2.imread does. pts = 0, time_base = 1/1. A
// JPEG that ends early is an error, not a half grey picture. `frame` is reserved; on failure it
// holds no image that means anything, and is still to be released.
rml_status rml_image_load(rml_frame *frame, const char *path, const rml_allocator *allocator,
                          rml_error *err);

// Writes PNG, JPEG (quality 95) or BMP by the extension of `path`, in any case. The file is written
// under a temporary name beside the target and renamed, so that `path` is whole or untouched.
rml_status rml_image_save(const rml_frame *frame, const char *path, const rml_allocator *allocator,
                          rml_error *err);

// RML_OK when rml_image_save knows the extension of `path` and this build can write it.
rml_status rml_image_save_check(const char *path, rml_error *err);

#endif
