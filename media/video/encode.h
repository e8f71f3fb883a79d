// Writing a video file with sound. Builds without libav have no writer.
#ifndef RML_MEDIA_VIDEO_ENCODE_H
#define RML_MEDIA_VIDEO_ENCODE_H

#include "media/video/video_in.h"

typedef enum rml_codec {
    RML_CODEC_H264 = 0,
    RML_CODEC_HEVC,
    RML_CODEC_MJPEG, // quality near the top
    RML_CODEC_FFV1,  // lossless
    RML_CODEC_AV1,
    RML_CODEC_VP9,
    RML_CODEC_PRORES,
    RML_CODEC_PNG // pictures in files of their own
} rml_codec;

const char *rml_codec_name(rml_codec codec);              // "h264"
bool rml_codec_parse(const char *name, rml_codec *codec); // false when there is none of that name
const char *rml_codec_names(void);                        // all, for sentences

#define RML_CRF_DEFAULT (-1) // 18 for H.264, 20 for HEVC, 24 for AV1 and VP9
#define RML_CRF_MAX 63       // of AV1 and VP9; 51 of H.264 and HEVC

// An XMP packet (media/files/xmp.h). It is asked for as late as it can be: in Matroska before the
// first frame, else when all are written.
typedef struct rml_mark {
    rml_status (*make)(void *user, const char **packet, rml_error *err); // NULL: none
    void *user;
} rml_mark;

// Makes of the whole file, under its temporary name, another one that is signed.
typedef struct rml_seal {
    rml_status (*sign)(void *user, const char *source, const char *result,
                       rml_error *err); // NULL: none
    void *user;
} rml_seal;

typedef struct rml_encode_settings {
    rml_codec codec;
    int crf;            // of H.264, HEVC, AV1, VP9; others take RML_CRF_DEFAULT only
    const char *preset; // see rml_codec_presets; NULL: a fast one
    int threads;        // of the encoder; 0: rml_threads_default()
    int width, height;  // of the frames to come, as coded
    // A shot as those to come: its pixel format is kept where the codec has it (of RGB only FFV1
    // has), else the one that loses least; its place of chroma, light levels and way to be turned
    // are said. NULL: frames of BGR come, which are coded as yuv420p, by FFV1 as bgr0, by ProRes as
    // yuv444p10.
    const rml_shot *like;
    const char *pix_fmt;     // libav's name of the format to code in; NULL: as above
    rml_rational frame_rate; // nominal
    rml_rational
        time_base; // of the file; 0/0: exact for frame_rate. For variable rate: the source's
    rml_rational pixel_aspect; // 0/0: square
    rml_fields fields;         // that the frames are woven of
    // Colours of the source, so that the result is described the same way. A zeroed one, or an
    // unspecified matrix: BT.709 from 720 lines or 1280 columns up, else BT.601. MJPEG is always
    // full range BT.601, as JPEG demands.
    rml_colour colour;
    const char *audio_path; // file whose best audio stream is put in; NULL: no sound
    // Others that are added to it, at its rate and channels, and outlive the encoder.
    const char *const *audio_also;
    int audio_also_count;
    double audio_offset;  // seconds: above 0 silence comes first, below 0 the beginning is left out
    double audio_seconds; // longest sound track; 0: all of it
    bool audio_untimed;   // its times are ignored: no silence where it begins late or has holes
    rml_mark mark;        // what the file is to say of itself
    rml_seal seal;
} rml_encode_settings;

rml_encode_settings rml_encode_settings_default(void);

// The container comes from the extension of `path`: mp4, mov, m4v, mkv, webm, avi. Pairs that do
// not fit are refused with a sentence that says what to use instead (FFV1 needs .mkv). Sound: AAC
// at the source's rate and channels, 160 kb/s for stereo; Opus in .webm, of the same rate; 16-bit
// PCM in .avi; with FFV1 PCM that loses nothing (16-bit, or 32-bit float where the source has
// more). H.264, HEVC and ProRes of chroma in halves need even sides: an odd one gets one more row
// or column, a copy of the last. A folder, or a pattern of names in it
// (media/image/picture_series.h), becomes a folder of PNG pictures without sound, which must not be
// there before or be empty.

// Checks at low cost that all this can work: container, codecs (they are opened), audio file, and
// that the folder of `path` can be written. Creates nothing.
rml_status rml_encoder_probe(const char *path, const rml_encode_settings *settings,
                             const rml_allocator *allocator, rml_error *err);

typedef struct rml_encoder rml_encoder;

// Begins a file under a temporary name beside `path`. Strings in `settings` are copied.
rml_status rml_encoder_open(rml_encoder **out, const char *path,
                            const rml_encode_settings *settings, const rml_allocator *allocator,
                            rml_error *err);

// Writes a frame of the size in the settings. Its time (pts * time_base) is 0 or more, and later
// than that of the frame before by at least one tick of the file's time base (which in .avi is a
// frame: it has no times). Sound up to this time is written along. After an error only
// rml_encoder_abort is left to call.
rml_status rml_encoder_write(rml_encoder *encoder, const rml_frame *frame, rml_error *err);

// The same for a picture in planes, `like` that of the settings. Where the encoder codes in its
// format no sample is changed or copied.
rml_status rml_encoder_write_shot(rml_encoder *encoder, const rml_shot *shot, rml_error *err);

// Makes a shot, in the format that is coded, of a frame of the size in the settings.
rml_status rml_encoder_convert(rml_encoder *encoder, const rml_frame *frame, rml_shot *shot,
                               rml_error *err);

enum { RML_SOUND_WHY_BYTES = 160 };

typedef struct rml_encode_summary {
    int64_t frames;
    double video_seconds, audio_seconds;
    int64_t bytes; // of the file
    int64_t damaged_audio_packets;
    bool lost_alpha;         // the pictures have transparency, and what is coded has none
    const char *sound_codec; // "aac"; NULL without sound
    bool sound_copied;       // as it lies in audio_path, else encoded again
    char sound_why[RML_SOUND_WHY_BYTES]; // since, in half a sentence
} rml_encode_summary;

// Writes what is left (sound to its end), closes the file and renames it. Destroys the encoder in
// any case and sets *encoder to NULL; on failure the temporary file is removed. `summary` may be
// NULL.
rml_status rml_encoder_finish(rml_encoder **encoder, rml_encode_summary *summary, rml_error *err);

// Gives up: removes the temporary file and destroys the encoder. *encoder may be NULL.
void rml_encoder_abort(rml_encoder **encoder);

// Which file formats are written, and what each can hold.

typedef enum rml_sound_codec {
    RML_SOUND_AAC,
    RML_SOUND_OPUS,
    RML_SOUND_PCM16,
    RML_SOUND_PCM // 16 bits, or float where the source has more
} rml_sound_codec;

typedef struct rml_container {
    const char *extension;
    const char *muxer; // libavformat's name; NULL: a folder of pictures
    unsigned codecs;   // bit (1 << rml_codec) for each that fits
    rml_sound_codec sound;
    rml_codec codec;    // where none is asked for
    bool constant_rate; // frames are numbered, not timed
    bool turns;         // it can say how pictures are turned to be shown
    bool tags_first;    // Matroska: what it says of itself lies before the pictures
} rml_container;

// The codec that a file of this name is made with where none is asked for.
rml_codec rml_codec_default(const char *path);

// Chosen by the extension of `path`; NULL, and a sentence in `err`, when it is unknown or cannot
// hold `codec`.
const rml_container *rml_container_of(const char *path, rml_codec codec, rml_error *err);

#endif
