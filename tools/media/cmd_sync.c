// run-model sync: how far the lips of a clip and its sound are apart.
#include "tools/commands.h"
#include "tools/find_weights.h"
#include "tools/media/face_options.h"
#include "tools/options.h"
#include "tools/report.h"

#include "pipelines/lipsync/lipsync.h"
#include "pipelines/sync/sync.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "sync"
#define NETWORK "syncnet"
// So little better than other offsets is also the best of pictures and sound that have nothing to
// do with each other.
#define UNSURE 0.05

typedef struct sync_command {
    common_options common;
    const char *video; // the only argument
    const char *weights;
    face_options faces;
    bool csv;
    rml_sync_settings job;
    network expert;
    progress progress;
} sync_command;

static int offset_ms(int frames)
{
    return frames * RML_SYNC_FRAME_MS;
}

// ---- what is printed ----------------------------------------------------------------------------

static void print_text(const sync_command *c, const rml_sync *job)
{
    const rml_sync_meter *meter = rml_sync_result(job);
    const rml_sync_score s = rml_sync_meter_whole(meter);
    const int ms = offset_ms(s.offset);
    printf("%s: ", c->video);
    if (abs(s.offset) == RML_SYNC_REACH)
        printf("lips and sound are more than %d ms apart, or nobody speaks",
               RML_SYNC_REACH * RML_SYNC_FRAME_MS);
    else if (s.lse_c < UNSURE)
        printf("no offset stands out: no lips that speak, or sound that is not theirs");
    else if (ms == 0)
        printf("lips and sound are in sync (0 ms)");
    else
        printf("the sound is %d ms %s", abs(ms), ms > 0 ? "early" : "late");
    printf("; confidence (LSE-C) %.3f, LSE-D %.3f, mean cosine %.3f (%.3f at 0 ms), %lld windows, "
           "expert %s\n",
           s.lse_c, s.lse_d, rml_sync_meter_cosine(meter, s.offset),
           rml_sync_meter_cosine(meter, 0), (long long)s.windows, c->expert.source.path);
}

static void print_remarks(const sync_command *c, const rml_sync *job)
{
    const rml_sync_meter *meter = rml_sync_result(job);
    const rml_sync_score s = rml_sync_meter_whole(meter), pairs = rml_sync_meter_pairs(meter);
    const rml_speech_info *voice = rml_sync_voice(job);
    const int64_t without = rml_sync_meter_count(meter) - s.windows;
    const char *audio = c->job.audio_path ? c->job.audio_path : c->video;
    if (without)
        fprintf(stderr, "%s: %lld of %lld windows show no face and were left out\n", c->video,
                (long long)without, (long long)rml_sync_meter_count(meter));
    if (s.windows < RML_SYNC_FEW)
        fprintf(stderr,
                "%s: %lld windows are few, and what lies beyond the clip tells in the scores; of "
                "pairs inside it alone: offset %d ms, LSE-C %.3f, LSE-D %.3f\n",
                c->video, (long long)s.windows, offset_ms(pairs.offset), pairs.lse_c, pairs.lse_d);
    if (voice->channel)
        fprintf(stderr, "%s: its %d channels cancel each other out, so channel %d alone is heard\n",
                audio, voice->channels, voice->channel);
    if (rml_sync_damaged_packets(job))
        fprintf(stderr, "%s: %lld damaged packets were skipped\n", c->video,
                (long long)rml_sync_damaged_packets(job));
}

static void print_csv(const rml_sync_meter *meter)
{
    printf("seconds,face,offset_ms,lse_c,lse_d,confidence,distance\n");
    for (int64_t i = 0; i < rml_sync_meter_count(meter); i++) {
        const rml_sync_row *r = rml_sync_meter_row(meter, i);
        printf("%.2f,%d,", (double)i / RML_SYNC_RATE, r->face);
        if (r->near.windows)
            printf("%d,%.6f,%.6f,", offset_ms(r->near.offset), r->near.lse_c, r->near.lse_d);
        else
            printf(",,,");
        if (r->face)
            printf("%.6f,%.6f\n", r->confidence, r->distance);
        else
            printf(",\n");
    }
}

static void json_row(const rml_sync_row *r, int64_t index)
{
    printf("%s{\"seconds\":%.2f,\"face\":%s", index ? "," : "", (double)index / RML_SYNC_RATE,
           r->face ? "true" : "false");
    if (r->near.windows)
        printf(",\"offset_ms\":%d,\"lse_c\":%.6f,\"lse_d\":%.6f", offset_ms(r->near.offset),
               r->near.lse_c, r->near.lse_d);
    else
        printf(",\"offset_ms\":null,\"lse_c\":null,\"lse_d\":null");
    if (r->face)
        printf(",\"confidence\":%.6f,\"distance\":%.6f}", r->confidence, r->distance);
    else
        printf(",\"confidence\":null,\"distance\":null}");
}

