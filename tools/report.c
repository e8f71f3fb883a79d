#define _POSIX_C_SOURCE 200809L
#include "tools/report.h"

#include "pipelines/made_up.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#include <unistd.h>
#include <stdio.h>
#endif

// Length of the well-formed UTF-8 sequence at `s`, or 0.
static int utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    int length = s[0] >= 0xF0 && s[0] <= 0xF4   ? 4
                 : s[0] >= 0xE0 && s[0] <= 0xEF ? 3
                 : s[0] >= 0xC2 && s[0] <= 0xDF ? 2
                                                : 0;
    for (int i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    bool outside = (s[0] == 0xED && s[1] >= 0xA0) || (s[0] == 0xF4 && s[1] >= 0x90);
    return overlong || outside ? 0 : length;
}

void json_text(const char *text)
{
    putchar('"');
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int length = utf8_length(s);
        if (*s == '"' || *s == '\\')
            printf("\\%c", *s);
        else if (*s < 0x20)
            printf("\\u%04x", *s);
        else if (length == 0)
            printf("\\ufffd");
        else
            fwrite(s, 1, (size_t)length, stdout);
        s += length ? length : 1;
    }
    putchar('"');
}

void json_field(const char *before, const char *text)
{
    fputs(before, stdout);
    json_text(text);
}

void csv_text(const char *text)
{
    if (!strpbrk(text, ",;\"\r\n")) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (const char *s = text; *s; s++) {
        if (*s == '"')
            putchar('"');
        putchar(*s);
    }
    putchar('"');
}

static void put_shape(FILE *file, const rml_shape *shape, const char *ends, const char *unknown)
{
    if (shape->rank < 0) {
        fputs(unknown, file);
        return;
    }
    putc(ends[0], file);
    for (int i = 0; i < shape->rank; i++) {
        fputs(i ? "," : "", file);
        if (shape->dim[i] < 0)
            fputs(unknown, file);
        else
            fprintf(file, "%lld", (long long)shape->dim[i]);
    }
    putc(ends[1], file);
}

void json_shape(const rml_shape *shape)
{
    put_shape(stdout, shape, "[]", "null");
}

void print_shape(FILE *file, const rml_shape *shape)
{
    put_shape(file, shape, "()", "?");
}

bool count_elements(const rml_shape *shape, size_t *count)
{
    *count = 1;
    if (shape->rank < 0)
        return false;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 0)
            return false;
        if (shape->dim[i] > 0 && *count > (SIZE_MAX >> 6) / (size_t)shape->dim[i])
            return false;
        *count *= (size_t)shape->dim[i];
    }
    return true;
}

static int by_time(const void *a, const void *b)
{
    double x = ((const rml_profile_entry *)a)->total_ms;
    double y = ((const rml_profile_entry *)b)->total_ms;
    return x < y ? 1 : x > y ? -1 : 0;
}

void print_profile(FILE *file, const rml_session *session)
{
    size_t count = rml_session_profile_count(session);
    rml_profile_entry *entries = count ? malloc(count * sizeof *entries) : NULL;
    if (!entries)
        return;
    double total = 0;
    for (size_t i = 0; i < count; i++) {
        entries[i] = rml_session_profile(session, i);
        total += entries[i].total_ms;
    }
    qsort(entries, count, sizeof *entries, by_time);
    fprintf(file, "%10s %6s %9s  %-12s %-22s %-5s %s\n", "ms/run", "%", "GMAC/s", "op", "algorithm",
            "prec", "node");
    for (size_t i = 0; i < count; i++) {
        const rml_profile_entry *e = &entries[i];
        double ms = e->runs ? e->total_ms / (double)e->runs : 0;
        fprintf(file, "%10.3f %6.1f %9.1f  %-12s %-22s %-5s %s ", ms,
                total > 0 ? 100 * e->total_ms / total : 0,
                e->total_ms > 0 ? (double)e->macs / (e->total_ms * 1e6) : 0, e->op, e->algorithm,
                e->precision, e->node);
        print_shape(file, &e->shape);
        putc('\n', file);
    }
    uint64_t runs = entries[0].runs;
    fprintf(file, "%10.3f  all %zu nodes\n", runs ? total / (double)runs : 0, count);
    free(entries);
}

void json_profile(const rml_session *session)
{
    putchar('[');
    for (size_t i = 0; i < rml_session_profile_count(session); i++) {
        rml_profile_entry e = rml_session_profile(session, i);
        json_field(i ? ",{\"node\":" : "{\"node\":", e.node);
        json_field(",\"op\":", e.op);
        json_field(",\"algorithm\":", e.algorithm);
        json_field(",\"precision\":", e.precision);
        printf(",\"shape\":");
        json_shape(&e.shape);
        printf(",\"macs\":%llu,\"runs\":%llu,\"total_ms\":%.4f}", (unsigned long long)e.macs,
               (unsigned long long)e.runs, e.total_ms);
    }
    putchar(']');
}

void fill_floats(float *out, size_t count)
{
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        out[i] = (float)(state >> 8) * 0x1p-24f;
    }
}

double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

uint64_t peak_rss_bytes(void)
{
#if defined(__unix__) || defined(__APPLE__)
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
#if defined(__APPLE__)
    return (uint64_t)usage.ru_maxrss;
#else
    return (uint64_t)usage.ru_maxrss * 1024;
#endif
#else
    return 0;
#endif
}

