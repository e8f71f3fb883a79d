// Lips moved in the latents of an autoencoder: a face is encoded with its lower half grey and
// whole, a UNet makes a latent of both and of the voice, and the decoder makes a face of it.
//
// The two latents stand behind one another as channels (a UNet with twice the latent's channels;
// they are multiplied by RML_LATENT_SCALE and its output divided by it) or above one another as
// rows (a UNet with the latent's channels, of which the upper half of the output counts; nothing
// is multiplied). Everything sees BGR.
#ifndef RML_PIPELINES_LIPSYNC_LATENT_NET_H
#define RML_PIPELINES_LIPSYNC_LATENT_NET_H

#include "pipelines/lipsync/latent_layout.h"
#include "pipelines/lipsync/lip_net.h"
#include "pipelines/lipsync/latent_voice.h"

#define RML_LATENT_SIDE 768 // of the faces the published networks are trained on

// What the UNet tells about the way it is used.
typedef struct rml_latent_kind {
    bool stacked;    // as rows, see above
    int64_t context; // width of the vectors of the voice; -1 where it takes any
} rml_latent_kind;

// RML_ERR_SHAPE when `unet` is not one of the two kinds. `unet` is a model of the network "unet" or
// "unet-step0".
rml_status rml_latent_kind_of(rml_latent_kind *kind, rml_model *unet, rml_error *err);

typedef struct rml_latent_settings {
    // Networks "unet-step0" or "unet", "vae-encoder" and "vae-decoder", which outlive the net.
    rml_model *unet, *encoder, *decoder;
    const rml_weights *voice; // of the encoder that hears, which outlive the run's beginning
    const char *voice_name;   // what messages call it
    rml_voice_kind hears;
    // Of all networks. Where they share a block, which outlives the net, the limit is that of the
    // three above together. What hears keeps to the limit in memory of its own, and is gone before.
    rml_session_settings session;
    int side; // of the faces, a multiple of 2
    // Latents are samples of what the encoder gives: the deviates are those of rml_gaussian_noise
    // for `seed` and the frame of the clip, stream 0 for the face with the grey half and 1 for the
    // whole one. Otherwise they are the means.
    bool sampled;
    uint64_t seed;
    // Latents of so many bytes are kept for frames that come again: the first ones, since a clip
    // that repeats needs all of them equally often. 0: none.
    size_t cache_bytes;
} rml_latent_settings;

// 896 frames at 768x768, 2,000 at 512x512.
#define RML_LATENT_CACHE_BYTES ((size_t)256 << 20)

rml_latent_settings rml_latent_settings_default(void);

typedef struct rml_latent_net rml_latent_net;

// RML_ERR_SHAPE, in a sentence, when the voice's vectors do not have the width that the UNet takes.
rml_status rml_latent_net_create(rml_latent_net **out, const rml_latent_settings *settings,
                                 const rml_allocator *allocator, rml_error *err);
void rml_latent_net_destroy(rml_latent_net **net);

// For the pipeline; belongs to `net`.
rml_lip_net *rml_latent_net_lips(rml_latent_net *net);

typedef struct rml_latent_sessions {
    const rml_session *encoder, *unet, *decoder;
} rml_latent_sessions;

// For reports. The networks that hear are gone when the frames are made.
rml_latent_sessions rml_latent_net_sessions(const rml_latent_net *net);

#endif
