#define _GNU_SOURCE
#include "tensor/threads.h"

#include "tensor/status.h"
#include "tensor/lock.h"
#include "tensor/size.h"

#include <string.h>

#ifdef RML_WITH_THREADS
#include <pthread.h>
#include <signal.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#endif

struct rml_pool {
    const rml_allocator *allocator;
    int threads;   // workers, the caller included
    int started;   // helper threads that really run
    rml_lock turn; // who uses the pool
#ifdef RML_WITH_THREADS
    pthread_mutex_t lock;
    pthread_cond_t wake;    // generation moved on, or stop
    pthread_cond_t done;    // the last helper left work that is closed
    atomic_uint generation; // a change means new work
    atomic_size_t next;     // first item nobody took yet
    atomic_uint entry;      // OPEN while helpers may join, plus the number of helpers inside
    atomic_bool stop;
    size_t count, chunk;
    rml_pool_fn fn;
    void *context;
    pthread_t handle[RML_MAX_THREADS];
    struct worker {
        rml_pool *pool;
        int index;
    } worker[RML_MAX_THREADS];
#endif
};

#ifdef RML_WITH_THREADS

// An idle worker looks for work this many times before it sleeps: about 100 microseconds, longer
// than a layer that one thread does alone, and short enough that a neighbour who wants the core
// costs the run no more than that neighbour takes (bench/LOG.md).
#define SPIN_ROUNDS 2000

#define OPEN 0x80000000u

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static void take_chunks(rml_pool *pool, int worker)
{
    for (;;) {
        size_t begin = atomic_fetch_add_explicit(&pool->next, pool->chunk, memory_order_relaxed);
        if (begin >= pool->count)
            return;
        size_t end = begin + rml_min_size(pool->chunk, pool->count - begin);
        pool->fn(pool->context, begin, end, worker);
    }
}

