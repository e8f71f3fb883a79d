// Networks of the user's that a new face passes before it is in the picture: their options, and how
// they are opened.
#ifndef RML_TOOLS_MEDIA_PASTE_NETWORKS_H
#define RML_TOOLS_MEDIA_PASTE_NETWORKS_H

#include "tools/find_weights.h"
#include "tools/options.h"

#include "pipelines/lipsync/face_paste.h"

typedef struct paste_networks {
    const char *occluder, *occluder_input; // files, and what pictures are to them
    network occluder_network;
    rml_picture_net *occluder_net;
    const char *restorer, *restorer_input;
    double restorer_weight;
    network restorer_network;
    rml_picture_net *restorer_net;
} paste_networks;

#define PASTE_OPTION_COUNT 5

void paste_networks_list(paste_networks *networks, option rows[PASTE_OPTION_COUNT]);

// EXIT_DONE, or the usage error. `compat`: the command reproduces upstream's paste.
int paste_networks_check(const paste_networks *networks, const char *command, bool compat);

// Opens what is named and sets it in `paste`.
rml_status paste_networks_open(paste_networks *networks, const rml_session_settings *session,
                               bool quiet, rml_paste_settings *paste, rml_error *err);
void paste_networks_close(paste_networks *networks);

#endif