uint64_t rss_bytes(void)
{
    unsigned long long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    const int found = fscanf(file, "%llu %llu", &total, &resident);
    fclose(file);
    return found == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

const rml_model_desc *find_model(const char *name)
{
    const rml_model_desc *desc;
    for (size_t i = 0; (desc = rml_model_list(i)) != NULL; i++)
        if (strcmp(desc->name, name) == 0)
            return desc;
    return NULL;
}

run_cost run_cost_of(rml_model *model)
{
    run_cost cost = {.planned = false};
    rml_session *session = NULL;
    rml_session_settings wanted = rml_session_settings_default();
    if (rml_session_create(&session, model, &wanted, NULL) != RML_OK)
        return cost;
    bool ok = true;
    for (size_t i = 0; ok && i < rml_model_input_count(model); i++) {
        rml_port port = rml_model_input(model, i);
        cost.usual = cost.usual || (port.limits && *port.limits->text);
        if (port.limits)
            port.shape = port.limits->usual;
        for (int k = 0; k < port.shape.rank; k++)
            if (port.shape.dim[k] < 0) {
                cost.any_size = cost.any_size || k > 0;
                port.shape.dim[k] = rml_open_size(k);
            }
        ok = rml_session_resize(session, port.name, port.shape, NULL) == RML_OK;
    }
    if (ok && rml_session_prepare(session, NULL) == RML_OK) {
        cost.planned = !rml_session_grows(session);
        cost.macs = rml_session_macs(session);
        cost.planned_bytes = rml_session_planned_bytes(session);
    }
    rml_session_destroy(&session);
    return cost;
}

void print_run_cost(const run_cost *cost)
{
    if (!cost->planned)
        return;
    printf(cost->usual ? "one run, the file's own sizes" : "one run, batch 1");
    if (cost->any_size)
        printf(", %d wherever a size may change", RML_OPEN_SIDE);
    printf(": %.3f GMAC, %.1f MB planned\n", (double)cost->macs / 1e9,
           (double)cost->planned_bytes / 1e6);
}

bool is_coreml_file(const char *path)
{
    const char *kind;
    return rml_file_kind(&kind, path, NULL) == RML_OK && strcmp(kind, "coreml") == 0;
}

static bool ends_in(const char *text, size_t length, const char *ending)
{
    const size_t bytes = strlen(ending);
    return length > bytes && strncmp(text + length - bytes, ending, bytes) == 0;
}

bool is_graph_file(const char *text)
{
    static const char *const graphs[] = {".onnx", ".mlmodel", ".mlpackage", "/Manifest.json"};
    static const char *const weights[] = {".pth", ".pt", ".bin", ".ckpt", ".npz", ".safetensors"};
    const char *kind;
    size_t length = strlen(text);
    while (length > 1 && text[length - 1] == '/') // of a folder
        length--;
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++)
        if (ends_in(text, length, graphs[i]))
            return true;
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        if (ends_in(text, length, weights[i]))
            return false;
    return rml_file_kind(&kind, text, NULL) == RML_OK && is_graph_format(kind);
}

bool is_graph_format(const char *format)
{
    return strcmp(format, "onnx") == 0 || strcmp(format, "coreml") == 0;
}

void model_names(char *text, size_t capacity)
{
    size_t used = 0;
    text[0] = 0;
    const rml_model_desc *desc;
    for (size_t i = 0; (desc = rml_model_list(i)) != NULL && used < capacity; i++)
        used += (size_t)snprintf(text + used, capacity - used, "%s%s", i ? ", " : "", desc->name);
}

// ---- progress --------------------------------------------------------------------------------

#define SILENT_MS 2000
#define TERMINAL_MS 200
#define PLAIN_MS 10000

void progress_begin(progress *p, const char *what, bool enabled)
{
    *p = (progress){.what = what,
                    .enabled = enabled,
                    .terminal = isatty(STDERR_FILENO) == 1,
                    .start_ms = now_ms()};
}

void progress_update(progress *p, int64_t done, int64_t total)
{
    double now = now_ms();
    double since = now - (p->shown_ms > 0 ? p->shown_ms : p->start_ms + SILENT_MS - PLAIN_MS);
    double every = p->terminal && p->shown_ms > 0 ? TERMINAL_MS : PLAIN_MS;
    if (!p->enabled || since < every)
        return;
    p->shown_ms = now;
    double seconds = (now - p->start_ms) / 1e3;
    double rate = (double)done / seconds;
    fprintf(stderr, "%s%lld", p->terminal ? "\r" : "", (long long)done);
    if (total >= 0)
        fprintf(stderr, " of %lld", (long long)total);
    fprintf(stderr, " %s", p->what);
    if (done > 0 && total >= done) {
        int64_t left = (int64_t)((double)(total - done) / rate + 0.5);
        fprintf(stderr, ", %.*f a second, %lld:%02d left", rate < 1 ? 3 : 1, rate,
                (long long)(left / 60), (int)(left % 60));
    }
    fprintf(stderr, "%s", p->terminal ? "\x1b[K" : "\n");
    fflush(stderr);
}

bool output_is_terminal(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

void progress_end(progress *p)
{
    if (p->terminal && p->shown_ms > 0)
        fprintf(stderr, "\r\x1b[K");
}
