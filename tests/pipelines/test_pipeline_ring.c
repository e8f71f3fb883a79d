// The queue between stages: order, waiting on both ends, closing.
#include "pipelines/ring.h"

#include "tests/support/check.h"

#include <stdint.h>

#define ITEMS 20000

typedef struct {
    rml_ring *there, *back;
} rings;

// Sends everything it gets on.
static void forward(void *user)
{
    rings *r = user;
    void *item;
    while ((item = rml_ring_pop(r->there)) != NULL)
        if (!rml_ring_push(r->back, item))
            return;
    rml_ring_close(r->back);
}

static void feed(void *user)
{
    rings *r = user;
    for (uintptr_t i = 1; i <= ITEMS; i++)
        rml_ring_push(r->there, (void *)i);
    rml_ring_close(r->there);
}

static void test_alone(void)
{
    rml_ring *ring;
    int values[4];
    CHECK(rml_ring_create(&ring, 3, rml_allocator_default(), NULL) == RML_OK);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++)
            CHECK(rml_ring_push(ring, &values[i]));
        for (int i = 0; i < 3; i++)
            CHECK(rml_ring_pop(ring) == &values[i]);
    }
    CHECK(rml_ring_push(ring, &values[3]));
    rml_ring_close(ring);
    CHECK(!rml_ring_push(ring, &values[0]));
    CHECK(rml_ring_pop(ring) == &values[3]);
    CHECK(rml_ring_pop(ring) == NULL);
    rml_ring_destroy(&ring);
    rml_ring_destroy(&ring);
}

static void test_stages(size_t capacity)
{
    rings r;
    rml_stage *feeding = NULL, *forwarding = NULL;
    const rml_allocator *a = rml_allocator_default();
    CHECK(rml_ring_create(&r.there, capacity, a, NULL) == RML_OK);
    CHECK(rml_ring_create(&r.back, capacity, a, NULL) == RML_OK);
    if (rml_stage_start(&feeding, feed, &r, a, NULL) == RML_OK) {
        CHECK(rml_stage_start(&forwarding, forward, &r, a, NULL) == RML_OK);
        uintptr_t expected = 1;
        void *item;
        while ((item = rml_ring_pop(r.back)) != NULL)
            if ((uintptr_t)item != expected++)
                CHECK_MSG(false, "item %zu came as %zu", (size_t)expected - 1, (size_t)item);
        CHECK(expected == ITEMS + 1);
    }
    rml_stage_join(&forwarding);
    rml_stage_join(&feeding);
    rml_ring_destroy(&r.there);
    rml_ring_destroy(&r.back);
}

int main(void)
{
    test_alone();
    test_stages(1);
    test_stages(5);
    return check_result();
}
