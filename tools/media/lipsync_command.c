// What the lip-sync commands have in common.
#define _POSIX_C_SOURCE 200809L
#include "tools/media/lipsync_command.h"

#include "tools/report.h"

#include "pipelines/faces/face_places.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_FOLDER "results"
#define DEFAULT_OUTFILE DEFAULT_FOLDER "/result_voice.mp4"

rml_session_settings lipsync_session_settings(const lipsync_command *command)
{
    rml_session_settings wanted = session_settings(&command->common);
    wanted.memory_limit = command->memory_limit;
    wanted.shared = command->shared;
    return wanted;
}

static void on_progress(void *user, int64_t done, int64_t total)
{
    lipsync_command *c = user;
    progress_update(&c->progress, done, total);
}

// Ctrl-C: the work ends at the next frame and cleans up. A signal handler can reach nothing but
// static data.
static volatile sig_atomic_t asked;

static void on_signal(int number)
{
    (void)number;
    asked = 1;
}

// A second signal ends the program at once. A reader of our messages that goes away (SIGPIPE) does
// not end the work.
static void watch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESETHAND | SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    action.sa_handler = SIG_IGN;
    action.sa_flags = 0;
    sigaction(SIGPIPE, &action, NULL);
}

static bool on_cancelled(void *user)
{
    (void)user;
    return asked != 0;
}

static void report(const lipsync_command *c, const rml_lipsync *job, const rml_face_finder *finder,
                   const rml_lipsync_result *result, double seconds)
{
    lipsync_session sessions[LIPSYNC_SESSIONS];
    int count = c->sessions(c->user, sessions);
    if (finder)
        sessions[count++] =
            (lipsync_session){c->faces.detector.source.what, rml_face_finder_session(finder)};
    lipsync_report(c, result, job, sessions, count, seconds);
}

static void remark_hdr(const lipsync_command *c, const rml_lipsync *job)
{
    const int transfer = rml_lipsync_clip(job)->colour.transfer;
    if (c->job.compat && !c->common.quiet && rml_colour_is_hdr(transfer))
        fprintf(
            stderr,
            "%s: is HDR (%s): with --compat the result is marked so too, but has 8 bits a colour "
            "and no mastering data\n",
            c->job.clip.path, transfer == RML_COLOUR_PQ ? "PQ" : "HLG");
}

static rml_status run(lipsync_command *c, rml_lipsync_result *result, rml_error *err)
{
    rml_lipsync *job = NULL;
    rml_lip_net *net = NULL;
    rml_face_finder *finder = NULL;
    const double start = now_ms();
    const rml_session_settings beside = lipsync_session_settings(c);
    rml_status status =
        paste_networks_open(&c->networks, &beside, c->common.quiet, &c->job.paste, err);
    if (status == RML_OK)
        status = rml_lipsync_open(&job, &c->job, NULL, err);
    if (status == RML_OK)
        remark_hdr(c, job);
    if (status == RML_OK)
        status = c->open(c->user, c, &net, err);
    // Known boxes make the detector needless; it is there for frames the faces file does not cover.
    if (status == RML_OK && c->faces.detector.source.path &&
        rml_lipsync_known_faces(job) < rml_lipsync_total(job)) {
        const rml_session_settings wanted = lipsync_session_settings(c);
        status = face_options_open(&c->faces, &wanted, c->common.quiet, &finder, err);
    }
    if (status == RML_OK && finder)
        lipsync_mark_weights(&c->mark, c->faces.detector.source.what,
                             c->faces.detector.source.path);
    lipsync_mark_weights(&c->mark, "occluder", c->networks.occluder);
    lipsync_mark_weights(&c->mark, "restorer", c->networks.restorer);
    if (status == RML_OK) {
        progress_begin(&c->progress, "frames", !c->common.quiet);
        status = rml_lipsync_run(job, net, finder, result, err);
        progress_end(&c->progress);
    }
    if (status == RML_OK)
        report(c, job, finder, result, (now_ms() - start) / 1e3);
    rml_face_finder_destroy(&finder);
    network_close(&c->faces.detector);
    paste_networks_close(&c->networks);
    rml_lipsync_close(&job);
    return status;
}

