// Wav2Lip and S3FD with few channels: the same bits for 1 to 4 threads, on repeat, for each item of
// a batch, and from two sessions of one model that run at the same time; close results at all
// levels.
#include "engine/model.h"
#include "tests/support/narrow.h"
#include "tests/support/net.h"

#include <pthread.h>

#define ITEMS 2

typedef struct network {
    const char *name;
    rml_shape shapes[2]; // of each input, batch ITEMS
} network;

static const network networks[] = {
    {"wav2lip", {{4, {ITEMS, 1, 80, 16}}, {4, {ITEMS, 6, 96, 96}}}},
    {"s3fd", {{4, {ITEMS, 3, 41, 58}}, {0, {0}}}},
};

// Resizes to `items` items, starting with number `first` of the batch, and runs.
static bool run(rml_session *session, const rml_model *model, const network *chosen, int64_t first,
                int64_t items)
{
    rml_error err = {0};
    const size_t inputs = rml_model_input_count(model);
    for (size_t i = 0; i < inputs; i++) {
        rml_shape shape = chosen->shapes[i];
        shape.dim[0] = items;
        const rml_status status =
            rml_session_resize(session, rml_model_input(model, i).name, shape, &err);
        CHECK_MSG(status == RML_OK, "%s", err.message);
    }
    const rml_status status = rml_session_prepare(session, &err);
    CHECK_MSG(status == RML_OK, "%s", err.message);
    for (size_t i = 0; i < inputs && status == RML_OK; i++) {
        size_t count = 1;
        for (int k = 1; k < 4; k++)
            count *= (size_t)chosen->shapes[i].dim[k];
        float *data = rml_session_input(session, rml_model_input(model, i).name, NULL);
        for (size_t k = 0; k < count * (size_t)items; k++)
            data[k] = uniform_f32(i, (size_t)first * count + k);
    }
    return status == RML_OK && rml_session_run(session, &err) == RML_OK;
}

static rml_session *open_session(rml_model *model, int threads, rml_cpu_level cpu)
{
    rml_session_settings settings = rml_session_settings_default();
    rml_session *session;
    rml_error err = {0};
    settings.threads = threads;
    settings.cpu = cpu;
    const rml_status status = rml_session_create(&session, model, &settings, &err);
    CHECK_MSG(status == RML_OK || (status == RML_ERR_UNSUPPORTED && threads > 1), "%s",
              err.message);
    return session;
}

// Each output of item `first` alone against its place in the outputs of the batch.
static void check_item(rml_session *session, const rml_model *model, const float *all, int64_t item)
{
    size_t start = 0;
    for (size_t i = 0; i < rml_model_output_count(model); i++) {
        const char *name = rml_model_output(model, i).name;
        rml_shape shape;
        size_t count = 0;
        const float *alone = rml_session_output(session, name, &shape);
        rml_shape_count(&shape, &count);
        CHECK_MSG(memcmp(alone, all + start + (size_t)item * count, count * sizeof *all) == 0,
                  "item %d alone has other bits in %s", (int)item, name);
        start += count * ITEMS;
    }
}

static void check_same(rml_model *model, const network *chosen, rml_cpu_level cpu,
                       const float *want, size_t total)
{
    for (int threads = 1; threads <= 4; threads++) {
        rml_session *session = open_session(model, threads, cpu);
        for (int round = 0;
             session && round < (threads == 3 ? 2 : 1) && run(session, model, chosen, 0, ITEMS);
             round++) {
            size_t count;
            float *got = net_outputs(session, model, &count);
            CHECK_MSG(count == total && memcmp(got, want, total * sizeof *got) == 0,
                      "%s at %s, %d threads, round %d: other bits", chosen->name,
                      rml_cpu_level_name(cpu), threads, round);
            free(got);
        }
        if (session && threads % 3 == 1 && run(session, model, chosen, ITEMS - 1, 1))
            check_item(session, model, want, ITEMS - 1);
        rml_session_destroy(&session);
    }
}

typedef struct job {
    rml_model *model;
    rml_pool *pool; // that both share, or NULL
    const network *chosen;
    const float *want;
    size_t total;
    int wrong, rounds;
} job;

