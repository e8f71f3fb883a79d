// run-model latent-wav2lip: the lips of a face follow a voice, in the latents of an autoencoder.
#include "tools/commands.h"
#include "tools/media/lipsync_command.h"

#include "pipelines/lipsync/latent_net.h"

#include <math.h>
#include <string.h>

#define COMMAND "latent-wav2lip"
#define BATCH 2

typedef struct {
    const char *checkpoint, *unet_config, *vae, *wav2vec2, *whisper;
    rml_weights *unet_weights, *vae_weights, *voice_weights;
    rml_model *unet, *encoder, *decoder;
    rml_latent_settings settings;
    double seed;      // whole; -1: none
    double memory_mb; // 0: no limit
    rml_latent_net *net;
} networks;

// The UNet tells how the rest is used, so it comes first.
static rml_status open_unet(networks *n, lipsync_command *command, rml_error *err)
{
    rml_model_settings built = rml_model_settings_default();
    rml_latent_kind kind;
    built.config = n->unet_config;
    TRY(rml_weights_open(&n->unet_weights, n->checkpoint, NULL, err));
    // The time step is always 0; a graph file has it as an input all the same.
    const bool graph = is_graph_format(rml_weights_format(n->unet_weights));
    TRY(rml_model_create(&n->unet, graph ? "unet" : "unet-step0", n->unet_weights, &built, err));
    TRY(named(rml_latent_kind_of(&kind, n->unet, err), err, n->checkpoint));
    // Of the original only what has the latents as channels goes back and forth.
    if (command->job.compat && !kind.stacked)
        command->job.clip.repeat = RML_REPEAT_DOUBLED;
    command->job.hearing = n->whisper ? RML_HEAR_WHISPER : RML_HEAR_WAV2VEC2;
    return RML_OK;
}

static rml_status open_rest(void *user, const lipsync_command *command, rml_lip_net **net,
                            rml_error *err)
{
    networks *n = user;
    rml_latent_settings *s = &n->settings;
    s->voice_name = n->whisper ? n->whisper : n->wav2vec2;
    s->hears = n->whisper ? RML_VOICE_WHISPER : RML_VOICE_WAV2VEC2;
    TRY(rml_weights_open(&n->vae_weights, n->vae, NULL, err));
    TRY(rml_model_create(&n->encoder, "vae-encoder", n->vae_weights, NULL, err));
    TRY(rml_model_create(&n->decoder, "vae-decoder", n->vae_weights, NULL, err));
    TRY(rml_weights_open(&n->voice_weights, s->voice_name, NULL, err));
    s->unet = n->unet;
    s->encoder = n->encoder;
    s->decoder = n->decoder;
    s->voice = n->voice_weights;
    s->session = lipsync_session_settings(command);
    s->sampled = n->seed >= 0;
    s->seed = s->sampled ? (uint64_t)n->seed : 0;
    TRY(rml_latent_net_create(&n->net, s, NULL, err));
    *net = rml_latent_net_lips(n->net);
    return RML_OK;
}

static int list_sessions(void *user, lipsync_session sessions[LIPSYNC_SESSIONS])
{
    const networks *n = user;
    const rml_latent_sessions all = rml_latent_net_sessions(n->net);
    sessions[0] = (lipsync_session){"vae-encoder", all.encoder};
    sessions[1] = (lipsync_session){"unet", all.unet};
    sessions[2] = (lipsync_session){"vae-decoder", all.decoder};
    return 3;
}

static void close_all(networks *n)
{
    rml_latent_net_destroy(&n->net);
    rml_model_destroy(&n->decoder);
    rml_model_destroy(&n->encoder);
    rml_model_destroy(&n->unet);
    rml_weights_close(&n->voice_weights);
    rml_weights_close(&n->vae_weights);
    rml_weights_close(&n->unet_weights);
}

