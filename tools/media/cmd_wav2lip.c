// run-model wav2lip: the lips of a face follow a voice.
#include "tools/commands.h"
#include "tools/media/lipsync_command.h"

#include "pipelines/lipsync/wav2lip_net.h"

#define COMMAND "wav2lip"

typedef struct lips {
    const char *named, *config;
    network network;
    rml_wav2lip_net net;
} lips;

static rml_status lips_open(void *user, const lipsync_command *command, rml_lip_net **net,
                            rml_error *err)
{
    lips *l = user;
    network *n = &l->network;
    const rml_session_settings wanted = lipsync_session_settings(command);
    rml_model_settings built = rml_model_settings_default();
    built.config = l->config;
    TRY(network_open(n, COMMAND, &built, command->common.quiet, err));
    TRY(rml_session_create(&n->session, n->model, &wanted, err));
    TRY(named(rml_wav2lip_net_init(&l->net, n->model, n->session, err), err, n->source.path));
    *net = &l->net.net;
    return RML_OK;
}

static int lips_sessions(void *user, lipsync_session sessions[LIPSYNC_SESSIONS])
{
    sessions[0] = (lipsync_session){COMMAND, ((const lips *)user)->network.session};
    return 1;
}

int cmd_wav2lip(int argc, char **argv)
{
    lips l = {0};
    lipsync_command c = {
        .name = COMMAND,
        .usage = "--face VIDEO|IMAGE --audio AUDIO|VIDEO [options]",
        .summary = "Makes the lips of a face in a video or picture follow a voice (Wav2Lip). The "
                   "result is\n"
                   "as long as the voice. The face is looked for, unless --box or --faces say "
                   "where it is.",
        .job = rml_lipsync_settings_default(),
        .open = lips_open,
        .sessions = lips_sessions,
        .user = &l,
    };
    const option options[] = {
        {"checkpoint_path", 0, OPTION_TEXT, &l.named, "FILE", 0, 0,
         "Wav2Lip weights (.pth, .safetensors, .onnx, .mlmodel,\n.mlpackage); without: those that "
         "are found"},
        {"checkpoint_config", 0, OPTION_TEXT, &l.config, "FILE|FOLDER|JSON", 0, 0,
         "what some weights for 384 and 512 pixels do not tell;\nwithout: the config.json beside "
         "them, or what is usual"},
        {"wav2lip_batch_size", 0, OPTION_INT, &c.job.batch, "N", 1, RML_LIPSYNC_MAX_BATCH,
         "most frames in one run of the network (8); no influence\non the result; less is used for "
         "large pictures"},
    };
    c.options = options;
    c.option_count = sizeof options / sizeof *options;
    int code = lipsync_parse(&c, argc, argv);
    if (code != EXIT_DONE || c.common.help)
        return code;
    if (!weights_choose(&l.network.source, COMMAND, l.named))
        return weights_missing(COMMAND, COMMAND, "checkpoint_path");
    lipsync_mark_weights(&c.mark, COMMAND, l.network.source.path);
    code = lipsync_run(&c);
    network_close(&l.network);
    return code;
}
