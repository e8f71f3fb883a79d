// XMP packets in files of video: what a file says of itself, as text in XML.
#ifndef RML_MEDIA_FILES_XMP_H
#define RML_MEDIA_FILES_XMP_H

#include "tensor/alloc.h"

#define RML_XMP_MAX_BYTES ((size_t)1 << 20) // longer ones are not looked at

// The name of the Matroska tag that holds one; that format has no place of its own for it.
#define RML_XMP_TAG "XMP"

typedef enum rml_video_format {
    RML_VIDEO_NONE = 0, // not a file of video that can hold XMP
    RML_VIDEO_MP4,      // also MOV
    RML_VIDEO_AVI,
    RML_VIDEO_MATROSKA // also WebM
} rml_video_format;

const char *rml_video_format_name(rml_video_format format); // "mp4"

// Puts `packet` behind all else of a complete MP4, MOV or AVI, where their specifications of XMP
// want it: a box "uuid", a chunk "_PMX" of the last RIFF list.
rml_status rml_xmp_append(const char *path, rml_video_format format, const char *packet,
                          rml_error *err);

// The first packet of a file, to be freed by the caller; NULL where there is none, or where what
// comes before it is damaged. The format is told by the first bytes.
rml_status rml_xmp_find(char **packet, rml_video_format *format, const char *path,
                        const rml_allocator *allocator, rml_error *err);

#endif