static void *worker_main(void *argument)
{
    struct worker *self = argument;
    rml_pool *pool = self->pool;
    unsigned seen = 0;
    for (;;) {
        unsigned now = atomic_load_explicit(&pool->generation, memory_order_acquire);
        for (int i = 0; now == seen && i < SPIN_ROUNDS; i++) {
            relax();
            now = atomic_load_explicit(&pool->generation, memory_order_acquire);
        }
        if (now == seen) {
            pthread_mutex_lock(&pool->lock);
            while ((now = atomic_load(&pool->generation)) == seen)
                pthread_cond_wait(&pool->wake, &pool->lock);
            pthread_mutex_unlock(&pool->lock);
        }
        seen = now;
        if (atomic_load(&pool->stop))
            return NULL;
        // The caller waits only for helpers that are inside, never for one that the system has not
        // woken yet: a core taken by a neighbour costs its share of the chunks and no more.
        unsigned entry = atomic_load_explicit(&pool->entry, memory_order_acquire);
        while ((entry & OPEN) && !atomic_compare_exchange_weak(&pool->entry, &entry, entry + 1))
            ;
        if (!(entry & OPEN))
            continue;
        take_chunks(pool, self->index);
        if (atomic_fetch_sub(&pool->entry, 1) == 1) { // closed, and this was the last one
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

static void next_generation(rml_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

// Starts the helpers, as many as can be.
static rml_status start(rml_pool *pool, rml_error *err)
{
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    // Signals are the program's: its handlers run on its own threads. Faults of a worker are its
    // own.
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&blocked, faults[i]);
    int failure = pthread_sigmask(SIG_BLOCK, &blocked, &before);
    for (int i = 1; i < pool->threads && !failure; i++) {
        pool->worker[i] = (struct worker){pool, i};
        failure = pthread_create(&pool->handle[i], NULL, worker_main, &pool->worker[i]);
        pool->started = failure ? pool->started : i;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failure)
        return RML_OK;
    return rml_fail(err, RML_ERR_IO, "cannot start thread %d of %d: %s", pool->started + 2,
                    pool->threads, rml_errno_text(failure, (char[RML_ERRNO_BYTES]){0}));
}

static void stop(rml_pool *pool)
{
    atomic_store(&pool->stop, true);
    next_generation(pool);
    for (int i = 1; i <= pool->started; i++)
        pthread_join(pool->handle[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
}

static void run_together(rml_pool *pool, size_t count, size_t chunk, rml_pool_fn fn, void *context)
{
    pool->fn = fn;
    pool->context = context;
    pool->count = count;
    pool->chunk = chunk;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store(&pool->entry, OPEN);
    next_generation(pool);
    take_chunks(pool, 0);
    atomic_fetch_and(&pool->entry, ~OPEN);
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        if (atomic_load_explicit(&pool->entry, memory_order_acquire) == 0)
            return;
        relax();
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->entry, memory_order_acquire) != 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

// Cores a cgroup lets this process use: v2 "cpu.max" ("max 100000" or "200000 100000"), else v1
// quota and period. 0 when there is no limit.
static int cgroup_cores(void)
{
    long long quota = -1, period = 0;
    char first[32];
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (file) {
        if (fscanf(file, "%31s %lld", first, &period) == 2 && strcmp(first, "max") != 0)
            sscanf(first, "%lld", &quota);
        fclose(file);
    } else {
        file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r");
        if (file) {
            if (fscanf(file, "%lld", &quota) != 1)
                quota = -1;
            fclose(file);
        }
        file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r");
        if (file) {
            if (fscanf(file, "%lld", &period) != 1)
                period = 0;
            fclose(file);
        }
    }
    if (quota <= 0 || period <= 0)
        return 0;
    long long cores = (quota + period - 1) / period;
    return cores > RML_MAX_THREADS ? RML_MAX_THREADS : (int)cores;
}

int rml_threads_default(void)
{
    int cores = 0;
#ifdef __linux__
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0)
        cores = CPU_COUNT(&mask);
#endif
    if (cores < 1)
        cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    int quota = cgroup_cores();
    if (quota > 0 && quota < cores)
        cores = quota;
    if (cores > RML_MAX_THREADS)
        cores = RML_MAX_THREADS;
    return cores < 1 ? 1 : cores;
}

#else // without threads: the same interface, everything on the caller's thread

static rml_status start(rml_pool *pool, rml_error *err)
{
    return pool->threads == 1 ? RML_OK
                              : rml_fail(err, RML_ERR_UNSUPPORTED,
                                         "threads is %d, and this build has 1", pool->threads);
}

static void stop(rml_pool *pool)
{
    (void)pool;
}

static void run_together(rml_pool *pool, size_t count, size_t chunk, rml_pool_fn fn, void *context)
{
    (void)pool, (void)count, (void)chunk, (void)fn, (void)context; // no helper is ever started
}

int rml_threads_default(void)
{
    return 1;
}
#endif

rml_status rml_pool_create(rml_pool **out, int threads, const rml_allocator *allocator,
                           rml_error *err)
{
    *out = NULL;
    allocator = allocator ? allocator : rml_allocator_default();
    threads = threads ? threads : rml_threads_default();
    if (threads < 1 || threads > RML_MAX_THREADS)
        return rml_fail(err, RML_ERR_ARG, "threads is %d, expected 1 to %d", threads,
                        RML_MAX_THREADS);
    rml_pool *pool;
    RML_TRY(rml_make(allocator, &pool, 1, sizeof *pool, "the thread pool", err));
    pool->allocator = allocator;
    pool->threads = threads;
    rml_lock_init(&pool->turn);
    const rml_status status = start(pool, err);
    if (status != RML_OK)
        rml_pool_destroy(&pool);
    *out = pool;
    return status;
}

void rml_pool_destroy(rml_pool **pool_at)
{
    rml_pool *pool = *pool_at;
    if (!pool)
        return;
    stop(pool);
    rml_lock_release(&pool->turn);
    rml_free(pool->allocator, pool);
    *pool_at = NULL;
}

void rml_pool_run(rml_pool *pool, size_t count, size_t chunk, rml_pool_fn fn, void *context)
{
    if (chunk == 0)
        chunk = 1;
    if (pool && pool->started > 0 && count > chunk) {
        run_together(pool, count, chunk, fn, context);
        return;
    }
    for (size_t begin = 0; begin < count; begin += chunk)
        fn(context, begin, begin + rml_min_size(chunk, count - begin), 0);
}

int rml_pool_threads(const rml_pool *pool)
{
    return pool->threads;
}

void rml_pool_enter(rml_pool *pool)
{
    rml_lock_take(&pool->turn);
}

void rml_pool_leave(rml_pool *pool)
{
    rml_lock_give(&pool->turn);
}