static int check_options(const networks *n)
{
    if (!n->checkpoint)
        return usage_error(COMMAND, "--checkpoint_path is missing: give the UNet's weights");
    if (!n->vae)
        return usage_error(COMMAND, "--vae_path is missing: give the folder of the autoencoder "
                                    "(AutoencoderKL, sd-vae-ft-mse for one)");
    if (!n->wav2vec2 && !n->whisper)
        return usage_error(COMMAND, "what hears the voice? Give --wav2vec2 FOLDER or --whisper "
                                    "FOLDER, as the UNet was trained");
    if (n->wav2vec2 && n->whisper)
        return usage_error(COMMAND, "--wav2vec2 and --whisper both hear the voice: give one");
    if (n->seed != floor(n->seed))
        return usage_error(COMMAND, "--seed is a whole number, not %.10g", n->seed);
    if (n->settings.side % 8)
        return usage_error(COMMAND, "--img_size must be a multiple of 8, not %d", n->settings.side);
    return EXIT_DONE;
}

int cmd_latent_wav2lip(int argc, char **argv)
{
    networks n = {.settings = rml_latent_settings_default(), .seed = -1};
    lipsync_command c = {
        .name = COMMAND,
        .usage = "--face VIDEO|IMAGE --audio AUDIO|VIDEO\n    --checkpoint_path UNET --vae_path "
                 "FOLDER --wav2vec2 FOLDER|--whisper FOLDER [options]",
        .summary = "Makes the lips of a face in a video or picture follow a voice with a UNet on "
                   "latents. The\n"
                   "result is as long as the voice. The face is looked for, unless --box or "
                   "--faces say where it is.",
        .job = rml_lipsync_settings_default(),
        .open = open_rest,
        .sessions = list_sessions,
        .user = &n,
    };
    const option options[] = {
        {"checkpoint_path", 0, OPTION_TEXT, &n.checkpoint, "FILE|FOLDER", 0, 0,
         "the UNet: a checkpoint of the training (.ckpt), weights\nmerged from shards, or a folder "
         "laid out as on a hub"},
        {"unet_config", 0, OPTION_TEXT, &n.unet_config, "FILE|FOLDER", 0, 0,
         "its config.json or the folder of it; without: the one\nbeside the weights, or what the "
         "weights tell"},
        {"vae_path", 0, OPTION_TEXT, &n.vae, "FOLDER|FILE", 0, 0,
         "the autoencoder (AutoencoderKL), or a file with it"},
        {"wav2vec2", 0, OPTION_TEXT, &n.wav2vec2, "FOLDER", 0, 0,
         "Wav2Vec2 hears the voice (UNets whose context is 768 wide)"},
        {"whisper", 0, OPTION_TEXT, &n.whisper, "FOLDER", 0, 0,
         "Whisper hears the voice (UNets whose context is 384 wide)"},
        {"img_size", 0, OPTION_INT, &n.settings.side, "N", 16, 4096,
         "side of the faces the UNet was trained on (768)"},
        {"seed", 0, OPTION_NUMBER, &n.seed, "N", 0, UINT32_MAX,
         "take samples of what the autoencoder gives, the same for\nthe same N; without: means"},
        {"mem_limit", 0, OPTION_NUMBER, &n.memory_mb, "MB", 0, 1e9,
         "most memory for the activations of the networks, which\ntake turns with it; where more "
         "would be taken, pictures are\ncomputed in bands that give the same bits (0: no limit)"},
        {"wav2lip_batch_size", 0, OPTION_INT, &c.job.batch, "N", 1, RML_LIPSYNC_MAX_BATCH,
         "most frames in one run of the UNet (2); no influence on\nthe result"},
    };
    rml_error err;
    c.job.batch = BATCH;
    c.options = options;
    c.option_count = sizeof options / sizeof *options;
    int code = lipsync_parse(&c, argc, argv);
    if (code != EXIT_DONE || c.common.help)
        return code;
    code = check_options(&n);
    lipsync_mark_weights(&c.mark, "unet", n.checkpoint);
    lipsync_mark_weights(&c.mark, "vae", n.vae);
    lipsync_mark_weights(&c.mark, n.whisper ? "whisper" : "wav2vec2",
                         n.whisper ? n.whisper : n.wav2vec2);
    c.memory_limit = (size_t)(n.memory_mb * 1e6);
    if (code == EXIT_DONE)
        code = rml_shared_block_create(&c.shared, NULL, &err) == RML_OK &&
                       open_unet(&n, &c, &err) == RML_OK
                   ? lipsync_run(&c)
                   : failure(COMMAND, &err);
    close_all(&n);
    rml_shared_block_destroy(&c.shared);
    return code;
}
