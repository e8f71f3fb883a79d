// The options that say where the face is, for all commands that look for one.
#ifndef RML_TOOLS_MEDIA_FACE_OPTIONS_H
#define RML_TOOLS_MEDIA_FACE_OPTIONS_H

#include "tools/find_weights.h"
#include "tools/options.h"
#include "tools/report.h"

#include "pipelines/faces/face_choice.h"
#include "pipelines/faces/face_finder.h"

typedef struct face_options {
    const char *s3fd, *named; // --s3fd, --detector
    int every;                // --detect_every
    const char *which;
    network detector; // S3FD, or a graph file that tells by itself
} face_options;

#define FACE_OPTION_COUNT 6

// Their rows in the order of --help; `box` and `faces_path` are those of a pipeline's settings.
void face_options_list(face_options *faces, int box[4], const char **faces_path,
                       option rows[FACE_OPTION_COUNT]);

// What they say together, which detector there is, and which face; the result is an exit code.
// `heavy`: a light one is not looked for.
int face_options_check(face_options *faces, const char *command, const int box[4],
                       const char *faces_path, bool heavy, rml_face_choice *which);

// Opens the detector that was chosen.
rml_status face_options_open(face_options *faces, const rml_session_settings *session, bool quiet,
                             rml_face_finder **finder, rml_error *err);

#endif
