#include "pipelines/denoise/denoise_files.h"

#include "engine/node_time.h"
#include "media/files/files.h"
#include "pipelines/denoise/noise_level.h"
#include "pipelines/ring.h"
#include "tensor/alloc.h"

#include <math.h>
#include <string.h>

#define AHEAD 2 // pictures that wait between two stages

typedef struct item {
    rml_denoise_result result;
    rml_picture in, out;
} item;

typedef struct line {
    const rml_denoise_job *job;
    rml_ring *loaded, *finished;
    rml_stage *loader, *saver; // NULL without threads: then the caller does their work
    size_t next;
    bool out_of_memory;
} line;

// ---- the three stages -------------------------------------------------------------------------

// The next file with its picture, or NULL when there are no more.
static item *load_next(line *l)
{
    const rml_denoise_job *job = l->job;
    if (l->next == job->count)
        return NULL;
    item *it = rml_alloc_zero(job->allocator, 1, sizeof *it);
    if (!it) {
        l->out_of_memory = true;
        return NULL;
    }
    rml_denoise_result *r = &it->result;
    r->file = &job->files[l->next++];
    r->status = rml_picture_load(&it->in, r->file->in, job->allocator, &r->error);
    r->width = it->in.width;
    r->height = it->in.height;
    if (r->status == RML_OK)
        rml_picture_reduced(&it->in, r->file->kind, &r->channels, &r->bits);
    memcpy(r->remark, it->in.remark, sizeof r->remark);
    return it;
}

static double mean_level(const rml_picture *map)
{
    const double full = rml_picture_full(map), count = (double)map->width * map->height;
    double sum = 0;
    for (int y = 0; y < map->height; y++)
        for (int x = 0; x < map->width; x++)
            for (int c = 0; c < map->channels; c++) {
                const double level = rml_picture_sample(map, x, y, c) / full;
                sum += level * level;
            }
    return sqrt(sum / (count * map->channels));
}

// What goes wrong with one picture stays in its result; a network that is not there stops all.
static rml_status compute(const rml_denoise_job *job, item *it, rml_error *err)
{
    rml_denoise_result *r = &it->result;
    if (r->status != RML_OK)
        return RML_OK;
    rml_denoiser *denoiser = job->pick(job->user, rml_picture_colours(&it->in), err);
    if (!denoiser)
        return err->status;
    rml_noise noise = job->noise;
    const double start = rml_clock_ms();
    if (job->estimate)
        r->status = rml_noise_estimate(&noise.sigma, &it->in, job->allocator, &r->error);
    if (r->status == RML_OK)
        r->status = rml_denoise(denoiser, &it->out, &it->in, &noise, &r->bands, &r->error);
    if (r->status != RML_OK)
        rml_error_prefix(&r->error, r->file->in);
    else
        rml_picture_take_notes(&it->out, &it->in);
    r->sigma = noise.map ? mean_level(noise.map) : noise.sigma;
    r->seconds = (rml_clock_ms() - start) * 1e-3;
    return RML_OK;
}

static rml_status compare(const rml_denoise_job *job, item *it)
{
    rml_denoise_result *r = &it->result;
    rml_picture clean = {0};
    RML_TRY(rml_picture_load(&clean, r->file->reference, job->allocator, &r->error));
    rml_status status =
        rml_quality_measure(&r->quality, &it->out, &clean, job->allocator, &r->error);
    if (status != RML_OK)
        rml_error_prefix(&r->error, r->file->reference);
    r->compared = status == RML_OK;
    rml_picture_release(&clean);
    return status;
}

static void finish(const rml_denoise_job *job, item *it)
{
    rml_denoise_result *r = &it->result;
    if (r->status == RML_OK)
        r->status = rml_make_folders(r->file->out, job->allocator, &r->error);
    if (r->status == RML_OK)
        r->status =
            rml_picture_save_as(&it->out, r->file->out, r->file->kind, job->allocator, &r->error);
    if (r->status == RML_OK && r->file->reference)
        r->status = compare(job, it);
    job->done(job->user, r);
    rml_picture_release(&it->in);
    rml_picture_release(&it->out);
    rml_free(job->allocator, it);
}

// ---- their order ------------------------------------------------------------------------------

static void run_loader(void *user)
{
    line *l = user;
    item *it;
    while ((it = load_next(l)) != NULL)
        if (!rml_ring_push(l->loaded, it)) { // closed: the job has stopped
            rml_picture_release(&it->in);
            rml_free(l->job->allocator, it);
            break;
        }
    rml_ring_close(l->loaded);
}

static void run_saver(void *user)
{
    line *l = user;
    item *it;
    while ((it = rml_ring_pop(l->finished)) != NULL)
        finish(l->job, it);
}

static rml_status start(line *l, rml_error *err)
{
    const rml_allocator *allocator = l->job->allocator;
    RML_TRY(rml_ring_create(&l->loaded, AHEAD, allocator, err));
    RML_TRY(rml_ring_create(&l->finished, AHEAD, allocator, err));
    rml_status status = rml_stage_start(&l->loader, run_loader, l, allocator, err);
    if (status == RML_OK)
        status = rml_stage_start(&l->saver, run_saver, l, allocator, err);
    return status == RML_ERR_UNSUPPORTED ? RML_OK : status; // a build without threads
}

static void stop(line *l)
{
    if (l->loaded)
        rml_ring_close(l->loaded);
    rml_stage_join(&l->loader);
    item *it;
    while (l->loaded && (it = rml_ring_pop(l->loaded)) != NULL) {
        rml_picture_release(&it->in);
        rml_free(l->job->allocator, it);
    }
    if (l->finished)
        rml_ring_close(l->finished);
    rml_stage_join(&l->saver);
    rml_ring_destroy(&l->loaded);
    rml_ring_destroy(&l->finished);
}

rml_status rml_denoise_files(const rml_denoise_job *job, rml_error *err)
{
    line l = {.job = job};
    rml_status status = start(&l, err);
    while (status == RML_OK) {
        item *it = l.loader ? rml_ring_pop(l.loaded) : load_next(&l);
        if (!it)
            break;
        status = compute(job, it, err);
        if (status == RML_OK && l.saver) {
            rml_ring_push(l.finished, it);
        } else if (status == RML_OK) {
            finish(job, it);
        } else {
            rml_picture_release(&it->in);
            rml_picture_release(&it->out);
            rml_free(job->allocator, it);
        }
    }
    stop(&l);
    if (status == RML_OK && l.out_of_memory)
        status = rml_fail_nomem(err, sizeof(item), "a picture's record");
    return status;
}
