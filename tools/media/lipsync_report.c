// What a lip-sync run prints when it is done.
#include "tools/media/lipsync_command.h"
#include "tools/report.h"

#include <stdio.h>

#define RANGES_SHOWN 20

static void report_doubts(const rml_lipsync_result *r)
{
    for (int k = 0; k < RML_DOUBT_COUNT; k++) {
        const rml_doubtful *d = &r->doubtful[k];
        if (d->frames == 0)
            continue;
        fprintf(stderr, "%s in %lld of %lld frames%s:", rml_doubt_name((rml_doubt)k),
                (long long)d->frames, (long long)r->frames,
                k <= RML_DOUBT_SMALL ? ", which were left as they are" : "");
        for (int i = 0; i < d->count && i < RANGES_SHOWN; i++)
            fprintf(stderr, "%s %.3f-%.3f s", i ? "," : "", d->ranges[i].from, d->ranges[i].to);
        if (d->count > RANGES_SHOWN)
            fprintf(stderr, " and %d more (--json lists them)", d->count - RANGES_SHOWN);
        fprintf(stderr, "\n");
    }
}

// How the sound was heard, where that is not as it lies in the file.
static void report_voice(const char *path, const rml_speech_info *voice)
{
    if (voice->silence > 0)
        fprintf(stderr, "%s: begins late or has holes, where %.3f s of silence were put\n", path,
                voice->silence);
    if (voice->channel)
        fprintf(stderr,
                "%s: its %d channels cancel each other out, so the lips follow channel %d alone\n",
                path, voice->channels, voice->channel);
}

static const char *sound_path(const rml_lipsync_settings *s)
{
    return s->final_audio_path ? s->final_audio_path
           : s->audio_path     ? s->audio_path
                               : s->voices[0].path;
}

// What became of the sound that is heard: with --profile, as most voices are encoded once.
static void report_sound(const rml_lipsync_settings *s, const rml_encode_summary *file)
{
    if (!file->sound_codec)
        return;
    if (file->sound_copied)
        fprintf(stderr, "%s: its sound (%s) was copied\n", sound_path(s), file->sound_codec);
    else
        fprintf(stderr, "%s: its sound was encoded as %s, since %s\n", sound_path(s),
                file->sound_codec, file->sound_why);
}

static void report_text(const lipsync_command *s, const rml_lipsync_result *r,
                        const rml_lipsync *job, const lipsync_session *sessions, int count,
                        double seconds)
{
    if (s->common.profile) {
        report_sound(&s->job, &r->file);
        fprintf(stderr, "%-10s %12s %12s\n", "stage", "seconds", "ms/frame");
        for (int i = 0; i < RML_STAGE_COUNT; i++)
            fprintf(stderr, "%-10s %12.3f %12.3f\n", rml_lipsync_stage_name((rml_lipsync_stage)i),
                    r->stage_ms[i] / 1e3, r->stage_ms[i] / (double)r->frames);
        fprintf(stderr, "%-10s %12.3f (decoding, network and encoding overlap; batch %d)\n",
                "whole", seconds, r->batch);
        for (int i = 0; i < count; i++) {
            if (count > 2)
                fprintf(stderr, "%s\n", sessions[i].name);
            print_profile(stderr, sessions[i].session);
        }
    }
    if (s->common.quiet)
        return;
    report_doubts(r);
    for (int i = 0; i < s->job.voice_count || i == 0; i++)
        report_voice(s->job.voice_count ? s->job.voices[i].path : s->job.audio_path,
                     rml_lipsync_voice(job, i));
    if (s->no_mark)
        fprintf(stderr, "%s: does not say that a network made the mouth (--no_mark)\n",
                s->job.out_path);
    if (s->job.codec == RML_CODEC_PNG)
        fprintf(stderr, "%s: pictures hold neither the sound nor what the result says of itself\n",
                s->job.out_path);
    if (r->file.lost_alpha)
        fprintf(stderr, "%s: %s as it is coded here holds no transparency, which is lost\n",
                s->job.out_path, rml_codec_name(s->job.codec));
    if (r->damaged_packets)
        fprintf(stderr, "%s: %lld damaged packets were skipped\n", s->job.clip.path,
                (long long)r->damaged_packets);
    if (r->file.damaged_audio_packets)
        fprintf(stderr, "%s: %lld damaged packets were skipped\n", sound_path(&s->job),
                (long long)r->file.damaged_audio_packets);
    if (s->common.json)
        return;
    printf("%s: %lld frames, %.2f s, made in %.1f s (%.1f frames a second, %.2f x real time)\n",
           s->job.out_path, (long long)r->frames, r->file.video_seconds, seconds,
           (double)r->frames / seconds, r->file.video_seconds / seconds);
}