// The options of all lip-sync commands, those of the command between them; returns how many.
static int list_options(lipsync_command *c, option all[LIPSYNC_OPTIONS_MAX])
{
    rml_lipsync_settings *j = &c->job;
    const option first[] = {
        {"face", 0, OPTION_TEXT, &j->clip.path, "VIDEO|IMAGE", 0, 0,
         "the face: any video libav reads, or a PNG, JPEG or BMP, or\npictures in a row: a folder "
         "or shots/%04d.png"},
        {"audio", 0, OPTION_TEXT, &j->audio_path, "AUDIO|VIDEO", 0, 0,
         "the voice: any file with sound"},
        {"voice", 0, OPTION_LIST, &c->voices, "NUMBER=AUDIO", 0, 0,
         "instead of --audio the voice of the face of this number, for\neach that speaks; their "
         "sum "
         "is heard"},
        {"final_audio", 0, OPTION_TEXT, &j->final_audio_path, "AUDIO|VIDEO", 0, 0,
         "what is heard in the result instead of the voice, which\nmoves the lips: the same, with "
         "music or mastered"},
    };
    option faces[FACE_OPTION_COUNT];
    face_options_list(&c->faces, j->box, &j->faces_path, faces);
    const option rest[] = {
        {"outfile", 0, OPTION_TEXT, &j->out_path, "FILE", 0, 0,
         "the result (" DEFAULT_OUTFILE ");\n.mp4 .mov .m4v .mkv .webm .avi, or PNG pictures: a "
         "new folder\n(shots/), or shots/%04d.png"},
        {"pads", 0, OPTION_FOUR, j->pads, "T B L R", 0, 0, "added around a face found (0 10 0 0)"},
        {"static", 0, OPTION_SWITCH, &c->is_static, NULL, 0, 0, "use the first frame only"},
        {"fps", 0, OPTION_NUMBER, &j->clip.still_fps, "N", 1, 1000,
         "frames a second, for a still image, pictures in a row or a\nvideo that hardly moves "
         "(25)"},
        {"resize_factor", 0, OPTION_INT, &j->clip.resize_factor, "N", 1, 1000,
         "divide the sides of the video by N"},
        {"rotate", 0, OPTION_FLAG, &j->clip.rotate, NULL, 0, 0,
         "turn the video 90 degrees clockwise (the rotation a\nfile itself asks for is always "
         "done)"},
        {"deinterlace", 0, OPTION_SWITCH, &c->deinterlace, NULL, 0, 0,
         "make whole pictures of fields; without: where the video\nsays that it has fields; false: "
         "never"},
        {"crop", 0, OPTION_FOUR, j->clip.crop, "T B L R", 0, 0,
         "use this part of the video; -1: to its end (0 -1 0 -1)"},
        {"nosmooth", 0, OPTION_FLAG, &j->no_smooth, NULL, 0, 0,
         "do not smooth the boxes of faces over time"},
        {"no_upright", 0, OPTION_FLAG, &j->no_upright, NULL, 0, 0,
         "do not turn tilted heads upright for the network"},
        {"loop", 0, OPTION_FLAG, &c->loop, NULL, 0, 0,
         "start again when the voice is longer than the video;\nwithout: forward and back again"},
        {"audio_offset_ms", 0, OPTION_NUMBER, &c->offset_ms, "MS", -60000, 60000,
         "the lips come so much later than the sound (0)"},
        {"strict", 0, OPTION_FLAG, &j->strict, NULL, 0, 0,
         "fail at the first frame without a face; without: such\nframes stay as they are"},
        {"compat", 0, OPTION_FLAG, &j->compat, NULL, 0, 0,
         "the frames of the original exactly: its length, smoothing,\nrepetition, hard paste; "
         "implies --strict"},
        {"mask", 0, OPTION_TEXT, &c->mask, "NAME", 0, 0,
         "what of the face changes: mouth (default: mouth and chin),\nlower (half) or box; all "
         "else "
         "keeps its bits"},
        {"mask_image", 0, OPTION_TEXT, &j->paste.picture, "IMAGE", 0, 0,
         "the mask as a picture instead, stretched over the face:\nwhite changes, black stays"},
        {"feather", 0, OPTION_NUMBER, &c->feather, "SHARE", 0, RML_MASK_FEATHER_MAX,
         "width of the mask's soft edge, as a share of the face (0.1)"},
        {"no_colour_match", 0, OPTION_FLAG, &j->paste.keep_colours, NULL, 0, 0,
         "leave the colours of the new face as the network made them"},
        {"silence", 0, OPTION_TEXT, &c->silence, "NAME", 0, 0,
         "the mouth where nobody speaks: close (default) shuts it,\nkeep leaves the film's, net is "
         "what the network makes of it"},
        {"mouth_strength", 0, OPTION_NUMBER, &j->mouth.strength, "X", 0, RML_MOUTH_STRENGTH_MAX,
         "how far the mouth moves, times what the network makes (1)"},
        {"codec", 0, OPTION_TEXT, &c->codec, "NAME", 0, 0,
         "h264 (default), hevc, av1, vp9 (default in .webm), prores (.mov),\nmjpeg, ffv1 "
         "(lossless, "
         "in .mkv)"},
        {"pix_fmt", 0, OPTION_TEXT, &j->pix_fmt, "NAME", 0, 0,
         "pixel format of the result, as libav names it; without: that\nof the video, where the "
         "codec has it"},
        {"preset", 0, OPTION_TEXT, &j->preset, "NAME", 0, 0,
         "h264 and hevc: ultrafast to veryslow (veryfast); av1: 0 to 13\n(10); vp9: 0 to 5 (4); "
         "prores: proxy, lt, standard, hq,\n4444, 4444xq"},
        {"crf", 0, OPTION_INT, &j->crf, "N", 0, RML_CRF_MAX,
         "quality of h264 and hevc, 0 (best) to 51; of av1 and vp9 to 63"},
        {"no_mark", 0, OPTION_FLAG, &c->no_mark, NULL, 0, 0,
         "do not write into the result that a network made the mouth,\nwith which settings and "
         "weights"},
        {"c2pa", 0, OPTION_TEXT, &j->sign.certificates, "CERT.pem", 0, 0,
         "sign that as a C2PA manifest, by the library libc2pa_c.so:\nthe certificate, and behind "
         "it those that vouch for it"},
        {"c2pa_key", 0, OPTION_TEXT, &j->sign.key, "KEY.pem", 0, 0, "its private key"},
        {"face_det_batch_size", 0, OPTION_INT, &c->face_batch, "N", 1, 1 << 20,
         "accepted; faces are found frame by frame"},
    };
    int count = sizeof first / sizeof *first;
    memcpy(all, first, sizeof first);
    memcpy(all + count, c->options, (size_t)c->option_count * sizeof *all);
    count += c->option_count;
    memcpy(all + count, faces, sizeof faces);
    count += FACE_OPTION_COUNT;
    memcpy(all + count, rest, sizeof rest);
    count += (int)(sizeof rest / sizeof *rest);
    paste_networks_list(&c->networks, all + count);
    return count + PASTE_OPTION_COUNT;
}

