// Which file formats are written, and what each can hold.
#ifndef RML_MEDIA_VIDEO_CONTAINER_H
#define RML_MEDIA_VIDEO_CONTAINER_H

#include "media/video/encode.h"

typedef struct rml_container {
    const char *extension;
    const char *muxer; // libavformat's name
    unsigned codecs;   // bit (1 << rml_codec) for each that fits
    bool
        constant_rate; // frames are numbered, not timed, and PCM is the sound that plays everywhere
} rml_container;

// Chosen by the extension of `path`; NULL, and a sentence in `err`, when it is unknown or cannot
// hold `codec`.
const rml_container *rml_container_of(const char *path, rml_codec codec, rml_error *err);

#endif