static void json_doubts(const rml_lipsync_result *r)
{
    const char *comma = "";
    printf(",\"doubtful\":[");
    for (int k = 0; k < RML_DOUBT_COUNT; k++) {
        const rml_doubtful *d = &r->doubtful[k];
        for (int i = 0; i < d->count; i++, comma = ",")
            printf("%s{\"why\":\"%s\",\"from\":%.6f,\"to\":%.6f}", comma,
                   rml_doubt_name((rml_doubt)k), d->ranges[i].from, d->ranges[i].to);
    }
    printf("]");
}

static void report_json(const lipsync_command *s, const rml_lipsync_result *r,
                        const rml_lipsync *job, const lipsync_session *sessions, int count,
                        double seconds)
{
    const rml_clip_info *clip = rml_lipsync_clip(job);
    const rml_speech_info *voice = rml_lipsync_voice(job, 0);
    const rml_doubtful *gaps = &r->doubtful[RML_DOUBT_NO_FACE];
    json_field("{\"file\":", s->job.out_path);
    printf(",\"frames\":%lld,\"fps\":%.6f,\"width\":%d,\"height\":%d,\"codec\":\"%s\","
           "\"video_seconds\":%.6f,\"audio_seconds\":%.6f,\"bytes\":%lld,\"seconds\":%.3f,"
           "\"frames_per_second\":%.3f,\"source_frames\":%lld,\"frames_without_face\":%lld,"
           "\"without_face\":[",
           (long long)r->frames, clip->fps, clip->width, clip->height, rml_codec_name(s->job.codec),
           r->file.video_seconds, r->file.audio_seconds, (long long)r->file.bytes, seconds,
           (double)r->frames / seconds, (long long)r->source_frames, (long long)gaps->frames);
    for (int i = 0; i < gaps->count; i++)
        printf("%s{\"from\":%.6f,\"to\":%.6f}", i ? "," : "", gaps->ranges[i].from,
               gaps->ranges[i].to);
    printf("]");
    json_doubts(r);
    printf(",\"network_frames\":%lld,\"silent_frames\":%lld", (long long)r->generated,
           (long long)r->silent);
    printf(",\"voice_channel\":%d,\"voice_silence_seconds\":%.6f", voice->channel, voice->silence);
    if (r->file.sound_codec) {
        printf(",\"sound\":\"%s\"", r->file.sound_copied ? "copied" : "encoded");
        json_field(",\"sound_codec\":", r->file.sound_codec);
        if (!r->file.sound_copied)
            json_field(",\"sound_why\":", r->file.sound_why);
    }
    printf(
        ",\"damaged_video_packets\":%lld,\"damaged_audio_packets\":%lld,\"threads\":%d,"
        "\"cpu\":\"%s\",\"precision\":\"%s\",\"batch\":%d,\"peak_rss_bytes\":%llu,\"stage_ms\":{",
        (long long)r->damaged_packets, (long long)r->file.damaged_audio_packets,
        rml_session_threads(sessions[0].session),
        rml_cpu_level_name(rml_session_cpu(sessions[0].session)),
        rml_precision_name(s->common.precision), r->batch, (unsigned long long)peak_rss_bytes());
    for (int i = 0; i < RML_STAGE_COUNT; i++)
        printf("%s\"%s\":%.3f", i ? "," : "", rml_lipsync_stage_name((rml_lipsync_stage)i),
               r->stage_ms[i]);
    printf("}");
    if (s->shared)
        printf(",\"planned_bytes\":%zu", rml_shared_block_bytes(s->shared));
    if (s->common.profile) {
        printf(",\"profile\":{");
        for (int i = 0; i < count; i++) {
            printf("%s\"%s\":", i ? "," : "", sessions[i].name);
            json_profile(sessions[i].session);
        }
        printf("}");
    }
    printf("}\n");
}

void lipsync_report(const lipsync_command *command, const rml_lipsync_result *result,
                    const rml_lipsync *job, const lipsync_session *sessions, int count,
                    double seconds)
{
    report_text(command, result, job, sessions, count, seconds);
    if (command->common.json)
        report_json(command, result, job, sessions, count, seconds);
}
