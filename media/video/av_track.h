// The sound track of a file being written: copied where that can be, else encoded. Included by
// av_*.c only.
#ifndef RML_MEDIA_VIDEO_AV_TRACK_H
#define RML_MEDIA_VIDEO_AV_TRACK_H

#include "media/video/av_sound.h"
#include "media/video/av_sound_copy.h"
#include "media/video/encode.h"

// A zeroed one has no sound.
typedef struct rml_av_track {
    const rml_allocator *allocator;
    char *path;
    AVStream *stream; // NULL without sound
    rml_av_sound sound;
    rml_sound_copy copy; // instead of it
    bool copied;
    int64_t shift;                 // that this libavformat wants added to the times
    char why[RML_SOUND_WHY_BYTES]; // it is not copied, in half a sentence
    AVPacket *packet;              // the next one to be written
    bool waits, ended;             // it is there; there is none
} rml_av_track;

// Opens the sound of the settings and adds its stream to `format`. probing: that it can be encoded
// is all that is asked.
rml_status rml_av_track_open(rml_av_track *track, AVFormatContext *format,
                             const rml_container *container, const rml_encode_settings *settings,
                             bool probing, const rml_allocator *allocator, rml_error *err);

// The next packet, if it comes before `time` (in units of `base`; AV_NOPTS_VALUE: whenever it
// comes), ready for the format's stream; else NULL. It is the caller's to unref.
rml_status rml_av_track_next(rml_av_track *track, int64_t time, AVRational base, AVPacket **packet,
                             rml_error *err);

// What has been written of it.
void rml_av_track_summarise(const rml_av_track *track, rml_encode_summary *summary);

void rml_av_track_close(rml_av_track *track);

#endif
