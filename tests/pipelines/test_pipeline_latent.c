// Latents that are kept: what is found again, what has no place, two boxes in one frame.
#include "pipelines/lipsync/latent_cache.h"

#include "tests/support/check.h"

#include <string.h>

#define NUMBERS 6

static rml_box box_at(int x)
{
    return (rml_box){x, 1, x + 10, 20};
}

static void fill(float *latent, int64_t source, int x)
{
    for (int i = 0; i < NUMBERS; i++)
        latent[i] = (float)(source * 1000 + x * 10 + i);
}

static bool holds(const rml_latent_cache *cache, int64_t source, int x)
{
    float expected[NUMBERS];
    const float *found = rml_latent_cache_find(cache, source, box_at(x));
    fill(expected, source, x);
    CHECK(!found || memcmp(found, expected, sizeof expected) == 0);
    return found != NULL;
}

static void keep(rml_latent_cache *cache, int64_t source, int x)
{
    float latent[NUMBERS];
    fill(latent, source, x);
    rml_latent_cache_keep(cache, source, box_at(x), latent);
}

static void test_kept(void)
{
    rml_latent_cache *cache;
    CHECK(rml_latent_cache_create(&cache, NUMBERS, 100000, rml_allocator_default(), NULL) ==
          RML_OK);
    for (int64_t source = 0; source < 40; source++) {
        CHECK(!holds(cache, source, 3));
        keep(cache, source, 3);
        if (source % 3 == 0)
            keep(cache, source, 4); // of the mirror image, smoothed in another way
    }
    for (int64_t source = 0; source < 40; source++)
        CHECK(holds(cache, source, 3) && holds(cache, source, 4) == (source % 3 == 0));
    rml_latent_cache_destroy(&cache);
    rml_latent_cache_destroy(&cache);
}

// The first ones stay; frames that share a place are told apart.
static void test_limit(void)
{
    rml_latent_cache *cache;
    CHECK(rml_latent_cache_create(&cache, NUMBERS, 1000, rml_allocator_default(), NULL) == RML_OK);
    int64_t kept = 0;
    for (int64_t source = 0; source < 100; source++)
        keep(cache, source * 7, 3);
    for (int64_t source = 0; source < 100; source++)
        kept += holds(cache, source * 7, 3);
    CHECK(kept > 5 && kept * NUMBERS * (int64_t)sizeof(float) <= 1000);
    CHECK(holds(cache, 0, 3) && holds(cache, (kept - 1) * 7, 3) && !holds(cache, kept * 7, 3));
    rml_latent_cache_destroy(&cache);

    CHECK(rml_latent_cache_create(&cache, NUMBERS, 0, rml_allocator_default(), NULL) == RML_OK);
    keep(cache, 0, 3);
    CHECK(!holds(cache, 0, 3));
    rml_latent_cache_destroy(&cache);
}

int main(void)
{
    test_kept();
    test_limit();
    return check_result();
}
