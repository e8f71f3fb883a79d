// Video decoding, one frame at a time, to upright BGR. Builds without libav have no reader.
#ifndef RML_MEDIA_VIDEO_VIDEO_IN_H
#define RML_MEDIA_VIDEO_VIDEO_IN_H

#include "media/video/shot.h"

// Stops the libav libraries from printing to stderr. Their log is one per process, so the program
// calls this once at its start; readers and writers here report through rml_error instead.
void rml_libav_quiet(void);

// What becomes of pictures that are woven of two fields.
typedef enum rml_deinterlace {
    RML_DEINTERLACE_FLAGGED = 0, // made whole where the file says that they are woven
    RML_DEINTERLACE_ALL,         // all are made whole
    RML_DEINTERLACE_NONE         // left as they are
} rml_deinterlace;

// Of pictures left as they are.
typedef enum rml_fields {
    RML_FIELDS_NONE = 0,
    RML_FIELDS_TOP_FIRST,
    RML_FIELDS_BOTTOM_FIRST
} rml_fields;

typedef struct rml_video_in_settings {
    int threads; // of the decoder, where they cannot change the frames; 0: as many as fit
    bool ignore_orientation; // deliver frames as coded
    rml_deinterlace deinterlace;
    rml_rational picture_rate; // of pictures in files of their own
} rml_video_in_settings;

rml_video_in_settings rml_video_in_settings_default(void);

typedef struct rml_video_info {
    int width, height;           // of the delivered frames
    rml_orientation orientation; // asked for by the file (applied unless ignored)
    rml_rational time_base;      // of every frame's pts
    rml_rational frame_rate;     // nominal, what OpenCV reports as FPS; 0/0 when not known
    rml_rational average_rate;   // frames over duration; 0/0 when not known
    rml_rational steady_rate;  // of new pictures while it moves, 5 to 1000; 0/0 when there is none
    rml_rational pixel_aspect; // width to height of one delivered pixel; 1/1 when not stated
    double seconds;            // duration as the container states it; 0 when not known
    double start_seconds;      // when the first frame is shown, after the file's first stream
    int64_t frames_estimate;   // 0 when not known; the true count is known at the end only
    rml_colour colour;         // what was used to convert to RGB (never unspecified matrix)
    rml_fields fields;         // of delivered frames
    const char *codec;         // static, "hevc"
} rml_video_info;

typedef struct rml_video_in rml_video_in;

// Opens the best video stream of a local file, or pictures in files of their own
// (media/image/picture_series.h), and decodes its first frame, so that a file that
// cannot be decoded at all fails here. Cover pictures of sound files are no video. A matrix that
// the stream does not state is taken as players do: BT.709 from 720 lines or 1280 columns up,
// BT.601 below.
rml_status rml_video_in_open(rml_video_in **out, const char *path,
                             const rml_video_in_settings *settings, const rml_allocator *allocator,
                             rml_error *err);

const rml_video_info *rml_video_in_info(const rml_video_in *in);

// Next frame into `frame` (reserved as needed), or *end = true and no frame. pts counts from the
// first frame, which has 0, in info->time_base, and strictly increases: times of variable-rate
// files are kept, missing ones are derived from the frame rate. Frames whose shape changes midway
// are scaled into that of the first, with black beside them. Damaged packets are skipped and
// counted, and a file that is cut ends early; what comes out is the same for any number of threads.
rml_status rml_video_in_read(rml_video_in *in, rml_frame *frame, bool *end, rml_error *err);

// The same in the planes that it was decoded to (formats that have none, as palettes, are brought
// to the one that loses least). It lies as coded, and shot->planes.upright says how it is turned to
// be shown.
rml_status rml_video_in_read_shot(rml_video_in *in, rml_shot *shot, bool *end, rml_error *err);

// Decodes the next frame, and the one after it, without delivering any; or *end.
rml_status rml_video_in_peek(rml_video_in *in, bool *end, rml_error *err);

// Makes frame `index`, which has been read or peeked at before, the next one. It is decoded from
// the nearest key frame before it, unless it was the last one read. A frame read again has the bits
// it had: a hash of every frame is kept, and where a frame comes out differently from one key frame
// (open GOPs, damage, files without an index) an earlier one is taken, at last the start of the
// file.
void rml_video_in_seek(rml_video_in *in, int64_t index);

// When a frame read or peeked at begins and ends. It is shown until the next one; the last one as
// long as the file says, or for a frame of the nominal rate.
int64_t rml_video_in_pts(const rml_video_in *in, int64_t index);
int64_t rml_video_in_end_pts(const rml_video_in *in, int64_t index);

int64_t rml_video_in_decoded(const rml_video_in *in); // frames, those decoded again included
int64_t rml_video_in_damaged_packets(const rml_video_in *in); // the first time through

void rml_video_in_close(rml_video_in **in);

#endif
