// The sessions may take turns with one block of memory, so what goes from one to the next is
// copied.
//
// Trap: the lower half is grey, 0, of an image of -1..1, and not black; whatever the scale of the
// latents is, it is taken of both and given back before the decoder.
#include "pipelines/lipsync/latent_net.h"

#include "pipelines/lipsync/latent_layout.h"
#include "pipelines/lipsync/latent_cache.h"
#include "tensor/alloc.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#define ENCODER "vae-encoder"
#define UNET "unet"
#define DECODER "vae-decoder"
#define COLOURS 3
#define HALVES 2 // the face with the grey half, and the whole face
// Times computed along different ways differ by rounding; far less than a row.
#define TIME_SLACK 1e-6
// What the logarithm of a variance is cut to, as in diffusers.
#define LEAST_LOG_VARIANCE (-30.0f)
#define MOST_LOG_VARIANCE 20.0f

struct rml_latent_net {
    rml_lip_net net;
    const rml_allocator *allocator;
    rml_latent_settings settings;
    rml_latent_kind kind;
    bool timed; // the UNet has the time step, which is 0, as an input
    rml_session *encoder, *unet, *decoder;
    int64_t height, width; // of a latent
    size_t pixels;         // of a face
    size_t plane, half;    // numbers of a channel, and of all
    float *latent;         // [halves][channels][height][width]
    float *staged;         // those of a group, then what the UNet makes of them
    int staged_count;      // faces there is room for
    int together;          // most faces in one run of the UNet
    float *noise;          // one half, when it is sampled
    rml_latent_cache *cache;
    rml_voice voices[RML_LIP_VOICES]; // all of one kind and width
    rml_lip_sound sound;
};

static const rml_shape *port_shape(rml_model *model, const char *name, bool output, rml_port *port)
{
    const size_t at =
        output ? rml_model_find_output(model, name) : rml_model_find_input(model, name);
    if (at == RML_NO_PORT)
        return NULL;
    *port = output ? rml_model_output(model, at) : rml_model_input(model, at);
    return &port->shape;
}

rml_status rml_latent_kind_of(rml_latent_kind *kind, rml_model *unet, rml_error *err)
{
    rml_port in, out, words;
    const rml_shape *sample = port_shape(unet, "sample", false, &in);
    const rml_shape *made = port_shape(unet, "out_sample", true, &out);
    const rml_shape *context = port_shape(unet, "encoder_hidden_states", false, &words);
    if (!sample || !made || !context || sample->rank != 4 || made->rank != 4 || context->rank != 3)
        return rml_fail(err, RML_ERR_SHAPE, "the network is no UNet of latents");
    kind->stacked = sample->dim[1] == RML_LATENT_CHANNELS;
    kind->context = context->dim[2];
    if ((!kind->stacked && sample->dim[1] != HALVES * RML_LATENT_CHANNELS) ||
        made->dim[1] != RML_LATENT_CHANNELS)
        return rml_fail(err, RML_ERR_SHAPE,
                        "the UNet makes %lld channels of %lld; those that move lips make %d of %d, "
                        "or of %d",
                        (long long)made->dim[1], (long long)sample->dim[1], RML_LATENT_CHANNELS,
                        HALVES * RML_LATENT_CHANNELS, RML_LATENT_CHANNELS);
    return RML_OK;
}

rml_latent_settings rml_latent_settings_default(void)
{
    return (rml_latent_settings){.hears = RML_VOICE_WAV2VEC2,
                                 .session = rml_session_settings_default(),
                                 .side = RML_LATENT_SIDE,
                                 .cache_bytes = RML_LATENT_CACHE_BYTES};
}

// ---- the beginning ------------------------------------------------------------------------------

// Of what hears, which is gone, and its memory with it, when faces come.
static rml_session_settings hearing_settings(const rml_latent_net *self)
{
    rml_session_settings wanted = self->settings.session;
    wanted.profile = false;
    wanted.shared = NULL;
    return wanted;
}

static rml_status hear(rml_latent_net *self, int voice, rml_error *err)
{
    const char *path = self->sound.voices[voice].path;
    const rml_latent_settings *s = &self->settings;
    const rml_session_settings wanted = hearing_settings(self);
    float *samples;
    size_t count;
    RML_TRY(rml_speech_load(&samples, &count, path, self->sound.compat, self->allocator, err));
    const rml_status status = rml_voice_hear(&self->voices[voice], s->hears, s->voice, NULL,
                                             &wanted, samples, count, self->allocator, err);
    rml_free(self->allocator, samples);
    return rml_named(status, err, path);
}

