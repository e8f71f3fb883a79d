#include "tools/media/paste_networks.h"

#include "tools/report.h"

#include "pipelines/lipsync/occluder.h"

#include <string.h>

// As XSeg is exported.
static const rml_picture_levels occluder_levels = {.bgr = true, .deviation = 1};

void paste_networks_list(paste_networks *networks, option rows[PASTE_OPTION_COUNT])
{
    const option all[PASTE_OPTION_COUNT] = {
        {"occluder", 0, OPTION_TEXT, &networks->occluder, "FILE.onnx", 0, 0,
         "a network that sees what is in front of the face (hands,\nmicrophones), such as XSeg: "
         "that stays as it is"},
        {"occluder_input", 0, OPTION_TEXT, &networks->occluder_input, "HOW", 0, 0,
         "what it takes: rgb or bgr, and unit, signed or raw\nlevels "
         "(bgr,unit)"},
    };
    memcpy(rows, all, sizeof all);
}

int paste_networks_check(const paste_networks *networks, const char *command, bool compat)
{
    rml_picture_levels levels = occluder_levels;
    if (networks->occluder && compat)
        return usage_error(command, "--compat pastes as the original does, without --occluder");
    if (networks->occluder_input && !networks->occluder)
        return usage_error(command, "--occluder_input is for --occluder FILE.onnx");
    if (networks->occluder_input && !rml_picture_levels_parse(networks->occluder_input, &levels))
        return usage_error(command,
                           "--occluder_input is rgb or bgr, and unit, signed or raw, as in "
                           "\"rgb,signed\", not '%s'",
                           networks->occluder_input);
    return EXIT_DONE;
}

static rml_status open_net(network *n, const char *what, const char *path, bool quiet,
                           const rml_mask_net_settings *settings, rml_mask_net **net,
                           rml_error *err)
{
    weights_choose(&n->source, what, path);
    TRY(network_open(n, NULL, NULL, quiet, err));
    return named(rml_mask_net_create(net, n->model, settings, err), err, path);
}

rml_status paste_networks_open(paste_networks *networks, const rml_session_settings *session,
                               bool quiet, rml_paste_settings *paste, rml_error *err)
{
    rml_mask_net_settings occluder = {.what = "the occluder",
                                      .session = *session,
                                      .levels = occluder_levels,
                                      .side = RML_OCCLUDER_SIDE};
    occluder.session.shared = NULL; // it runs beside the others
    if (!networks->occluder)
        return RML_OK;
    if (networks->occluder_input)
        rml_picture_levels_parse(networks->occluder_input, &occluder.levels);
    TRY(open_net(&networks->occluder_network, "occluder", networks->occluder, quiet, &occluder,
                 &networks->occluder_net, err));
    paste->occluder = networks->occluder_net;
    return RML_OK;
}

void paste_networks_close(paste_networks *networks)
{
    rml_mask_net_destroy(&networks->occluder_net);
    network_close(&networks->occluder_network);
}
