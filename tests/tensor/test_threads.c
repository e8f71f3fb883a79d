// Thread pool: every item exactly once, for any thread count and chunk, over and over.
#define _POSIX_C_SOURCE 200809L
#include "tensor/threads.h"
#include "tests/support/check.h"

#ifdef RML_WITH_THREADS
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#endif

static void mark(void *context, size_t begin, size_t end, int worker)
{
    unsigned char *seen = context;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        seen[i]++;
}

#ifdef RML_WITH_THREADS
static pthread_t handled_by;
static volatile sig_atomic_t handled;

static void handle(int signal)
{
    (void)signal;
    handled_by = pthread_self();
    handled = 1;
}

// A signal that this thread blocks waits for it: no worker takes it.
static void test_signals(void)
{
    rml_pool *pool;
    struct sigaction action = {.sa_handler = handle};
    sigset_t usr1, pending, mask;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigaction(SIGUSR1, &action, NULL);
    CHECK(rml_pool_create(&pool, 4, rml_allocator_default(), NULL) == RML_OK);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    CHECK(!sigismember(&mask, SIGUSR1)); // as before
    pthread_sigmask(SIG_BLOCK, &usr1, NULL);
    kill(getpid(), SIGUSR1);
    unsigned char seen[97] = {0};
    for (int round = 0; round < 200; round++)
        rml_pool_run(pool, sizeof seen, 1, mark, seen);
    sigpending(&pending);
    CHECK(!handled && sigismember(&pending, SIGUSR1));
    pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
    CHECK(handled && pthread_equal(handled_by, pthread_self()));
    rml_pool_destroy(&pool);
}
#endif

int main(void)
{
#ifdef RML_WITH_THREADS
    test_signals();
#endif
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
