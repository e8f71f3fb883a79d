// The pictures of an animated WebP, one after another, each as all of the canvas.
#ifndef RML_MEDIA_IMAGE_WEBP_FRAMES_H
#define RML_MEDIA_IMAGE_WEBP_FRAMES_H

#include "media/image/frame.h"

#include <stdbool.h>

typedef struct rml_webp_frames rml_webp_frames;

typedef struct rml_webp_info {
    int width, height;
    int count;      // of pictures
    int64_t length; // of all, in milliseconds
    bool alpha;
} rml_webp_info;

// Whether the file is one, and this build reads such.
bool rml_webp_is_animated(const char *path);

rml_status rml_webp_frames_open(rml_webp_frames **out, const char *path,
                                const rml_allocator *allocator, rml_error *err);
const rml_webp_info *rml_webp_frames_info(const rml_webp_frames *frames);

// The next picture, width * height pixels of R G B A, which are there until the next call, and when
// it is shown, in milliseconds; or *end.
rml_status rml_webp_frames_next(rml_webp_frames *frames, const uint8_t **pixels, int64_t *from,
                                int64_t *to, bool *end, rml_error *err);

void rml_webp_frames_rewind(rml_webp_frames *frames);
void rml_webp_frames_close(rml_webp_frames **frames);

#endif