// Makes its own session, so that both threads pack weights at the same time too.
static void *run_job(void *argument)
{
    job *at = argument;
    rml_session_settings settings = rml_session_settings_default();
    rml_session *session;
    settings.threads = 2;
    settings.pool = at->pool;
    at->wrong = 1;
    if (rml_session_create(&session, at->model, &settings, NULL) != RML_OK)
        return NULL;
    at->wrong = 0;
    for (int i = 0; i < at->rounds; i++) {
        size_t count = 0;
        for (size_t k = 0; k < rml_model_input_count(at->model); k++)
            at->wrong += rml_session_resize(session, rml_model_input(at->model, k).name,
                                            at->chosen->shapes[k], NULL) != RML_OK;
        at->wrong += rml_session_prepare(session, NULL) != RML_OK;
        for (size_t k = 0; k < rml_model_input_count(at->model); k++) {
            rml_shape shape;
            size_t elements = 0;
            float *data = rml_session_input(session, rml_model_input(at->model, k).name, &shape);
            rml_shape_count(&shape, &elements);
            uniform_fill(data, elements, k, 'u');
        }
        at->wrong += rml_session_run(session, NULL) != RML_OK;
        float *got = net_outputs(session, at->model, &count);
        at->wrong += count != at->total || memcmp(got, at->want, count * sizeof *got) != 0;
        free(got);
    }
    rml_session_destroy(&session);
    return NULL;
}

static void check_two_at_once(const rml_weights *weights, const network *chosen, rml_pool *pool,
                              const float *want, size_t total)
{
    rml_model *model;
    rml_error err = {0};
    rml_session *probe = NULL;
    pthread_t threads[2];
    job jobs[2];
    if (rml_model_create(&model, chosen->name, weights, NULL, &err) != RML_OK)
        return;
    probe = open_session(model, 2, RML_CPU_BEST);
    for (int i = 0; i < 2 && probe; i++) {
        jobs[i] = (job){.model = model,
                        .pool = pool,
                        .chosen = chosen,
                        .want = want,
                        .total = total,
                        .rounds = pool ? 3 : 1};
        CHECK(pthread_create(&threads[i], NULL, run_job, &jobs[i]) == 0);
    }
    for (int i = 0; i < 2 && probe; i++) {
        pthread_join(threads[i], NULL);
        CHECK_MSG(jobs[i].wrong == 0, "%s: thread %d of two at once: %d faults", chosen->name, i,
                  jobs[i].wrong);
    }
    rml_session_destroy(&probe);
    rml_model_destroy(&model);
}

// Both stay within 5e-5 of the exact result, relative to the largest.
static void check_close(const network *chosen, rml_cpu_level cpu, const float *best,
                        const float *portable, size_t total)
{
    double most = 0;
    size_t far = 0;
    for (size_t i = 0; i < total; i++)
        if (fabs((double)portable[i]) > most)
            most = fabs((double)portable[i]);
    for (size_t i = 0; i < total; i++)
        far += !(fabs((double)best[i] - (double)portable[i]) <= 1e-4 * most);
    CHECK_MSG(most > 0.01 && far == 0, "%s at %s: %zu of %zu are far from %g", chosen->name,
              rml_cpu_level_name(cpu), far, total, most);
}

int main(void)
{
    for (size_t n = 0; n < sizeof networks / sizeof *networks; n++) {
        const network *chosen = &networks[n];
        rml_weights *weights = narrow_weights(chosen->name, 16, NULL);
        rml_model *model = NULL;
        rml_error err = {0};
        float *portable = NULL, *best = NULL;
        size_t total = 0;
        CHECK_MSG(weights && rml_model_create(&model, chosen->name, weights, NULL, &err) == RML_OK,
                  "%s", err.message);
        for (int level = RML_CPU_PORTABLE; model && level <= RML_CPU_AVX512; level++) {
            const rml_cpu_level cpu = (rml_cpu_level)level;
            if (!rml_cpu_level_available(cpu))
                continue;
            rml_session *session = open_session(model, 1, cpu);
            free(best);
            best = session && run(session, model, chosen, 0, ITEMS)
                       ? net_outputs(session, model, &total)
                       : NULL;
            rml_session_destroy(&session);
            if (!best)
                break;
            check_same(model, chosen, cpu, best, total);
            if (!portable) {
                portable = malloc(total * sizeof *portable);
                memcpy(portable, best, total * sizeof *portable);
            }
            check_close(chosen, cpu, best, portable, total);
        }
        rml_pool *pool = NULL;
        if (best)
            check_two_at_once(weights, chosen, NULL, best, total);
        if (best && rml_pool_create(&pool, 2, NULL, NULL) == RML_OK) {
            rml_session_settings settings = rml_session_settings_default();
            rml_session *session;
            check_two_at_once(weights, chosen, pool, best, total);
            settings.pool = pool;
            settings.threads = 3;
            CHECK(rml_session_create(&session, model, &settings, &err) == RML_ERR_ARG &&
                  strstr(err.message, "threads is 3, and the pool given has 2"));
            rml_pool_destroy(&pool);
        }
        free(portable);
        free(best);
        rml_model_destroy(&model);
        rml_weights_close(&weights);
    }
    return check_result();
}
