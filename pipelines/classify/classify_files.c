#include "pipelines/classify/classify_files.h"

#include "media/image/picture_folder.h"
#include "pipelines/ring.h"
#include "tensor/arena.h"

#include <string.h>

#define MOST_LOADERS 8
#define AHEAD 2 // pictures of each loader that wait

typedef struct item {
    rml_classify_result result;
    float planes[]; // (3,side,side)
} item;

// Loader number k of n reads files k, k+n, k+2n...: the order stays without anybody waiting for it.
typedef struct loader {
    const struct line *line;
    size_t next;
    rml_ring *ring;
    rml_stage *stage; // NULL without threads: then the caller does its work
} loader;

typedef struct line {
    const rml_classify_job *job;
    size_t plane_floats; // of one picture
    loader loaders[MOST_LOADERS];
    size_t loader_count, taken;
    item **batch;
    rml_top_class *top;
} line;

// ---- which files ------------------------------------------------------------------------------

static rml_status add(rml_picture_list *list, const char *path, rml_error *err)
{
    if (!path)
        return rml_fail_nomem(err, sizeof *path, "a path");
    RML_TRY(rml_reserve(list->arena->allocator, &list->paths, &list->capacity, list->count + 1,
                        sizeof *list->paths, "a list of files", err));
    list->paths[list->count++] = path;
    return RML_OK;
}

static rml_status add_folder(rml_picture_list *list, const char *folder,
                             const rml_folder_rules *rules, rml_error *err)
{
    rml_picture_folder images;
    const size_t before = list->count;
    RML_TRY(rml_picture_folder_list(&images, folder, rules, list->arena->allocator, err));
    rml_status status = RML_OK;
    for (size_t i = 0; i < images.files.count && status == RML_OK; i++)
        status = add(list, rml_path_join(list->arena, folder, images.files.paths[i]), err);
    rml_picture_folder_release(&images);
    if (status == RML_OK && list->count == before)
        status = rml_fail(err, RML_ERR_ARG, "%s: there are no images in this folder", folder);
    return status;
}

rml_status rml_picture_list_add(rml_picture_list *list, const char *path,
                                void (*tell)(void *user, const rml_error *why, bool failed),
                                void *user, const rml_allocator *allocator, rml_error *err)
{
    const rml_folder_rules rules = {.tell = tell, .user = user};
    if (!list->arena && !(list->arena = rml_arena_create(allocator)))
        return rml_fail_nomem(err, sizeof *list->arena, "a list of files");
    return rml_is_folder(path) ? add_folder(list, path, &rules, err)
                               : add(list, rml_arena_text(list->arena, path), err);
}

void rml_picture_list_release(rml_picture_list *list)
{
    if (list->arena)
        rml_free(list->arena->allocator, list->paths);
    rml_arena_destroy(&list->arena);
    *list = (rml_picture_list){0};
}

// ---- loading ----------------------------------------------------------------------------------

static item *load(const line *l, const char *path)
{
    const rml_classify_job *job = l->job;
    item *it = rml_alloc(job->allocator, sizeof *it + l->plane_floats * sizeof(float));
    if (!it)
        return NULL;
    memset(it, 0, sizeof *it);
    rml_classify_result *r = &it->result;
    rml_picture picture = {0};
    r->path = path;
    r->status = rml_picture_load(&picture, path, job->allocator, &r->error);
    r->width = picture.width;
    r->height = picture.height;
    memcpy(r->remark, picture.remark, sizeof r->remark);
    if (r->status == RML_OK) {
        r->status =
            rml_named(rml_view_picture(&job->view, &picture, it->planes, job->allocator, &r->error),
                      &r->error, path);
    }
    rml_picture_release(&picture);
    return it;
}

// The loader's next file; NULL when there are no more, or no memory.
static item *load_next(loader *at)
{
    const rml_classify_job *job = at->line->job;
    if (at->next >= job->count)
        return NULL;
    item *it = load(at->line, job->paths[at->next]);
    at->next += at->line->loader_count;
    return it;
}

static void run_loader(void *user)
{
    loader *at = user;
    item *it;
    while ((it = load_next(at)) != NULL)
        if (!rml_ring_push(at->ring, it)) { // closed: the job has stopped
            rml_free(at->line->job->allocator, it);
            break;
        }
    rml_ring_close(at->ring);
}

