// run-model wav2lip: the lips of a face follow a voice.
#define _POSIX_C_SOURCE 200809L
#include "tools/commands.h"
#include "tools/find_weights.h"
#include "tools/media/interrupt.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/report.h"

#include "pipelines/lipsync.h"

#include "tensor/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define COMMAND "wav2lip"
#define DETECTOR "detector"
#define DEFAULT_FOLDER "results"
#define DEFAULT_OUTFILE DEFAULT_FOLDER "/result_voice.mp4"
#define RANGES_SHOWN 20

typedef struct {
    common_options common;
    rml_lipsync_settings job;
    weights_source checkpoint, detector; // S3FD's weights, or a graph file that tells by itself
    int detect_every;
    const char *codec;
    option_switch is_static;
    bool loop;
    int face_batch;
    double offset_ms;
    progress progress;
} settings;

// A network with what it stands on.
typedef struct {
    rml_weights *weights;
    rml_model *model;
    rml_session *session;    // of the lips
    rml_face_finder *finder; // of the detector
} network;

static void network_close(network *n)
{
    rml_face_finder_destroy(&n->finder);
    rml_session_destroy(&n->session);
    rml_model_destroy(&n->model);
    rml_weights_close(&n->weights);
}

static rml_session_settings session_settings(const settings *s)
{
    rml_session_settings wanted = rml_session_settings_default();
    wanted.threads = s->common.threads;
    wanted.cpu = s->common.cpu;
    wanted.profile = s->common.profile;
    return wanted;
}

static rml_status open_lips(network *n, const settings *s, rml_error *err)
{
    const rml_session_settings wanted = session_settings(s);
    RML_TRY(weights_source_open(&n->weights, &s->checkpoint, s->common.quiet, err));
    RML_TRY(rml_model_create(&n->model, s->checkpoint.what, n->weights, NULL, err));
    return rml_session_create(&n->session, n->model, &wanted, err);
}

static rml_status open_detector(network *n, const settings *s, rml_error *err)
{
    const weights_source *source = &s->detector;
    const rml_face_finder_settings wanted = {.session = session_settings(s),
                                             .every = s->detect_every};
    if (strcmp(source->what, DETECTOR) == 0) {
        RML_TRY(rml_model_open(&n->model, source->path, NULL, err));
    } else {
        RML_TRY(weights_source_open(&n->weights, source, s->common.quiet, err));
        RML_TRY(rml_model_create(&n->model, source->what, n->weights, NULL, err));
    }
    const rml_status status = rml_face_finder_create(&n->finder, n->model, &wanted, err);
    if (status != RML_OK)
        rml_error_prefix(err, source->path);
    return status;
}

static void on_progress(void *user, int64_t done, int64_t total)
{
    settings *s = user;
    progress_update(&s->progress, done, total);
}

static bool on_cancelled(void *user)
{
    (void)user;
    return interrupt_asked();
}

static void report_gaps(const rml_lipsync_result *r)
{
    if (r->without_face == 0)
        return;
    fprintf(stderr, "no face in %lld of %lld frames, which were left as they are:",
            (long long)r->without_face, (long long)r->frames);
    for (int i = 0; i < r->range_count && i < RANGES_SHOWN; i++)
        fprintf(stderr, "%s %.3f-%.3f s", i ? "," : "", r->ranges[i].from, r->ranges[i].to);
    if (r->range_count > RANGES_SHOWN)
        fprintf(stderr, " and %d more (--json lists them)", r->range_count - RANGES_SHOWN);
    fprintf(stderr, "\n");
}

