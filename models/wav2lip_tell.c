// Which generator a checkpoint is, by its keys and shapes, and what these leave open, by a config.
#include "models/blocks.h"
#include "models/wav2lip.h"

#include <string.h>

#define ENCODER "face_encoder_blocks."
#define MOST_KINDS 16
#define SAM8_STEP 64 // its sides are multiples of this, from three of them on

static const rml_shape *block_weight(const rml_params *params, int stage, int block)
{
    char key[RML_KEY_BYTES];
    rml_key(key, ENCODER "%d.%d.conv_block.0.weight", stage, block);
    const rml_shape *shape = rml_params_stored(params, key);
    return shape && shape->rank == 4 ? shape : NULL;
}

// Up to the last stage that has a first block, so that a missing one is missed later.
static int count_stages(const rml_params *params)
{
    int count = 0;
    for (int i = 0; i < 2 * RML_WAV2LIP_MAX_STAGES; i++)
        if (block_weight(params, i, 0))
            count = i + 1;
    return count;
}

static bool has_residuals(const rml_params *params, int stages)
{
    bool found = false;
    for (int i = 0; i + 1 < stages; i++)
        found = found || block_weight(params, i, 1);
    return found;
}

static bool refuse(rml_params *params, const char *what)
{
    rml_graph_fail(rml_params_graph(params), RML_ERR_UNSUPPORTED, "%s", what);
    return false;
}

// What has some of the keys and is something else.
static bool check_family(rml_params *params)
{
    const rml_shape *first = block_weight(params, 0, 0);
    if (rml_params_stored(params, "face_encoder.0.conv_block.0.weight"))
        return refuse(params,
                      "these are weights of a sync expert (syncnet), which tells whether lips and "
                      "sound agree, and not of a generator");
    if (first && first->dim[1] == 3)
        return refuse(params, "these are weights of a discriminator of pictures, as the training "
                              "of Wav2Lip has one, and not of its generator");
    if (first && first->dim[1] == 8)
        return refuse(params, "these are weights of a Wav2Lip on latents, whose face has 8 "
                              "channels: there is no such network here");
    if (rml_params_stored(params, ENCODER "8.conv_block.0.weight"))
        return refuse(params, "these are weights of a Wav2Lip for 256x256 with a block of stride 2 "
                              "at the encoder's end (" ENCODER "8): there is no such network here");
    return true;
}

static const char *name_by_keys(const rml_params *params)
{
    const bool sam = rml_params_stored(params, "sam.sa.conv1.weight") != NULL;
    const bool refined = rml_params_stored(params, "audio_refine.0.conv_block.0.weight") != NULL;
    const int stages = count_stages(params);
    const rml_shape *last = stages ? block_weight(params, stages - 1, 0) : NULL;
    const rml_shape *second = block_weight(params, 1, 0);
    const int64_t end = last ? last->dim[2] : 0;
    if (stages <= 7 && stages > 0 && !has_residuals(params, stages))
        return end == 4 ? "nota128" : "nota96";
    if (stages <= 7)
        return "96";
    if (sam)
        return stages == 8 ? "sam8" : stages == 9 ? "sam9" : NULL;
    if (stages == 10)
        return "leaky512";
    if (stages == 9 && refined)
        return "leaky384";
    if (stages == 9 && second && second->dim[2] == 5)
        return "288";
    return stages == 8 && end == 4 ? "256" : NULL;
}

static const rml_wav2lip_kind *kind_of(const char *name)
{
    size_t i = 0;
    while (strcmp(rml_wav2lip_kind_at(i)->name, name) != 0)
        i++;
    return rml_wav2lip_kind_at(i);
}

static const rml_wav2lip_kind *by_keys(rml_params *params)
{
    const char *name = check_family(params) ? name_by_keys(params) : "";
    if (!name)
        rml_graph_fail(rml_params_graph(params), RML_ERR_UNSUPPORTED,
                       "the face encoder has %d stages, and what else is there is not that of a "
                       "Wav2Lip generator that is known here (96, 128, 256, 288, 384 or 512 "
                       "pixels wide)",
                       count_stages(params));
    return name && *name ? kind_of(name) : NULL;
}

// The network that the config names: nothing else tells it of random weights and of graph files,
// and of others it must agree with the keys.
static const rml_wav2lip_kind *by_config(rml_params *params, const rml_wav2lip_kind *told)
{
    const char *names[MOST_KINDS + 1] = {NULL};
    int fallback = 0;
    for (int i = 0; i < MOST_KINDS && rml_wav2lip_kind_at((size_t)i); i++) {
        names[i] = rml_wav2lip_kind_at((size_t)i)->name;
        fallback = rml_wav2lip_kind_at((size_t)i) == told ? i : fallback;
    }
    rml_config *config = rml_params_config(params);
    const rml_wav2lip_kind *named =
        rml_wav2lip_kind_at((size_t)rml_config_choice(config, "network", names, fallback));
    // Slopes are told by their own keys.
    if (told && (named->encoder != told->encoder || named->side != told->side))
        rml_config_fail(config, RML_ERR_ARG, "network is \"%s\", and the weights are of \"%s\"",
                        named->name, told->name);
    return told ? told : named;
}

static void read_config(rml_wav2lip_kind *kind, rml_config *config)
{
    static const char *const lasts[] = {"sigmoid", "tanh", NULL};
    static const char *const pictures[] = {"unit", "signed", NULL};
    const unsigned open = kind->open;
    if (open & RML_WAV2LIP_TELL_SIDE) {
        kind->side = (int)rml_config_int(config, "side", kind->side, 3 * SAM8_STEP, 1536);
        if (kind->side % SAM8_STEP)
            rml_config_fail(config, RML_ERR_ARG, "side %d is no multiple of %d", kind->side,
                            SAM8_STEP);
    }
    if (open & RML_WAV2LIP_TELL_REFINE)
        kind->refine = kind->norm = rml_config_bool(config, "audio_refine", kind->refine);
    if (open & RML_WAV2LIP_TELL_LAST)
        kind->tanh = rml_config_choice(config, "last", lasts, kind->tanh);
    if (open & RML_WAV2LIP_TELL_LEAKY_AUDIO)
        kind->leaky_audio = rml_config_bool(config, "leaky_audio", kind->leaky_audio);
    if (open & RML_WAV2LIP_TELL_ATTENTION)
        kind->attention = rml_config_bool(config, "attention", kind->attention);
    if (open & RML_WAV2LIP_TELL_PICTURES)
        kind->signed_faces = rml_config_choice(config, "pictures", pictures, kind->signed_faces);
}

bool rml_wav2lip_tell(rml_params *params, rml_wav2lip_kind *kind)
{
    const bool unknown = rml_params_published(params);
    const rml_wav2lip_kind *found = unknown ? NULL : by_keys(params);
    if (!unknown && !found)
        return false;
    if (unknown || rml_params_config_named(params))
        found = by_config(params, found);
    *kind = *found;
    if (unknown)
        kind->open |= RML_WAV2LIP_TELL_PICTURES;
    if (kind->open)
        read_config(kind, rml_params_config(params));
    return true;
}
