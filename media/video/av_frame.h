// What libav says of a frame: colours, turn, key frame; and which picture it is. Included by av_*.c
// only.
#ifndef RML_MEDIA_VIDEO_AV_FRAME_H
#define RML_MEDIA_VIDEO_AV_FRAME_H

#include "media/video/video_in.h"

#include <libavformat/avformat.h>
#include <libavutil/frame.h>
#include <libswscale/swscale.h>

// The matrix that players assume for a picture of this size when a file states none.
int rml_colour_guess_matrix(int width, int height);

// What `frame` states, its matrix guessed where it states none.
rml_colour rml_colour_of_frame(const AVFrame *frame);

// Whether the format is RGB, or a palette of it.
bool rml_av_is_rgb(enum AVPixelFormat format);

// Whether equal numbers in both are equal colours, of one format.
bool rml_av_same_colour(const AVFrame *a, const AVFrame *b);

// A converter between a coded picture and BGR24 of the same or another size, with exact rounding.
// `to_bgr` tells the direction; `colour` describes the coded side. NULL when there is none.
struct SwsContext *rml_colour_converter(int src_width, int src_height,
                                        enum AVPixelFormat src_format, int dst_width,
                                        int dst_height, enum AVPixelFormat dst_format,
                                        const rml_colour *colour, bool to_bgr);

// A converter from one format and colour to another, and to another size. NULL when there is none.
struct SwsContext *rml_av_converter(const AVFrame *from, const AVFrame *to, int width, int height);

// The format without the deprecated "J" that stood for full range.
enum AVPixelFormat rml_av_ranged_format(enum AVPixelFormat format);

rml_orientation rml_av_orientation(const AVStream *stream);
bool rml_av_is_key(const AVFrame *frame);

// The fields that a frame is woven of: as it says itself, or as the file says for all where the
// codec knows no such thing.
rml_fields rml_av_fields(const AVFrame *frame, const AVCodecParameters *stream);

void rml_av_set_fields(AVFrame *frame, rml_fields fields);

// How many samples of `bytes` (1, or 2) make a pixel in a plane; false where samples are not whole
// bytes.
bool rml_av_samples(const AVFrame *frame, int plane, int *bytes, int *step);

// Of size, format and all pixels.
uint32_t rml_av_hash(const AVFrame *frame);

#endif