static void print_json(const sync_command *c, const rml_sync *job, double seconds)
{
    const rml_sync_meter *meter = rml_sync_result(job);
    const rml_sync_score s = rml_sync_meter_whole(meter), pairs = rml_sync_meter_pairs(meter);
    const rml_session *session = c->expert.session;
    const int64_t count = rml_sync_meter_count(meter);
    json_field("{\"file\":", c->video);
    json_field(",\"audio\":", c->job.audio_path ? c->job.audio_path : c->video);
    json_field(",\"weights\":", c->expert.source.path);
    printf(",\"offset_ms\":%d,\"beyond\":%s,\"confidence\":%.6f,\"lse_d\":%.6f,\"lse_c\":%.6f",
           offset_ms(s.offset), abs(s.offset) == RML_SYNC_REACH ? "true" : "false", s.lse_c,
           s.lse_d, s.lse_c);
    printf(",\"cosine\":%.6f,\"cosine_at_0\":%.6f,\"windows\":%lld,\"windows_without_face\":%lld",
           rml_sync_meter_cosine(meter, s.offset), rml_sync_meter_cosine(meter, 0),
           (long long)s.windows, (long long)(count - s.windows));
    printf(",\"pairs_only\":{\"offset_ms\":%d,\"lse_d\":%.6f,\"lse_c\":%.6f}",
           offset_ms(pairs.offset), pairs.lse_d, pairs.lse_c);
    printf(",\"seconds\":%.3f,\"threads\":%d,\"cpu\":\"%s\",\"precision\":\"%s\","
           "\"peak_rss_bytes\":%llu,\"over_time\":[",
           seconds, rml_session_threads(session), rml_cpu_level_name(rml_session_cpu(session)),
           rml_precision_name(c->common.precision), (unsigned long long)peak_rss_bytes());
    for (int64_t i = 0; i < count; i++)
        json_row(rml_sync_meter_row(meter, i), i);
    printf("]");
    if (c->common.profile) {
        printf(",\"profile\":");
        json_profile(session);
    }
    printf("}\n");
}

static void report(const sync_command *c, const rml_sync *job, double seconds)
{
    if (c->common.profile)
        print_profile(stderr, c->expert.session);
    if (!c->common.quiet)
        print_remarks(c, job);
    if (c->common.json)
        print_json(c, job, seconds);
    else if (c->csv)
        print_csv(rml_sync_result(job));
    else
        print_text(c, job);
}

// ---- the run ------------------------------------------------------------------------------------

static void on_progress(void *user, int64_t done, int64_t total)
{
    progress_update(&((sync_command *)user)->progress, done, total);
}

static bool all_known(const rml_sync *job)
{
    const int64_t frames = rml_sync_clip(job)->frames_estimate;
    return rml_sync_known_faces(job) >= (frames > 0 ? frames : INT64_MAX);
}

static rml_status run(sync_command *c, rml_error *err)
{
    rml_sync *job = NULL;
    rml_face_finder *finder = NULL;
    const double start = now_ms();
    const rml_session_settings wanted = session_settings(&c->common);
    rml_status status = rml_sync_open(&job, &c->job, NULL, err);
    if (status == RML_OK)
        status = network_open(&c->expert, NETWORK, NULL, c->common.quiet, err);
    if (status == RML_OK)
        status = rml_session_create(&c->expert.session, c->expert.model, &wanted, err);
    // Known boxes make the detector needless; it is there for frames the faces file does not cover.
    if (status == RML_OK && c->faces.detector.source.path && !all_known(job))
        status = face_options_open(&c->faces, &wanted, c->common.quiet, &finder, err);
    if (status == RML_OK) {
        progress_begin(&c->progress, "pictures", !c->common.quiet);
        status = rml_sync_run(job, c->expert.model, c->expert.session, finder, err);
        progress_end(&c->progress);
    }
    if (status == RML_OK)
        report(c, job, (now_ms() - start) / 1e3);
    rml_face_finder_destroy(&finder);
    network_close(&c->faces.detector);
    network_close(&c->expert);
    rml_sync_close(&job);
    return status;
}

// What the options say together.
static int check_options(sync_command *c)
{
    if (!c->video)
        return usage_error(COMMAND, "give a VIDEO");
    if (c->csv && c->common.json)
        return usage_error(COMMAND, "--csv and --json exclude each other");
    if (!weights_choose(&c->expert.source, NETWORK, c->weights))
        return weights_missing(COMMAND, NETWORK, "weights");
    return face_options_check(&c->faces, COMMAND, c->job.box, c->job.faces_path, false,
                              &c->job.which);
}

int cmd_sync(int argc, char **argv)
{
    sync_command c = {.job = rml_sync_settings_default()};
    enum { OWN = 3 };
    option options[OWN + FACE_OPTION_COUNT] = {
        {"audio", 0, OPTION_TEXT, &c.job.audio_path, "AUDIO|VIDEO", 0, 0,
         "compare with this sound; without: the video's own"},
        {"weights", 0, OPTION_TEXT, &c.weights, "FILE", 0, 0,
         "Wav2Lip's expert (lipsync_expert.pth, also .safetensors,\n.onnx, .mlmodel, .mlpackage); "
         "without: the one that is found"},
        {"csv", 0, OPTION_FLAG, &c.csv, NULL, 0, 0,
         "print a table over time instead of a line, a row each 40 ms"},
    };
    face_options_list(&c.faces, c.job.box, &c.job.faces_path, options + OWN);
    command_line line = {
        .command = COMMAND,
        .usage = "VIDEO [options]",
        .summary = "Tells how many milliseconds the lips and the sound of a video are apart, how "
                   "sure that is,\nand the scores LSE-D and LSE-C, with a network that knows "
                   "which sound belongs to which lips\n(SyncNet). --json and --csv tell it over "
                   "time, too.",
        .options = options,
        .option_count = sizeof options / sizeof *options,
        .positional = &c.video,
        .positional_max = 1,
        .common = &c.common,
    };
    rml_error err;
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || c.common.help)
        return code;
    code = check_options(&c);
    if (code != EXIT_DONE)
        return code;
    const char *temporary = getenv("TMPDIR");
    if (temporary && *temporary)
        c.job.temporary_folder = temporary;
    c.job.clip.path = c.video;
    c.job.threads = c.common.threads;
    c.job.progress = on_progress;
    c.job.user = &c;
    rml_lipsync_quiet_libraries();
    return run(&c, &err) == RML_OK ? EXIT_DONE : failure(COMMAND, &err);
}