// The faces that have voices of their own.
static int take_voices(lipsync_command *c)
{
    rml_lipsync_settings *j = &c->job;
    if (c->voices.count == 0)
        return EXIT_DONE;
    if (j->audio_path)
        return usage_error(c->name, "--audio and --voice both say who speaks: give one");
    if (c->faces.which || j->box[0] != RML_NO_BOX || j->compat)
        return usage_error(c->name, "--voice says by numbers which faces speak: give it without "
                                    "--which, --box and --compat");
    if (c->voices.count > RML_LIP_VOICES)
        return usage_error(c->name, "--voice is given %d times; at most %d faces can speak",
                           c->voices.count, RML_LIP_VOICES);
    for (int i = 0; i < c->voices.count; i++) {
        rml_face_choice choice;
        const char *number = c->voices.items[i].name;
        if (!rml_face_choice_parse(number, &choice) || choice.kind != RML_CHOOSE_NUMBER)
            return usage_error(c->name,
                               "--voice is NUMBER=AUDIO with a face's number from 1 on, "
                               "not '%s'",
                               number);
        for (int k = 0; k < i; k++)
            if (j->voices[k].number == choice.number)
                return usage_error(c->name, "--voice gives face %d two voices", choice.number);
        j->voices[i].number = choice.number;
        j->voices[i].path = c->voices.items[i].value;
    }
    j->voice_count = c->voices.count;
    return EXIT_DONE;
}

