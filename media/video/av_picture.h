// From a decoded picture to an upright BGR frame. Included by av_*.c only.
#ifndef RML_MEDIA_VIDEO_AV_PICTURE_H
#define RML_MEDIA_VIDEO_AV_PICTURE_H

#include "media/video/av_frame.h"
#include "media/video/shot.h"

typedef struct rml_av_picture {
    const char *path; // for messages; of the owner
    const rml_allocator *allocator;
    int width, height;           // of the first frame as coded, which all others are fitted to
    AVRational aspect;           // of its pixels
    rml_orientation orientation; // by which frames are turned upright
    rml_frame coded;             // before turning
    AVFrame *whole;              // made of two fields; NULL until it is needed
    AVFrame *home;               // no picture, but the format and colours of all shots
    struct SwsContext *sws;      // NULL, or for pictures as these:
    int sws_width, sws_height, sws_format;
    AVRational sws_aspect;
    rml_colour sws_colour;
    int x, y, fit_width, fit_height; // where they go in the frame
} rml_av_picture;

// Frames to come have the size and pixel aspect of `first`.
rml_status rml_av_picture_init(rml_av_picture *picture, const AVFrame *first, const char *path,
                               rml_orientation orientation, const rml_allocator *allocator,
                               rml_error *err);

// Makes a picture of two fields whole, with those before and after it (or itself), in
// picture->whole. False, without an error, for a pixel format in which that cannot be done.
rml_status rml_av_picture_deinterlace(rml_av_picture *picture, const AVFrame *before,
                                      const AVFrame *at, const AVFrame *after, bool top_first,
                                      bool *done, rml_error *err);

// `decoded` into `frame`, which is reserved as needed. A picture of another shape keeps its aspect,
// and black fills what it leaves free.
rml_status rml_av_picture_convert(rml_av_picture *picture, const AVFrame *decoded, rml_frame *frame,
                                  rml_error *err);

// `decoded` as a shot in its own planes, of the first frame's size, format and colours; as above
// where it has others.
rml_status rml_av_picture_take(rml_av_picture *picture, const AVFrame *decoded, rml_shot *shot,
                               rml_error *err);

void rml_av_picture_release(rml_av_picture *picture);

#endif
