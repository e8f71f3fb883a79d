// run-model bench: times of a network, one line for each combination of batch and threads.
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/report.h"

#include "tensor/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "bench"
#define LIST_MAX 16
#define RUNS_MAX 10000
// Images of free size are measured at this side unless --shape says otherwise.
#define ASSUMED_SIDE 256

typedef struct {
    common_options common;
    const char *model, *weights, *config;
    const char *thread_list, *batch_list;
    option_list shapes;
    int runs;
    double seconds;
} settings;

typedef struct {
    int count;
    double load_ms, first_ms;
    double ms[RUNS_MAX]; // sorted
} measured;

// "1,2,4" to numbers from 1 to `max`; the count, or 0 when the text is something else.
static int parse_list(const char *text, int *numbers, long max)
{
    int count = 0;
    for (;;) {
        char *end;
        long number = strtol(text, &end, 10);
        if (end == text || number < 1 || number > max || count == LIST_MAX)
            return 0;
        numbers[count++] = (int)number;
        if (*end == 0)
            return count;
        if (*end != ',')
            return 0;
        text = end + 1;
    }
}

// "NAME=1x3x512x512"
static bool parse_shape(const char *text, char *name, size_t capacity, rml_shape *shape)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || (size_t)(equals - text) >= capacity)
        return false;
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = 0;
    shape->rank = 0;
    for (const char *at = equals + 1;;) {
        char *end;
        long long number = strtoll(at, &end, 10);
        if (end == at || number < 1 || number > INT32_MAX || shape->rank == RML_MAX_RANK)
            return false;
        shape->dim[shape->rank++] = number;
        if (*end == 0)
            return true;
        if (*end != 'x')
            return false;
        at = end + 1;
    }
}

static rml_status set_shapes(const settings *s, rml_session *session, const rml_model *model,
                             int batch, rml_error *err)
{
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        rml_port port = rml_model_input(model, i);
        for (int k = 0; k < port.shape.rank; k++)
            if (port.shape.dim[k] < 0)
                port.shape.dim[k] = k == 0 ? batch : ASSUMED_SIDE;
        for (int k = 0; k < s->shapes.count; k++) {
            char name[128];
            rml_shape wanted;
            if (parse_shape(s->shapes.items[k], name, sizeof name, &wanted) &&
                strcmp(name, port.name) == 0)
                port.shape = wanted;
        }
        RML_TRY(rml_session_resize(session, port.name, port.shape, err));
    }
    return RML_OK;
}

// Numbers in [0,1), the same every time.
static void fill_inputs(rml_session *session, const rml_model *model)
{
    uint32_t state = 1;
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        rml_shape shape;
        float *data = rml_session_input(session, rml_model_input(model, i).name, &shape);
        size_t count = 1;
        for (int k = 0; k < shape.rank; k++)
            count *= (size_t)shape.dim[k];
        for (size_t k = 0; k < count; k++) {
            state = state * 1664525u + 1013904223u;
            data[k] = (float)(state >> 8) * 0x1p-24f;
        }
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const measured *m, double share)
{
    int index = (int)(share * (m->count - 1) + 0.5);
    return m->ms[index];
}

static void report(const settings *s, const rml_session *session, const measured *m, int batch)
{
    double median = percentile(m, 0.5);
    uint64_t macs = rml_session_macs(session);
    if (s->common.json) {
        printf("{\"model\":");
        json_text(stdout, s->model);
        printf(",\"precision\":\"f32\",\"threads\":%d,\"cpu\":\"%s\",\"batch\":%d,\"macs\":%llu,"
               "\"runs\":%d,\"min_ms\":%.4f,\"median_ms\":%.4f,\"p90_ms\":%.4f,\"p99_ms\":%.4f,"
               "\"load_ms\":%.3f,\"first_ms\":%.3f,\"planned_bytes\":%zu,\"packed_bytes\":%zu,"
               "\"peak_rss_bytes\":%llu",
               rml_session_threads(session), rml_cpu_level_name(rml_session_cpu(session)), batch,
               (unsigned long long)macs, m->count, m->ms[0], median, percentile(m, 0.9),
               percentile(m, 0.99), m->load_ms, m->first_ms, rml_session_planned_bytes(session),
               rml_session_packed_bytes(session), (unsigned long long)peak_rss_bytes());
        if (s->common.profile) {
            printf(",\"profile\":");
            json_profile(stdout, session);
        }
        printf("}\n");
    } else {
        printf(
            "%s batch %d, %d thread%s, %s: median %.2f ms, min %.2f, p90 %.2f, p99 %.2f (%d runs);"
            " %.1f GMAC/s; load %.0f ms, first run %.1f ms; %.1f MB planned, %.1f MB packed\n",
            s->model, batch, rml_session_threads(session),
            rml_session_threads(session) == 1 ? "" : "s",
            rml_cpu_level_name(rml_session_cpu(session)), median, m->ms[0], percentile(m, 0.9),
            percentile(m, 0.99), m->count, (double)macs / (median * 1e6), m->load_ms, m->first_ms,
            (double)rml_session_planned_bytes(session) / 1e6,
            (double)rml_session_packed_bytes(session) / 1e6);
        if (s->common.profile)
            print_profile(stdout, session, 0);
    }
    fflush(stdout);
}

// A shape for an input that does not exist would silently measure something else.
static rml_status check_shapes(const settings *s, const rml_model *model, rml_error *err)
{
    for (int k = 0; k < s->shapes.count; k++) {
        char name[128];
        rml_shape shape;
        bool known = false;
        parse_shape(s->shapes.items[k], name, sizeof name, &shape);
        for (size_t i = 0; i < rml_model_input_count(model); i++)
            known = known || strcmp(rml_model_input(model, i).name, name) == 0;
        if (!known)
            return rml_fail(err, RML_ERR_ARG, "--shape %s: %s has no input of this name",
                            s->shapes.items[k], s->model);
    }
    return RML_OK;
}