static rml_status start(line *l, rml_error *err)
{
    const rml_classify_job *job = l->job;
    const size_t threads = (size_t)rml_session_threads(rml_classifier_session(job->classifier));
    size_t wanted = threads < job->count ? threads : job->count;
    wanted = wanted < MOST_LOADERS ? wanted : MOST_LOADERS;
    l->loader_count = wanted;
    for (size_t i = 0; i < wanted; i++) {
        loader *at = &l->loaders[i];
        *at = (loader){.line = l, .next = i};
        RML_TRY(rml_ring_create(&at->ring, AHEAD, job->allocator, err));
        const rml_status status = rml_stage_start(&at->stage, run_loader, at, job->allocator, err);
        if (status != RML_OK && status != RML_ERR_UNSUPPORTED) // a build without threads
            return status;
    }
    return RML_OK;
}

static void stop(line *l)
{
    for (size_t i = 0; i < l->loader_count; i++) {
        loader *at = &l->loaders[i];
        if (!at->ring)
            continue;
        rml_ring_close(at->ring);
        rml_stage_join(&at->stage);
        item *it;
        while ((it = rml_ring_pop(at->ring)) != NULL)
            rml_free(l->job->allocator, it);
        rml_ring_destroy(&at->ring);
    }
}

// ---- the network ------------------------------------------------------------------------------

static rml_status take(line *l, int *count, rml_error *err)
{
    const rml_classify_job *job = l->job;
    for (*count = 0; *count < job->batch && l->taken < job->count; l->taken++) {
        loader *at = &l->loaders[l->taken % l->loader_count];
        item *it = at->stage ? rml_ring_pop(at->ring) : load_next(at);
        if (!it)
            return rml_fail_nomem(err, l->plane_floats * sizeof(float), "a picture");
        l->batch[(*count)++] = it;
    }
    return RML_OK;
}

// Pictures that could not be read have no place in the network's input.
static rml_status compute(line *l, int count, const float **probabilities, rml_error *err)
{
    const rml_classify_job *job = l->job;
    const int fixed = rml_classifier_fixed_batch(job->classifier);
    int good = 0;
    for (int i = 0; i < count; i++)
        good += l->batch[i]->result.status == RML_OK;
    if (good == 0)
        return RML_OK;
    float *to;
    RML_TRY(rml_classifier_prepare(job->classifier, fixed ? fixed : good, &to, err));
    for (int i = 0; i < count; i++)
        if (l->batch[i]->result.status == RML_OK) {
            memcpy(to, l->batch[i]->planes, l->plane_floats * sizeof *to);
            to += l->plane_floats;
        }
    for (int i = good; i < fixed; i++, to += l->plane_floats)
        memset(to, 0, l->plane_floats * sizeof *to);
    return rml_classifier_run(job->classifier, probabilities, err);
}

static void tell(line *l, int count, const float *probabilities)
{
    const rml_classify_job *job = l->job;
    const int classes = rml_classifier_classes(job->classifier);
    for (int i = 0; i < count; i++) {
        rml_classify_result *r = &l->batch[i]->result;
        if (r->status == RML_OK) {
            r->top = l->top;
            r->top_count = rml_top_classes(probabilities, classes, l->top, job->top);
            probabilities += classes;
        }
        job->done(job->user, r);
    }
}

static rml_status run(line *l, rml_error *err)
{
    rml_status status = start(l, err);
    while (status == RML_OK && l->taken < l->job->count) {
        const float *probabilities = NULL;
        int count;
        status = take(l, &count, err);
        if (status == RML_OK)
            status = compute(l, count, &probabilities, err);
        if (status == RML_OK)
            tell(l, count, probabilities);
        for (int i = 0; i < count; i++)
            rml_free(l->job->allocator, l->batch[i]);
    }
    stop(l);
    return status;
}

rml_status rml_classify_files(const rml_classify_job *job, rml_error *err)
{
    const int fixed = rml_classifier_fixed_batch(job->classifier);
    const int classes = rml_classifier_classes(job->classifier);
    rml_classify_job bounded = *job;
    if (fixed)
        bounded.batch = fixed;
    if (job->top > classes)
        bounded.top = classes;
    const size_t side = (size_t)job->view.side;
    line l = {.job = &bounded, .plane_floats = 3 * side * side};
    RML_TRY(rml_view_check(&job->view, err));
    l.batch = rml_alloc_zero(job->allocator, (size_t)bounded.batch, sizeof *l.batch);
    l.top = rml_alloc_zero(job->allocator, (size_t)bounded.top, sizeof *l.top);
    const rml_status status =
        l.batch && l.top ? run(&l, err) : rml_fail_nomem(err, sizeof *l.batch, "a batch");
    rml_free(job->allocator, l.batch);
    rml_free(job->allocator, l.top);
    return status;
}