static rml_shape image_shape(const rml_latent_net *self)
{
    return (rml_shape){4, {1, COLOURS, self->settings.side, self->settings.side}};
}

// A turn of one of the networks, which messages call by its name.
static rml_status prepare(rml_session *session, const char *name, rml_error *err)
{
    return rml_named(rml_session_prepare(session, err), err, name);
}

// Plans the autoencoder for one face and finds the size of its latent.
static rml_status prepare_autoencoder(rml_latent_net *self, rml_error *err)
{
    rml_shape shape = image_shape(self);
    RML_TRY(rml_session_resize(self->encoder, "sample", shape, err));
    RML_TRY(prepare(self->encoder, ENCODER, err));
    if (!rml_session_output(self->encoder, "latent_parameters", &shape) || shape.rank != 4 ||
        shape.dim[0] != 1 || shape.dim[1] != HALVES * RML_LATENT_CHANNELS)
        return rml_fail(err, RML_ERR_SHAPE, "the autoencoder's latents do not have %d channels",
                        RML_LATENT_CHANNELS);
    self->height = shape.dim[2];
    self->width = shape.dim[3];
    self->plane = (size_t)(self->height * self->width);
    self->half = RML_LATENT_CHANNELS * self->plane;
    shape.dim[1] = RML_LATENT_CHANNELS;
    RML_TRY(rml_session_resize(self->decoder, "latent_sample", shape, err));
    RML_TRY(prepare(self->decoder, DECODER, err));
    const rml_shape wanted = image_shape(self);
    if (!rml_session_output(self->decoder, "sample", &shape) || shape.rank != 4 ||
        memcmp(shape.dim, wanted.dim, 4 * sizeof *shape.dim) != 0)
        return rml_fail(err, RML_ERR_SHAPE,
                        "the autoencoder does not give back a picture of %dx%d in its size",
                        self->settings.side, self->settings.side);
    return RML_OK;
}

static rml_status prepare_unet(rml_latent_net *self, int count, rml_error *err)
{
    const int64_t rows = RML_VOICE_CHUNK * self->voices->layers;
    const rml_shape latents =
        self->kind.stacked
            ? (rml_shape){4, {count, RML_LATENT_CHANNELS, HALVES * self->height, self->width}}
            : (rml_shape){4, {count, HALVES * RML_LATENT_CHANNELS, self->height, self->width}};
    RML_TRY(rml_session_resize(self->unet, "sample", latents, err));
    if (self->timed)
        RML_TRY(rml_session_resize(self->unet, "timestep", (rml_shape){1, {1}}, err));
    RML_TRY(rml_session_resize(self->unet, "encoder_hidden_states",
                               (rml_shape){3, {count, rows, self->voices->width}}, err));
    return prepare(self->unet, UNET, err);
}

// What the UNet made of `count` faces; graph files may make anything.
static rml_status find_made(rml_latent_net *self, int count, const float **made, rml_error *err)
{
    rml_shape shape;
    const int64_t height = self->kind.stacked ? HALVES * self->height : self->height;
    *made = rml_session_output(self->unet, "out_sample", &shape);
    if (*made && shape.rank == 4 && shape.dim[0] == count && shape.dim[1] == RML_LATENT_CHANNELS &&
        shape.dim[2] == height && shape.dim[3] == self->width)
        return RML_OK;
    return rml_fail(err, RML_ERR_SHAPE,
                    "the UNet does not give back a latent of %lldx%lld in its size for each of %d",
                    (long long)self->width, (long long)height, count);
}

static rml_status take_memory(rml_latent_net *self, rml_error *err)
{
    RML_TRY(rml_make(self->allocator, &self->latent, HALVES * self->half, sizeof *self->latent,
                     "a latent", err));
    RML_TRY(rml_make(self->allocator, &self->noise, self->half, sizeof *self->noise, "noise", err));
    return rml_latent_cache_create(&self->cache, HALVES * self->half, self->settings.cache_bytes,
                                   self->allocator, err);
}

static rml_status begin(rml_lip_net *net, const rml_lip_sound *sound, rml_error *err)
{
    rml_latent_net *self = net->self;
    self->sound = *sound;
    for (int i = 0; i < sound->count; i++)
        RML_TRY(hear(self, i, err));
    net->sound_count = (size_t)(RML_VOICE_CHUNK * self->voices->layers * self->voices->width);
    RML_TRY(prepare_autoencoder(self, err));
    RML_TRY(prepare_unet(self, 1, err));
    const float *made;
    RML_TRY(find_made(self, 1, &made, err));
    return take_memory(self, err);
}

