// Formats of libav as layouts of planes. Included by av_*.c only.
#ifndef RML_MEDIA_VIDEO_AV_PLANES_H
#define RML_MEDIA_VIDEO_AV_PLANES_H

#include "media/image/planes.h"

#include <libavutil/frame.h>

// False for formats whose samples are not numbers of one or two bytes of the machine's order:
// palettes, bits, floats, big-endian ones.
bool rml_av_layout(enum AVPixelFormat format, rml_plane_layout *layout);

// `format`, or the one with a layout that loses least of it.
enum AVPixelFormat rml_av_plain_format(enum AVPixelFormat format);

// A view of a frame whose format has a layout.
rml_planes rml_av_planes(const AVFrame *frame, rml_orientation upright);

#endif
