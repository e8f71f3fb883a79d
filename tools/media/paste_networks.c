#include "tools/media/paste_networks.h"

#include "tools/report.h"

#include "pipelines/lipsync/enhance.h"
#include "pipelines/lipsync/occluder.h"

#include <string.h>

// As XSeg is exported.
static const rml_picture_levels occluder_levels = {.bgr = true, .deviation = 1};

// As GFPGAN, CodeFormer and RestoreFormer are; the weight is CodeFormer's fidelity.
static const rml_picture_levels restorer_levels = {.mean = 0.5f, .deviation = 0.5f};
#define RESTORER_WEIGHT 0.5

void paste_networks_list(paste_networks *networks, option rows[PASTE_OPTION_COUNT])
{
    const option all[PASTE_OPTION_COUNT] = {
        {"occluder", 0, OPTION_TEXT, &networks->occluder, "FILE.onnx", 0, 0,
         "a network that sees what is in front of the face (hands,\nmicrophones), such as XSeg: "
         "that stays as it is"},
        {"occluder_input", 0, OPTION_TEXT, &networks->occluder_input, "HOW", 0, 0,
         "what it takes: rgb or bgr, and unit, signed or raw\nlevels "
         "(bgr,unit)"},
        {"enhance", 0, OPTION_TEXT, &networks->restorer, "FILE.onnx", 0, 0,
         "a network that restores faces, such as GFPGAN or CodeFormer:\nthe new face goes through "
         "it"},
        {"enhance_input", 0, OPTION_TEXT, &networks->restorer_input, "HOW", 0, 0,
         "what it takes and gives, as --occluder_input (rgb,signed)"},
        {"enhance_weight", 0, OPTION_NUMBER, &networks->restorer_weight, "X", 0, 1,
         "for a second input of one number, as CodeFormer has: 0 for\nquality, 1 for likeness "
         "(0.5)"},
    };
    networks->restorer_weight = RESTORER_WEIGHT;
    memcpy(rows, all, sizeof all);
}

static int check_input(const char *command, const char *flag, const char *file, const char *how)
{
    rml_picture_levels levels = {0};
    if (how && !file)
        return usage_error(command, "--%s_input is for --%s FILE.onnx", flag, flag);
    if (how && !rml_picture_levels_parse(how, &levels))
        return usage_error(command,
                           "--%s_input is rgb or bgr, and unit, signed or raw, as in "
                           "\"rgb,signed\", not '%s'",
                           flag, how);
    return EXIT_DONE;
}

int paste_networks_check(const paste_networks *networks, const char *command, bool compat)
{
    if ((networks->occluder || networks->restorer) && compat)
        return usage_error(command, "--compat pastes as the original does, without --%s",
                           networks->occluder ? "occluder" : "enhance");
    const int code = check_input(command, "occluder", networks->occluder, networks->occluder_input);
    return code != EXIT_DONE
               ? code
               : check_input(command, "enhance", networks->restorer, networks->restorer_input);
}

// It runs beside the others, with memory of its own.
static rml_status open_net(network *n, const char *path, const char *how, bool quiet,
                           const rml_session_settings *session, rml_picture_net_settings *settings,
                           rml_picture_net **net, rml_error *err)
{
    *net = NULL;
    if (!path)
        return RML_OK;
    settings->session = *session;
    settings->session.shared = NULL;
    if (how)
        rml_picture_levels_parse(how, &settings->levels);
    weights_choose(&n->source, settings->what, path);
    TRY(network_open(n, NULL, NULL, quiet, err));
    return named(rml_picture_net_create(net, n->model, settings, err), err, path);
}

rml_status paste_networks_open(paste_networks *networks, const rml_session_settings *session,
                               bool quiet, rml_paste_settings *paste, rml_error *err)
{
    paste_networks *n = networks;
    rml_picture_net_settings occluder = {.what = "the occluder",
                                         .levels = occluder_levels,
                                         .side = RML_OCCLUDER_SIDE,
                                         .channels = 1};
    rml_picture_net_settings restorer = {.what = "the restorer",
                                         .levels = restorer_levels,
                                         .side = RML_ENHANCE_SIDE,
                                         .channels = 3,
                                         .more = n->restorer_weight};
    TRY(open_net(&n->occluder_network, n->occluder, n->occluder_input, quiet, session, &occluder,
                 &n->occluder_net, err));
    TRY(open_net(&n->restorer_network, n->restorer, n->restorer_input, quiet, session, &restorer,
                 &n->restorer_net, err));
    paste->occluder = n->occluder_net;
    paste->restorer = n->restorer_net;
    return RML_OK;
}

void paste_networks_close(paste_networks *networks)
{
    rml_picture_net_destroy(&networks->occluder_net);
    network_close(&networks->occluder_network);
    rml_picture_net_destroy(&networks->restorer_net);
    network_close(&networks->restorer_network);
}
