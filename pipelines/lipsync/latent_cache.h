// Latents of faces, kept for frames that come again.
#ifndef RML_PIPELINES_LIPSYNC_LATENT_CACHE_H
#define RML_PIPELINES_LIPSYNC_LATENT_CACHE_H

#include "pipelines/faces/face_track.h"

typedef struct rml_latent_cache rml_latent_cache;

// Room for as many latents of `count` numbers as fit `bytes`, taken as it is needed.
rml_status rml_latent_cache_create(rml_latent_cache **out, size_t count, size_t bytes,
                                   const rml_allocator *allocator, rml_error *err);
void rml_latent_cache_destroy(rml_latent_cache **cache);

// The latent of this box in this frame of the clip, or NULL.
const float *rml_latent_cache_find(const rml_latent_cache *cache, int64_t source, rml_box box);

// Keeps a copy; where there is no room, or no memory, the latent is not kept.
void rml_latent_cache_keep(rml_latent_cache *cache, int64_t source, rml_box box,
                           const float *latent);

#endif
