#include "tools/bench/bench_parts.h"

#include "tools/find_weights.h"
#include "tools/report.h"

#include <stdlib.h>
#include <string.h>

#define STABLE 0.02      // the medians of both halves of the runs differ by no more than this
#define MOST_SECONDS 4.0 // times --seconds: a busy machine is never stable

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_of(const double *ms, int count)
{
    static const int most = 4096; // of the newest: enough, and cheap beside the runs
    double few[4096];
    if (count > most) {
        ms += count - most;
        count = most;
    }
    memcpy(few, ms, (size_t)count * sizeof *few);
    qsort(few, (size_t)count, sizeof *few, by_value);
    return few[count / 2];
}

static bool is_stable(const bench_result *r)
{
    const int half = r->count / 2;
    if (half < 1)
        return false;
    const double first = median_of(r->ms, half);
    const double second = median_of(r->ms + half, r->count - half);
    return first - second <= STABLE * second && second - first <= STABLE * second;
}

// At least --runs runs and --seconds; more while they have not settled.
static rml_status repeat(const bench_settings *s, rml_session *session, bench_result *r,
                         rml_error *err)
{
    const double begin = now_ms(), least = begin + s->seconds * 1e3,
                 most = begin + s->seconds * 1e3 * MOST_SECONDS;
    double next_look = least;
    r->count = 0;
    while (r->count < BENCH_RUNS_MAX) {
        const double now = now_ms();
        if (r->count >= s->runs && now >= least) {
            if (now >= most || (now >= next_look && is_stable(r)))
                break;
            next_look = now >= next_look ? now + s->seconds * 250 : next_look;
        }
        TRY(rml_session_run(session, err));
        r->ms[r->count++] = now_ms() - now;
    }
    qsort(r->ms, (size_t)r->count, sizeof r->ms[0], by_value);
    return RML_OK;
}

static rml_status load(const bench_settings *s, network *n, double *start, rml_error *err)
{
    rml_model_settings built = model_settings(&s->common);
    built.config = s->config;
    built.function = s->function;
    built.keep_types = true; // inputs of all types are filled
    *start = now_ms();
    if (s->is_file)
        return rml_model_open(&n->model, s->model, &built, err);
    if (s->weights)
        TRY(rml_weights_open(&n->weights, s->weights, NULL, err));
    else
        TRY(rml_weights_create_random(&n->weights, s->model, 1, &built, err));
    // Making random weights is no part of loading.
    if (!s->weights)
        *start = now_ms();
    return rml_model_create(&n->model, s->model, n->weights, &built, err);
}

static rml_status measure(const bench_settings *s, network *n, int batch, int threads,
                          bench_result *r, rml_error *err)
{
    double start;
    rml_shape shape = {.rank = 0};
    rml_session_settings wanted = session_settings(&s->common);
    wanted.threads = threads;
    TRY(load(s, n, &start, err));
    TRY(rml_session_create(&n->session, n->model, &wanted, err));
    TRY(bench_set_shapes(s, n->session, n->model, batch, err));
    TRY(rml_session_prepare(n->session, err));
    r->load_ms = now_ms() - start;
    TRY(bench_fill_inputs(s, n->session, n->model, err));
    start = now_ms();
    TRY(rml_session_run(n->session, err));
    r->first_ms = now_ms() - start;
    TRY(repeat(s, n->session, r, err));
    if (rml_model_input_count(n->model))
        rml_session_input_at(n->session, 0, &shape);
    r->batch = shape.rank ? (int)shape.dim[0] : 1;
    r->threads = rml_session_threads(n->session);
    r->cpu = rml_session_cpu(n->session);
    r->macs = rml_session_macs(n->session);
    r->peak_gflops = fma_peak(r->cpu) * r->threads;
    r->planned_bytes = rml_session_planned_bytes(n->session);
    r->packed_bytes = rml_session_packed_bytes(n->session);
    r->resident_bytes = rss_bytes();
    r->peak_rss_bytes = peak_rss_bytes();
    r->session = n->session;
    bench_report(s, r);
    return RML_OK;
}

rml_status bench_measure(const bench_settings *s, int batch, int threads, bench_result *r,
                         rml_error *err)
{
    network n = {.session = NULL};
    const rml_status status = measure(s, &n, batch, threads, r, err);
    network_close(&n);
    return status;
}
