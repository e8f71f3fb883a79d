// run-model wav2lip: the lips of a face follow a voice.
#include "tools/commands.h"
#include "tools/media/lipsync_command.h"

#include "pipelines/lipsync/wav2lip_net.h"

#define COMMAND "wav2lip"

typedef struct {
    const char *named;
    weights_source checkpoint;
    rml_weights *weights;
    rml_model *model;
    rml_session *session;
    rml_wav2lip_net net;
} network;

static rml_status network_open(void *user, const lipsync_command *command, rml_lip_net **net,
                               rml_error *err)
{
    network *n = user;
    const rml_session_settings wanted = lipsync_session_settings(command);
    TRY(weights_source_open(&n->weights, &n->checkpoint, command->common.quiet, err));
    TRY(rml_model_create(&n->model, n->checkpoint.what, n->weights, NULL, err));
    TRY(rml_session_create(&n->session, n->model, &wanted, err));
    rml_wav2lip_net_init(&n->net, n->session);
    *net = &n->net.net;
    return RML_OK;
}

static int network_sessions(void *user, lipsync_session sessions[LIPSYNC_SESSIONS])
{
    const network *n = user;
    sessions[0] = (lipsync_session){n->checkpoint.what, n->session};
    return 1;
}

static void network_close(network *n)
{
    rml_session_destroy(&n->session);
    rml_model_destroy(&n->model);
    rml_weights_close(&n->weights);
}

int cmd_wav2lip(int argc, char **argv)
{
    network lips = {0};
    lipsync_command c = {
        .name = COMMAND,
        .usage = "--face VIDEO|IMAGE --audio AUDIO|VIDEO [options]",
        .summary = "Makes the lips of a face in a video or picture follow a voice (Wav2Lip). The "
                   "result is\n"
                   "as long as the voice. The face is looked for, unless --box or --faces say "
                   "where it is.",
        .job = rml_lipsync_settings_default(),
        .open = network_open,
        .sessions = network_sessions,
        .user = &lips,
    };
    const option options[] = {
        {"checkpoint_path", 0, OPTION_TEXT, &lips.named, "FILE", 0, 0,
         "Wav2Lip weights (.pth, .safetensors); without: those that\nare found"},
        {"wav2lip_batch_size", 0, OPTION_INT, &c.job.batch, "N", 1, RML_LIPSYNC_MAX_BATCH,
         "most frames in one run of the network (8); no influence\non the result; less is used for "
         "large pictures"},
    };
    c.options = options;
    c.option_count = sizeof options / sizeof *options;
    int code = lipsync_parse(&c, argc, argv);
    if (code != EXIT_DONE || c.common.help)
        return code;
    if (!weights_choose(&lips.checkpoint, COMMAND, lips.named))
        return weights_missing(COMMAND, COMMAND, "checkpoint_path");
    code = lipsync_run(&c);
    network_close(&lips);
    return code;
}