static rml_status listen(rml_lip_net *net, int voice, const rml_slot_plan *plan, float *sound,
                         rml_error *err)
{
    const rml_latent_net *self = net->self;
    (void)err;
    const double row = floor(plan->sound_seconds * RML_VOICE_ROWS_PER_SECOND + TIME_SLACK);
    if (self->sound.compat)
        rml_voice_chunk(&self->voices[voice], self->sound.fps, plan->index, sound);
    else
        rml_voice_chunk_at(&self->voices[voice], (int64_t)row, sound);
    return RML_OK;
}

static rml_status hear_silence(rml_lip_net *net, float *sound, rml_error *err)
{
    const rml_latent_net *self = net->self;
    const rml_session_settings wanted = hearing_settings(self);
    return rml_voice_hear_silence(sound, self->settings.hears, self->settings.voice, NULL, &wanted,
                                  self->allocator, err);
}

// ---- faces --------------------------------------------------------------------------------------

// Mean or sample of the encoder's output, scaled, to `latent`.
static void read_latent(rml_latent_net *self, const rml_lip_item *item, uint32_t stream,
                        float *latent)
{
    const size_t count = self->half;
    const float *mean = rml_session_output(self->encoder, "latent_parameters", NULL);
    const float *log_variance = mean + count;
    memcpy(latent, mean, count * sizeof *latent);
    if (self->settings.sampled) {
        rml_gaussian_noise(self->settings.seed, (uint64_t)item->source, stream, self->noise, count);
        for (size_t i = 0; i < count; i++) {
            const float v = fminf(fmaxf(log_variance[i], LEAST_LOG_VARIANCE), MOST_LOG_VARIANCE);
            latent[i] += expf(0.5f * v) * self->noise[i];
        }
    }
    for (size_t i = 0; i < count && !self->kind.stacked; i++)
        latent[i] *= RML_LATENT_SCALE;
}

// Both latents of a face: made, or made before.
static rml_status find_latent(rml_latent_net *self, const rml_lip_item *item, const float **latent,
                              rml_error *err)
{
    *latent = rml_latent_cache_find(self->cache, item->source, item->box);
    if (*latent)
        return RML_OK;
    RML_TRY(prepare(self->encoder, ENCODER, err));
    for (uint32_t i = 0; i < HALVES; i++) {
        rml_latent_fill_image(rml_session_input(self->encoder, "sample", NULL), item->patch,
                              self->pixels, i == 0);
        RML_TRY(rml_session_run(self->encoder, err));
        read_latent(self, item, i, self->latent + i * self->half);
    }
    rml_latent_cache_keep(self->cache, item->source, item->box, self->latent);
    *latent = self->latent;
    return RML_OK;
}

static rml_status decode(rml_latent_net *self, rml_lip_item *item, const float *made, bool round,
                         rml_error *err)
{
    RML_TRY(prepare(self->decoder, DECODER, err));
    rml_latent_take(rml_session_input(self->decoder, "latent_sample", NULL), made, self->plane,
                    self->kind.stacked);
    RML_TRY(rml_session_run(self->decoder, err));
    if (!rml_latent_read_face(item->patch, rml_session_output(self->decoder, "sample", NULL),
                              self->pixels, round))
        return rml_fail(err, RML_ERR_FORMAT,
                        "the networks give numbers that are not finite: the weights of one are "
                        "damaged");
    return RML_OK;
}

static rml_status make_room(rml_latent_net *self, int count, rml_error *err)
{
    if (count <= self->staged_count)
        return RML_OK;
    rml_free(self->allocator, self->staged);
    self->staged_count = 0;
    RML_TRY(rml_make(self->allocator, &self->staged, (size_t)count * HALVES * self->half,
                     sizeof *self->staged, "latents", err));
    self->staged_count = count;
    return RML_OK;
}