static void report_text(const settings *s, const rml_lipsync_result *r, const network *lips,
                        const network *faces, double seconds)
{
    if (s->common.profile) {
        fprintf(stderr, "%-10s %12s %12s\n", "stage", "seconds", "ms/frame");
        for (int i = 0; i < RML_STAGE_COUNT; i++)
            fprintf(stderr, "%-10s %12.3f %12.3f\n", rml_lipsync_stage_name((rml_lipsync_stage)i),
                    r->stage_ms[i] / 1e3, r->stage_ms[i] / (double)r->frames);
        fprintf(stderr, "%-10s %12.3f (decoding, network and encoding overlap; batch %d)\n",
                "whole", seconds, r->batch);
        print_profile(stderr, lips->session, 0);
        if (faces->finder)
            print_profile(stderr, rml_face_finder_session(faces->finder), 0);
    }
    if (s->common.quiet)
        return;
    report_gaps(r);
    if (r->damaged_packets)
        fprintf(stderr, "%s: %lld damaged packets were skipped\n", s->job.clip.path,
                (long long)r->damaged_packets);
    if (r->file.damaged_audio_packets)
        fprintf(stderr, "%s: %lld damaged packets were skipped\n", s->job.audio_path,
                (long long)r->file.damaged_audio_packets);
    if (s->common.json)
        return;
    printf("%s: %lld frames, %.2f s, made in %.1f s (%.1f frames a second, %.2f x real time)\n",
           s->job.out_path, (long long)r->frames, r->file.video_seconds, seconds,
           (double)r->frames / seconds, r->file.video_seconds / seconds);
}

static void report_json(const settings *s, const rml_lipsync_result *r, const rml_clip_info *clip,
                        const network *lips, const network *faces, double seconds)
{
    printf("{\"file\":");
    json_text(stdout, s->job.out_path);
    printf(",\"frames\":%lld,\"fps\":%.6f,\"width\":%d,\"height\":%d,\"codec\":\"%s\","
           "\"video_seconds\":%.6f,\"audio_seconds\":%.6f,\"bytes\":%lld,\"seconds\":%.3f,"
           "\"frames_per_second\":%.3f,\"source_frames\":%lld,\"frames_without_face\":%lld,"
           "\"without_face\":[",
           (long long)r->frames, clip->fps, clip->width, clip->height, rml_codec_name(s->job.codec),
           r->file.video_seconds, r->file.audio_seconds, (long long)r->file.bytes, seconds,
           (double)r->frames / seconds, (long long)r->source_frames, (long long)r->without_face);
    for (int i = 0; i < r->range_count; i++)
        printf("%s{\"from\":%.6f,\"to\":%.6f}", i ? "," : "", r->ranges[i].from, r->ranges[i].to);
    printf(
        "],\"damaged_video_packets\":%lld,\"damaged_audio_packets\":%lld,\"threads\":%d,"
        "\"cpu\":\"%s\",\"precision\":\"f32\",\"batch\":%d,\"peak_rss_bytes\":%llu,\"stage_ms\":{",
        (long long)r->damaged_packets, (long long)r->file.damaged_audio_packets,
        rml_session_threads(lips->session), rml_cpu_level_name(rml_session_cpu(lips->session)),
        r->batch, (unsigned long long)peak_rss_bytes());
    for (int i = 0; i < RML_STAGE_COUNT; i++)
        printf("%s\"%s\":%.3f", i ? "," : "", rml_lipsync_stage_name((rml_lipsync_stage)i),
               r->stage_ms[i]);
    printf("}");
    if (s->common.profile) {
        printf(",\"profile\":{\"wav2lip\":");
        json_profile(stdout, lips->session);
        if (faces->finder) {
            printf(",\"%s\":", s->detector.what);
            json_profile(stdout, rml_face_finder_session(faces->finder));
        }
        printf("}");
    }
    printf("}\n");
}

static rml_status run(settings *s, rml_lipsync_result *result, rml_error *err)
{
    rml_lipsync *job = NULL;
    network lips = {0}, faces = {0};
    double start = now_ms();
    rml_status status = rml_lipsync_open(&job, &s->job, NULL, err);
    if (status == RML_OK)
        status = open_lips(&lips, s, err);
    // Known boxes make the detector needless; it is there for frames the faces file does not cover.
    if (status == RML_OK && s->detector.path &&
        rml_lipsync_known_faces(job) < rml_lipsync_total(job))
        status = open_detector(&faces, s, err);
    if (status == RML_OK) {
        progress_begin(&s->progress, "frames", !s->common.quiet);
        status = rml_lipsync_run(job, lips.session, faces.finder, result, err);
        progress_end(&s->progress);
    }
    if (status == RML_OK) {
        double seconds = (now_ms() - start) / 1e3;
        report_text(s, result, &lips, &faces, seconds);
        if (s->common.json)
            report_json(s, result, rml_lipsync_clip(job), &lips, &faces, seconds);
    }
    network_close(&faces);
    network_close(&lips);
    rml_lipsync_close(&job);
    return status;
}

