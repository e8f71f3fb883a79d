// Thread pool: every item exactly once, for any thread count and chunk, over and over.
#include "tensor/threads.h"
#include "tests/support/check.h"

static void mark(void *context, size_t begin, size_t end, int worker)
{
    unsigned char *seen = context;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        seen[i]++;
}

int main(void)
{
    rml_error err;
    for (int threads = 1; threads <= 5; threads++) {
        rml_pool *pool;
        if (rml_pool_create(&pool, threads, rml_allocator_default(), &err) != RML_OK) {
            CHECK_MSG(threads > 1 && err.status == RML_ERR_UNSUPPORTED, "%s", err.message);
            continue;
        }
        CHECK(rml_pool_threads(pool) == threads);
        for (size_t round = 0; round < 3000; round++) {
            unsigned char seen[97] = {0};
            size_t count = round % 98, chunk = round % 7;
            rml_pool_run(pool, count, chunk, mark, seen);
            int wrong = 0;
            for (size_t i = 0; i < sizeof seen; i++)
                wrong += seen[i] != (i < count);
            CHECK(wrong == 0);
        }
        rml_pool_destroy(&pool);
        CHECK(pool == NULL);
    }
    rml_pool *none;
    CHECK(rml_pool_create(&none, -1, NULL, &err) == RML_ERR_ARG && !none);
    CHECK(rml_pool_create(&none, 0, NULL, &err) == RML_OK);
    CHECK(rml_pool_threads(none) == rml_threads_default());
    rml_pool_destroy(&none);
    CHECK(rml_threads_default() >= 1);
    return check_result();
}