// What the options say together.
static int check_options(lipsync_command *c)
{
    rml_lipsync_settings *j = &c->job;
    const int voices = take_voices(c);
    if (voices != EXIT_DONE)
        return voices;
    if (!j->clip.path || (!j->audio_path && !j->voice_count))
        return usage_error(c->name, "--%s is missing: give --face VIDEO|IMAGE and --audio FILE",
                           j->clip.path ? "audio" : "face");
    if (!c->codec && j->out_path)
        j->codec = rml_codec_default(j->out_path);
    if (c->codec && !rml_codec_parse(c->codec, &j->codec))
        return usage_error(c->name, "--codec is %s, not '%s'", rml_codec_names(), c->codec);
    if (c->mask && j->paste.picture)
        return usage_error(c->name, "--mask and --mask_image both say what changes: give one");
    if (c->mask && !rml_mask_kind_parse(c->mask, &j->paste.mask))
        return usage_error(c->name, "--mask is mouth, lower or box, not '%s'", c->mask);
    if (!j->sign.certificates != !j->sign.key)
        return usage_error(c->name,
                           "--c2pa CERT.pem and --c2pa_key KEY.pem go together: --%s is "
                           "missing",
                           j->sign.key ? "c2pa" : "c2pa_key");
    if (j->sign.key && c->no_mark)
        return usage_error(c->name, "--no_mark leaves out what --c2pa signs: give one");
    if (c->silence && !rml_silence_parse(c->silence, &j->mouth.silence))
        return usage_error(c->name, "--silence is net, keep or close, not '%s'", c->silence);
    if (j->compat &&
        (j->mouth.strength != 1.0 || (c->silence && j->mouth.silence != RML_SILENCE_NET)))
        return usage_error(c->name,
                           "--compat moves the mouth as the original does: without --silence keep "
                           "or close and --mouth_strength");
    if (j->compat)
        j->mouth.silence = RML_SILENCE_NET;
    if (j->compat && (c->faces.named || c->faces.every > 1 || c->faces.which))
        return usage_error(c->name,
                           "--compat finds faces as the original does: with S3FD, the best in "
                           "every frame, without --detector, --detect_every and --which");
    const int code = paste_networks_check(&c->networks, c->name, j->compat);
    return code == EXIT_DONE
               ? face_options_check(&c->faces, c->name, j->box, j->faces_path, j->compat, &j->which)
               : code;
}

int lipsync_parse(lipsync_command *c, int argc, char **argv)
{
    rml_lipsync_settings *j = &c->job;
    option options[LIPSYNC_OPTIONS_MAX];
    lipsync_given given;
    c->feather = j->paste.feather;
    command_line line = {
        .command = c->name,
        .usage = c->usage,
        .summary = c->summary,
        .options = options,
        .option_count = list_options(c, options),
        .common = &c->common,
    };
    lipsync_given_begin(&given, options, line.option_count);
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || c->common.help)
        return code;
    lipsync_mark_settings(&c->mark, &given, c->common.precision);
    code = check_options(c);
    if (code != EXIT_DONE)
        return code;
    // The original takes any text after --static for true, "False" too.
    j->clip.first_frame_only = c->is_static.value || (j->compat && c->is_static.given);
    if (c->deinterlace.given || j->compat) // the original leaves fields as they are
        j->clip.deinterlace = c->deinterlace.value ? RML_DEINTERLACE_ALL : RML_DEINTERLACE_NONE;
    j->clip.repeat = j->compat || c->loop ? RML_REPEAT_CYCLIC : RML_REPEAT_PING_PONG;
    j->audio_offset_seconds = c->offset_ms / 1e3;
    j->paste.feather = (float)c->feather;
    j->threads = c->common.threads;
    const char *library = getenv("RUN_MODEL_C2PA");
    if (library && *library)
        j->sign.library = library;
    const char *temporary = getenv("TMPDIR");
    if (temporary && *temporary)
        j->temporary_folder = temporary;
    j->progress = on_progress;
    j->cancelled = on_cancelled;
    j->user = c;
    return EXIT_DONE;
}

int lipsync_run(lipsync_command *c)
{
    if (!c->job.out_path) {
        // As in the original, the default folder is there.
        if (mkdir(DEFAULT_FOLDER, 0777) != 0 && errno != EEXIST) {
            fprintf(stderr, "run-model %s: the folder " DEFAULT_FOLDER " cannot be made: %s\n",
                    c->name, strerror(errno));
            return EXIT_FAILED;
        }
        c->job.out_path = DEFAULT_OUTFILE;
    }
    c->mark.command = c->name;
    if (!c->no_mark)
        c->job.mark = &c->mark;
    rml_lipsync_quiet_libraries();
    watch_signals();
    rml_error err;
    rml_lipsync_result result;
    return run(c, &result, &err) == RML_OK ? EXIT_DONE : failure(c->name, &err);
}
