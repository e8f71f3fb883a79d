#include "pipelines/lipsync/latent_cache.h"

#include "tensor/alloc.h"

#include <string.h>

#define NONE SIZE_MAX

typedef struct entry {
    int64_t source;
    rml_box box;
    size_t next; // of the same place, or NONE
    float *latent;
} entry;

// Places are source % limit, so that a clip of less frames than there is room for has one box or
// two at each.
struct rml_latent_cache {
    const rml_allocator *allocator;
    size_t latent_count, limit, count;
    entry *entries;
    size_t *places;
};

rml_status rml_latent_cache_create(rml_latent_cache **out, size_t count, size_t bytes,
                                   const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_latent_cache *cache;
    RML_TRY(rml_make(allocator, &cache, 1, sizeof *cache, "the latents", err));
    const size_t one = count * sizeof(float) + sizeof(entry) + sizeof(size_t);
    cache->allocator = allocator;
    cache->latent_count = count;
    cache->limit = bytes / one;
    *out = cache;
    if (cache->limit == 0)
        return RML_OK;
    cache->entries = rml_alloc_zero(allocator, cache->limit, sizeof *cache->entries);
    cache->places = rml_alloc_zero(allocator, cache->limit, sizeof *cache->places);
    if (!cache->entries || !cache->places) {
        rml_latent_cache_destroy(out);
        return rml_fail_nomem(err, bytes / one * sizeof(entry), "the latents");
    }
    for (size_t i = 0; i < cache->limit; i++)
        cache->places[i] = NONE;
    return RML_OK;
}

void rml_latent_cache_destroy(rml_latent_cache **cache)
{
    rml_latent_cache *old = *cache;
    *cache = NULL;
    if (!old)
        return;
    for (size_t i = 0; i < old->count; i++)
        rml_free(old->allocator, old->entries[i].latent);
    rml_free(old->allocator, old->entries);
    rml_free(old->allocator, old->places);
    rml_free(old->allocator, old);
}

static bool same_box(rml_box a, rml_box b)
{
    return a.x1 == b.x1 && a.y1 == b.y1 && a.x2 == b.x2 && a.y2 == b.y2;
}

const float *rml_latent_cache_find(const rml_latent_cache *cache, int64_t source, rml_box box)
{
    if (cache->limit == 0)
        return NULL;
    for (size_t i = cache->places[(uint64_t)source % cache->limit]; i != NONE;
         i = cache->entries[i].next)
        if (cache->entries[i].source == source && same_box(cache->entries[i].box, box))
            return cache->entries[i].latent;
    return NULL;
}

void rml_latent_cache_keep(rml_latent_cache *cache, int64_t source, rml_box box,
                           const float *latent)
{
    const size_t bytes = cache->latent_count * sizeof *latent;
    if (cache->count == cache->limit)
        return;
    float *copy = rml_alloc(cache->allocator, bytes);
    if (!copy)
        return;
    memcpy(copy, latent, bytes);
    size_t *place = &cache->places[(uint64_t)source % cache->limit];
    cache->entries[cache->count] = (entry){source, box, *place, copy};
    *place = cache->count++;
}