static bool exists(const char *path)
{
    struct stat info;
    return path && stat(path, &info) == 0;
}

int cmd_wav2lip(int argc, char **argv)
{
    settings s = {.face_batch = 16, .detect_every = 1, .job = rml_lipsync_settings_default()};
    rml_lipsync_settings *j = &s.job;
    const char *checkpoint = NULL, *s3fd = NULL, *detector = NULL;
    const option options[] = {
        {.name = "face",
         .kind = OPTION_TEXT,
         .target = &j->clip.path,
         .value = "VIDEO|IMAGE",
         .help = "the face: any video libav reads, or a PNG, JPEG or BMP"},
        {.name = "audio",
         .kind = OPTION_TEXT,
         .target = &j->audio_path,
         .value = "AUDIO|VIDEO",
         .help = "the voice: any file with sound"},
        {.name = "checkpoint_path",
         .kind = OPTION_TEXT,
         .target = &checkpoint,
         .value = "FILE",
         .help = "Wav2Lip weights (.pth, .safetensors); without: those that\nare found"},
        {.name = "s3fd",
         .kind = OPTION_TEXT,
         .target = &s3fd,
         .value = "FILE",
         .help = "S3FD weights, to find the face; without: those that are\nfound"},
        {.name = "detector",
         .kind = OPTION_TEXT,
         .target = &detector,
         .value = "FILE.onnx",
         .help = "instead of S3FD a light face detector, far faster: YuNet,\nor "
                 "Ultra-Light-Fast-Generic"},
        {.name = "detect_every",
         .kind = OPTION_INT,
         .target = &s.detect_every,
         .value = "N",
         .help =
             "search the whole picture in each N-th frame, and in between\naround the last face "
             "only (1)",
         .min = 1,
         .max = 1 << 20},
        {.name = "outfile",
         .kind = OPTION_TEXT,
         .target = &j->out_path,
         .value = "FILE",
         .help = "the result (" DEFAULT_OUTFILE ");\n.mp4 .mov .m4v .mkv .avi"},
        {.name = "box",
         .kind = OPTION_FOUR,
         .target = j->box,
         .value = "T B L R",
         .help = "where the face is, in all frames: top bottom left right"},
        {.name = "faces",
         .kind = OPTION_TEXT,
         .target = &j->faces_path,
         .value = "FILE.json",
         .help = "faces found: read from there if it exists, else written"},
        {.name = "pads",
         .kind = OPTION_FOUR,
         .target = j->pads,
         .value = "T B L R",
         .help = "added around a face found (0 10 0 0)"},
        {.name = "static",
         .kind = OPTION_SWITCH,
         .target = &s.is_static,
         .help = "use the first frame only"},
        {.name = "fps",
         .kind = OPTION_NUMBER,
         .target = &j->clip.still_fps,
         .value = "N",
         .help = "frames a second, for a still image (25)",
         .min = 1,
         .max = 1000},
        {.name = "resize_factor",
         .kind = OPTION_INT,
         .target = &j->clip.resize_factor,
         .value = "N",
         .help = "divide the sides of the video by N",
         .min = 1,
         .max = 1000},
        {.name = "rotate",
         .kind = OPTION_FLAG,
         .target = &j->clip.rotate,
         .help = "turn the video 90 degrees clockwise (the rotation a\nfile itself asks for is "
                 "always done)"},
        {.name = "crop",
         .kind = OPTION_FOUR,
         .target = j->clip.crop,
         .value = "T B L R",
         .help = "use this part of the video; -1: to its end (0 -1 0 -1)"},
        {.name = "nosmooth",
         .kind = OPTION_FLAG,
         .target = &j->no_smooth,
         .help = "do not smooth the boxes of faces over time"},
        {.name = "loop",
         .kind = OPTION_FLAG,
         .target = &s.loop,
         .help = "start again when the voice is longer than the video;\nwithout: forward and back "
                 "again"},
        {.name = "audio_offset_ms",
         .kind = OPTION_NUMBER,
         .target = &s.offset_ms,
         .value = "MS",
         .help = "the lips come so much later than the sound (0)",
         .min = -60000,
         .max = 60000},
        {.name = "strict",
         .kind = OPTION_FLAG,
         .target = &j->strict,
         .help = "fail at the first frame without a face; without: such\nframes stay as they are"},
        {.name = "compat",
         .kind = OPTION_FLAG,
         .target = &j->compat,
         .help = "the frames of the original Wav2Lip exactly: its length,\nsmoothing, repetition, "
                 "hard paste; implies --strict --loop"},
        {.name = "codec",
         .kind = OPTION_TEXT,
         .target = &s.codec,
         .value = "NAME",
         .help = "h264 (default), hevc, mjpeg, ffv1 (lossless, in .mkv)"},
        {.name = "crf",
         .kind = OPTION_INT,
         .target = &j->crf,
         .value = "N",
         .help = "quality of h264 and hevc, 0 (best) to 51",
         .max = 51},
        {.name = "wav2lip_batch_size",
         .kind = OPTION_INT,
         .target = &j->batch,
         .value = "N",
         .help = "most frames in one run of the network (8); no influence\non the result; less is "
                 "used for large pictures",
         .min = 1,
         .max = RML_LIPSYNC_MAX_BATCH},
        {.name = "face_det_batch_size",
         .kind = OPTION_INT,
         .target = &s.face_batch,
         .value = "N",
         .help = "accepted; faces are found frame by frame",
         .min = 1,
         .max = 1 << 20},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "--face VIDEO|IMAGE --audio AUDIO|VIDEO [options]",
        .summary = "Makes the lips of a face in a video or picture follow a voice (Wav2Lip). The "
                   "result is\n"
                   "as long as the voice. The face is looked for, unless --box or --faces say "
                   "where it is.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .common = &s.common,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || s.common.help)
        return code;
    if (!j->clip.path || !j->audio_path)
        return usage_error(COMMAND, "--%s is missing: give --face VIDEO|IMAGE and --audio FILE",
                           j->clip.path ? "audio" : "face");
    if (s.codec && !rml_codec_parse(s.codec, &j->codec))
        return usage_error(COMMAND, "--codec is h264, hevc, mjpeg or ffv1, not '%s'", s.codec);
    bool has_box = j->box[0] != -1;
    if (has_box && j->faces_path)
        return usage_error(COMMAND, "--box and --faces both say where the face is: give one");
    if (s3fd && detector)
        return usage_error(COMMAND, "--s3fd and --detector both find the face: give one");
    if (j->compat && (detector || s.detect_every > 1))
        return usage_error(COMMAND,
                           "--compat finds faces as the original does: with S3FD, in every "
                           "frame, without --detector and --detect_every");
    if (!weights_choose(&s.checkpoint, "wav2lip", checkpoint))
        return weights_missing(COMMAND, "wav2lip", "checkpoint_path");
    if (!has_box &&
        !weights_choose(&s.detector, detector ? DETECTOR : "s3fd", detector ? detector : s3fd) &&
        !exists(j->faces_path))
        return usage_error(COMMAND, "where is the face? Give --s3fd FILE (weights of the S3FD face "
                                    "detector), --detector FILE.onnx (a light one) or --box TOP "
                                    "BOTTOM LEFT RIGHT");
    // The original takes any text after --static for true, "False" too.
    j->clip.first_frame_only = s.is_static.value || (j->compat && s.is_static.given);
    j->clip.repeat = s.loop ? RML_REPEAT_CYCLIC : RML_REPEAT_PING_PONG;
    j->audio_offset_seconds = s.offset_ms / 1e3;
    j->threads = s.common.threads;
    j->progress = on_progress;
    j->cancelled = on_cancelled;
    j->user = &s;
    if (!j->out_path) {
        // As in the original, the default folder is there.
        if (mkdir(DEFAULT_FOLDER, 0777) != 0 && errno != EEXIST) {
            fprintf(stderr,
                    "run-model " COMMAND ": the folder " DEFAULT_FOLDER " cannot be made: %s\n",
                    strerror(errno));
            return EXIT_FAILED;
        }
        j->out_path = DEFAULT_OUTFILE;
    }
    rml_lipsync_quiet_libraries();
    interrupt_watch();
    rml_error err;
    rml_lipsync_result result;
    return run(&s, &result, &err) == RML_OK ? EXIT_DONE : failure(COMMAND, &err);
}