static rml_status measure(const settings *s, int batch, int threads, measured *m, rml_error *err)
{
    rml_weights *weights = NULL;
    rml_model *model = NULL;
    rml_session *session = NULL;
    rml_session_settings wanted = rml_session_settings_default();
    wanted.threads = threads;
    wanted.cpu = s->common.cpu;
    wanted.profile = s->common.profile;
    rml_model_settings built = rml_model_settings_default();
    built.config = s->config;

    double start = now_ms();
    rml_status status = s->weights ? rml_weights_open(&weights, s->weights, NULL, err)
                                   : rml_weights_create_random(&weights, s->model, 1, &built, err);
    // Making random weights is no part of loading.
    if (!s->weights)
        start = now_ms();
    if (status == RML_OK)
        status = rml_model_create(&model, s->model, weights, &built, err);
    if (status == RML_OK)
        status = rml_session_create(&session, model, &wanted, err);
    if (status == RML_OK)
        status = check_shapes(s, model, err);
    if (status == RML_OK)
        status = set_shapes(s, session, model, batch, err);
    if (status == RML_OK)
        status = rml_session_prepare(session, err);
    if (status != RML_OK)
        goto done;
    m->load_ms = now_ms() - start;
    fill_inputs(session, model);
    start = now_ms();
    status = rml_session_run(session, err);
    m->first_ms = now_ms() - start;
    // --runs is a least number; more are made until --seconds have passed, as short runs scatter.
    double end = now_ms() + s->seconds * 1e3;
    m->count = 0;
    while (status == RML_OK && m->count < RUNS_MAX && (m->count < s->runs || now_ms() < end)) {
        start = now_ms();
        status = rml_session_run(session, err);
        m->ms[m->count++] = now_ms() - start;
    }
    if (status == RML_OK) {
        qsort(m->ms, (size_t)m->count, sizeof m->ms[0], by_value);
        rml_shape shape;
        rml_session_input(session, rml_model_input(model, 0).name, &shape);
        report(s, session, m, (int)shape.dim[0]);
    }
done:
    rml_session_destroy(&session);
    rml_model_destroy(&model);
    rml_weights_close(&weights);
    return status;
}

int cmd_bench(int argc, char **argv)
{
    settings s = {.runs = 10, .seconds = 1};
    const option options[] = {
        {.name = "weights",
         .letter = 'w',
         .kind = OPTION_TEXT,
         .target = &s.weights,
         .value = "FILE|FOLDER",
         .help = "trained weights; without: random ones of the full network"},
        {.name = "config",
         .kind = OPTION_TEXT,
         .target = &s.config,
         .value = "FILE.json|FOLDER",
         .help = "settings of a network whose weights do not tell them"},
        {.name = "batch",
         .letter = 'b',
         .kind = OPTION_TEXT,
         .target = &s.batch_list,
         .value = "N[,N...]",
         .help = "batch sizes (1)"},
        {.name = "shape",
         .kind = OPTION_LIST,
         .target = &s.shapes,
         .value = "NAME=1x3x512x512",
         .help = "shape of an input; may be repeated\n(images of free size: 256x256)"},
        {.name = "threads",
         .kind = OPTION_TEXT,
         .target = &s.thread_list,
         .value = "N[,N...]",
         .help = "thread counts, one measurement each"},
        {.name = "runs",
         .kind = OPTION_INT,
         .target = &s.runs,
         .value = "N",
         .help = "at least so many runs (10)",
         .min = 1,
         .max = RUNS_MAX},
        {.name = "seconds",
         .kind = OPTION_NUMBER,
         .target = &s.seconds,
         .value = "S",
         .help = "and at least so long (1)",
         .max = 3600},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "MODEL [options]",
        .summary =
            "Loads, plans and runs a network. load_ms: opening to ready; first_ms: the first run;\n"
            "the other times leave the first run out. With --json one object a line.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional = &s.model,
        .positional_max = 1,
        .common = &s.common,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || s.common.help)
        return code;
    char names[512], name[128];
    model_names(names, sizeof names);
    if (!s.model || !find_model(s.model))
        return usage_error(COMMAND, "name one of the networks: %s", names);
    rml_shape shape;
    for (int i = 0; i < s.shapes.count; i++)
        if (!parse_shape(s.shapes.items[i], name, sizeof name, &shape))
            return usage_error(COMMAND, "--shape is NAME=1x3x512x512, not '%s'", s.shapes.items[i]);
    int threads[LIST_MAX] = {0}, batches[LIST_MAX] = {1};
    int thread_count = 1, batch_count = 1;
    if (s.thread_list && !(thread_count = parse_list(s.thread_list, threads, 256)))
        return usage_error(COMMAND, "--threads is a list like 1,2 of up to %d numbers, not '%s'",
                           LIST_MAX, s.thread_list);
    if (s.batch_list && !(batch_count = parse_list(s.batch_list, batches, 4096)))
        return usage_error(COMMAND, "--batch is a list like 1,16 of up to %d numbers, not '%s'",
                           LIST_MAX, s.batch_list);
    measured *m = malloc(sizeof *m);
    rml_error err;
    rml_status status = m ? RML_OK : rml_fail_nomem(&err, sizeof *m, "the measurements");
    for (int b = 0; status == RML_OK && b < batch_count; b++)
        for (int t = 0; status == RML_OK && t < thread_count; t++)
            status = measure(&s, batches[b], threads[t], m, &err);
    free(m);
    return status == RML_OK ? EXIT_DONE : failure(COMMAND, &err);
}
