// The sound track of a file being written whose packets are those of another file, as they are.
// Included by av_*.c only.
#ifndef RML_MEDIA_VIDEO_AV_SOUND_COPY_H
#define RML_MEDIA_VIDEO_AV_SOUND_COPY_H

#include "media/video/av_source.h"
#include "media/video/encode.h"

typedef struct rml_sound_copy_settings {
    const char *path; // outlives the copy
    const AVOutputFormat *muxer;
    const char *extension; // of its files, for messages
    double seconds;        // longest track; 0: all of it
    double frame_seconds;  // a frame of the picture; only for a muxer that numbers packets
    bool numbered;         // it does: packets have no times of their own
} rml_sound_copy_settings;

// All times are in samples, and 0 is where the first sample is heard.
typedef struct rml_sound_copy {
    rml_sound_copy_settings settings;
    rml_av_source source; // its decoder is not used
    AVCodecParserContext *parser;
    int rate;
    int64_t first, next, end; // of the first packet, the one to come, and the whole
    int64_t index, count;     // of packets; none is taken from `count` on
    int64_t beyond;           // samples of the last one that are heard in its file, and not here
    int64_t length, longest;  // of the last packet, and of all so far
    bool uneven;              // they are not all as long as that
} rml_sound_copy;

// Opens the best audio stream of a file if its packets can be copied, and as they are give what
// rml_av_sound makes of it: `why` is empty then, else it says why they cannot, in half a sentence,
// and the copy is closed. Decodes what is to be heard once, and writes it to nowhere.
rml_status rml_sound_copy_open(rml_sound_copy *copy, const rml_sound_copy_settings *settings,
                               char why[RML_SOUND_WHY_BYTES], rml_error *err);

// Describes the stream that is made of it.
rml_status rml_sound_copy_describe(const rml_sound_copy *copy, AVStream *stream, rml_error *err);

// The next packet, or *end.
rml_status rml_sound_copy_next(rml_sound_copy *copy, AVPacket *packet, bool *end, rml_error *err);

void rml_sound_copy_close(rml_sound_copy *copy);

#endif