static rml_status run_together(rml_lip_net *net, rml_lip_item *const *items, int count, bool round,
                               rml_error *err)
{
    rml_latent_net *self = net->self;
    const size_t made_step = self->half * (self->kind.stacked ? 2 : 1);
    const size_t sample_step = HALVES * self->half;
    RML_TRY(make_room(self, count, err));
    for (int i = 0; i < count; i++) {
        const float *latent;
        RML_TRY(find_latent(self, items[i], &latent, err));
        rml_latent_place(self->staged + (size_t)i * sample_step, latent, self->plane,
                         self->kind.stacked);
    }
    RML_TRY(prepare_unet(self, count, err));
    float *words = rml_session_input(self->unet, "encoder_hidden_states", NULL);
    memcpy(rml_session_input(self->unet, "sample", NULL), self->staged,
           (size_t)count * sample_step * sizeof *self->staged);
    if (self->timed)
        *(float *)rml_session_input(self->unet, "timestep", NULL) = 0.0f;
    for (int i = 0; i < count; i++)
        memcpy(words + (size_t)i * net->sound_count, items[i]->sound,
               net->sound_count * sizeof *words);
    RML_TRY(rml_session_run(self->unet, err));
    const float *made;
    RML_TRY(find_made(self, count, &made, err));
    memcpy(self->staged, made, (size_t)count * made_step * sizeof *self->staged);
    for (int i = 0; i < count; i++)
        RML_TRY(decode(self, items[i], self->staged + (size_t)i * made_step, round, err));
    return RML_OK;
}

// As many at a time as the memory limit allows, which does not change the result.
static rml_status run(rml_lip_net *net, rml_lip_item *const *items, int count, bool round,
                      rml_error *err)
{
    rml_latent_net *self = net->self;
    for (int done = 0, here; done < count; done += here) {
        here = count - done < self->together ? count - done : self->together;
        rml_status status = prepare_unet(self, here, err);
        for (; status == RML_ERR_LIMIT && here > 1; status = prepare_unet(self, here, err))
            self->together = here = here / 2;
        if (status != RML_OK)
            return status;
        RML_TRY(run_together(net, items + done, here, round, err));
    }
    return RML_OK;
}

// ---- the whole ----------------------------------------------------------------------------------

static rml_status create_all(rml_latent_net *self, rml_error *err)
{
    const rml_latent_settings *s = &self->settings;
    if (s->side < 2 || s->side > RML_FRAME_MAX_SIDE || s->side % 2)
        return rml_fail(err, RML_ERR_ARG, "faces of %dx%d cannot be halved", s->side, s->side);
    rml_port time;
    RML_TRY(rml_latent_kind_of(&self->kind, s->unet, err));
    self->timed = port_shape(s->unet, "timestep", false, &time) != NULL;
    RML_TRY(rml_voice_check(s->hears, s->voice, s->voice_name, self->kind.context, self->allocator,
                            err));
    RML_TRY(rml_session_create(&self->unet, s->unet, &s->session, err));
    RML_TRY(rml_session_create(&self->encoder, s->encoder, &s->session, err));
    return rml_session_create(&self->decoder, s->decoder, &s->session, err);
}

rml_status rml_latent_net_create(rml_latent_net **out, const rml_latent_settings *settings,
                                 const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    if (!allocator)
        allocator = rml_allocator_default();
    rml_latent_net *self;
    RML_TRY(rml_make(allocator, &self, 1, sizeof *self, "the networks", err));
    self->allocator = allocator;
    self->settings = *settings;
    self->pixels = (size_t)settings->side * (size_t)settings->side;
    self->together = INT_MAX;
    self->net = (rml_lip_net){
        .self = self, .side = settings->side, .begin = begin, .listen = listen, .run = run};
    self->net.hear_silence = hear_silence;
    const rml_status status = create_all(self, err);
    if (status != RML_OK)
        rml_latent_net_destroy(&self);
    *out = self;
    return status;
}

void rml_latent_net_destroy(rml_latent_net **net)
{
    rml_latent_net *old = *net;
    *net = NULL;
    if (!old)
        return;
    rml_session_destroy(&old->decoder);
    rml_session_destroy(&old->unet);
    rml_session_destroy(&old->encoder);
    rml_latent_cache_destroy(&old->cache);
    for (int i = 0; i < RML_LIP_VOICES; i++)
        rml_voice_release(&old->voices[i]);
    rml_free(old->allocator, old->staged);
    rml_free(old->allocator, old->noise);
    rml_free(old->allocator, old->latent);
    rml_free(old->allocator, old);
}

rml_lip_net *rml_latent_net_lips(rml_latent_net *net)
{
    return &net->net;
}

rml_latent_sessions rml_latent_net_sessions(const rml_latent_net *net)
{
    return (rml_latent_sessions){net->encoder, net->unet, net->decoder};
}
