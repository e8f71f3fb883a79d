// What the lip-sync commands have in common: options, the run, reports. A command of its own has
// the network and the options that say where its weights are.
#ifndef RML_TOOLS_MEDIA_LIPSYNC_COMMAND_H
#define RML_TOOLS_MEDIA_LIPSYNC_COMMAND_H

#include "tools/find_weights.h"
#include "tools/media/face_options.h"
#include "tools/media/lipsync_mark.h"
#include "tools/media/paste_networks.h"
#include "tools/options.h"
#include "tools/report.h"

#include "pipelines/lipsync/lipsync.h"

// A session for the reports, by the name of its network.
typedef struct lipsync_session {
    const char *name;
    const rml_session *session;
} lipsync_session;

#define LIPSYNC_SESSIONS 8

typedef struct lipsync_command {
    // ---- set by the command ----
    const char *name;         // "wav2lip"
    const char *summary;      // as in command_line
    const char *usage;        // the same
    const option *options;    // of its own, shown after --face and --audio
    int option_count;         //
    common_options common;    //
    rml_lipsync_settings job; // with the command's defaults
    // Opens the network when all else is open, and gives what the pipeline uses. `user` of both.
    rml_status (*open)(void *user, const struct lipsync_command *command, rml_lip_net **net,
                       rml_error *err);
    // The sessions there are by now; returns how many.
    int (*sessions)(void *user, lipsync_session sessions[LIPSYNC_SESSIONS]);
    void *user;
    rml_mark_facts mark;      // its weights are named by the command
    size_t memory_limit;      // of all sessions of frames together, or 0
    rml_shared_block *shared; // the memory of these sessions, which take turns; or NULL
    // ---- of the shared part ----
    face_options faces;
    paste_networks networks;
    const char *codec, *mask, *silence;
    option_switch is_static, deinterlace;
    option_list voices;
    bool loop, no_mark;
    int face_batch;
    double offset_ms, feather;
    progress progress;
} lipsync_command;

// Parses the command line and checks what can be checked without a file. As options_parse; with
// --help the caller leaves. A command checks its own options between this and lipsync_run.
int lipsync_parse(lipsync_command *command, int argc, char **argv);

// The whole run with its reports; the result is the exit code.
int lipsync_run(lipsync_command *command);

// Settings for the sessions of a command, from the common options.
rml_session_settings lipsync_session_settings(const lipsync_command *command);

// What is printed after the run; `seconds` it took.
void lipsync_report(const lipsync_command *command, const rml_lipsync_result *result,
                    const rml_lipsync *job, const lipsync_session *sessions, int count,
                    double seconds);

#endif
