#include "tools/bench/bench_parts.h"
#include "tools/report.h"

#include <stdio.h>
#include <string.h>

#ifndef RML_COMMIT
#define RML_COMMIT "unknown"
#endif
#ifndef RML_BUILD
#define RML_BUILD "unknown"
#endif

// "Intel(R) Xeon(R) ...", or "unknown".
static void cpu_model(char *text, size_t capacity)
{
    char line[512];
    snprintf(text, capacity, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file)
        return;
    while (fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon) {
            line[strcspn(line, "\n")] = 0;
            snprintf(text, capacity, "%s", colon + 1 + (colon[1] == ' '));
            break;
        }
    }
    fclose(file);
}

static double percentile(const bench_result *r, double share)
{
    return r->ms[(int)(share * (r->count - 1) + 0.5)];
}

static double share_of_peak(const bench_result *r, double gmacs)
{
    return r->peak_gflops > 0 ? 2 * gmacs / r->peak_gflops : 0;
}

static void text_of_ms(double ms, char text[32])
{
    snprintf(text, 32, ms < 1 ? "%.4f" : ms < 100 ? "%.2f" : "%.0f", ms);
}

static void report_json(const bench_settings *s, const bench_result *r, double gmacs)
{
    char cpu[256];
    cpu_model(cpu, sizeof cpu);
    json_field("{\"model\":", s->model);
    printf(",\"precision\":\"%s\",\"threads\":%d,\"cpu\":\"%s\",\"batch\":%d,\"macs\":%llu,"
           "\"runs\":%d,\"min_ms\":%.4f,\"median_ms\":%.4f,\"p90_ms\":%.4f,\"p99_ms\":%.4f,"
           "\"gmacs_per_s\":%.3f,\"share_of_peak\":%.4f,\"peak_gflops\":%.1f,"
           "\"load_ms\":%.3f,\"first_ms\":%.3f,\"planned_bytes\":%zu,\"packed_bytes\":%zu,"
           "\"resident_bytes\":%llu,\"peak_rss_bytes\":%llu,\"cpu_model\":",
           rml_precision_name(s->common.precision), r->threads, rml_cpu_level_name(r->cpu),
           r->batch, (unsigned long long)r->macs, r->count, r->ms[0], percentile(r, 0.5),
           percentile(r, 0.9), percentile(r, 0.99), gmacs, share_of_peak(r, gmacs), r->peak_gflops,
           r->load_ms, r->first_ms, r->planned_bytes, r->packed_bytes,
           (unsigned long long)r->resident_bytes, (unsigned long long)r->peak_rss_bytes);
    json_text(cpu);
    printf(",\"version\":\"%s\",\"commit\":\"%s\",\"build\":\"%s\"", rml_version(), RML_COMMIT,
           RML_BUILD);
    if (s->common.profile) {
        printf(",\"profile\":");
        json_profile(r->session);
    }
    printf("}\n");
}

static void report_text(const bench_settings *s, const bench_result *r, double gmacs)
{
    char median[32], least[32], p90[32], p99[32], share[32] = "";
    text_of_ms(percentile(r, 0.5), median);
    text_of_ms(r->ms[0], least);
    text_of_ms(percentile(r, 0.9), p90);
    text_of_ms(percentile(r, 0.99), p99);
    if (r->peak_gflops > 0)
        snprintf(share, sizeof share, " (%.0f %% of the peak)", 100 * share_of_peak(r, gmacs));
    printf("%s batch %d, %d thread%s, %s: median %s ms, min %s, p90 %s, p99 %s (%d runs);"
           " %.1f GMAC/s%s; load %.1f ms, first run %.1f ms; %.1f MB planned, %.1f MB packed,"
           " %.1f MB resident\n",
           s->model, r->batch, r->threads, r->threads == 1 ? "" : "s", rml_cpu_level_name(r->cpu),
           median, least, p90, p99, r->count, gmacs, share, r->load_ms, r->first_ms,
           (double)r->planned_bytes / 1e6, (double)r->packed_bytes / 1e6,
           (double)r->resident_bytes / 1e6);
}

static void report_row(const bench_settings *s, const bench_result *r, double gmacs)
{
    const bool csv = s->form == BENCH_CSV;
    const char *open = csv ? "" : "| ", *between = csv ? "," : " | ", *close = csv ? "" : " |";
    const double numbers[] = {r->ms[0],
                              percentile(r, 0.5),
                              percentile(r, 0.9),
                              percentile(r, 0.99),
                              gmacs,
                              100 * share_of_peak(r, gmacs),
                              r->load_ms,
                              r->first_ms,
                              (double)r->planned_bytes / 1e6,
                              (double)r->packed_bytes / 1e6,
                              (double)r->resident_bytes / 1e6};
    fputs(open, stdout);
    if (csv)
        csv_text(s->model);
    else
        fputs(s->model, stdout);
    printf("%s%s%s%d%s%s%s%d%s%llu%s%d", between, rml_precision_name(s->common.precision), between,
           r->threads, between, rml_cpu_level_name(r->cpu), between, r->batch, between,
           (unsigned long long)r->macs, between, r->count);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        printf("%s%.4g", between, numbers[i]);
    if (csv) { // a table has them above
        char cpu[256];
        cpu_model(cpu, sizeof cpu);
        printf(",");
        csv_text(cpu);
        printf(",%s,%s,%s", rml_version(), RML_COMMIT, RML_BUILD);
    }
    printf("%s\n", close);
}

void bench_report_head(const bench_settings *s)
{
    static const char *const columns[] = {
        "model",      "precision",   "threads",         "cpu",       "batch",
        "macs",       "runs",        "min_ms",          "median_ms", "p90_ms",
        "p99_ms",     "gmacs_per_s", "percent_of_peak", "load_ms",   "first_ms",
        "planned_mb", "packed_mb",   "resident_mb"};
    const size_t count = sizeof columns / sizeof *columns;
    char cpu[256];
    cpu_model(cpu, sizeof cpu);
    if (s->form == BENCH_MARKDOWN)
        printf("%s; run-model %s, commit %s, %s build\n\n", cpu, rml_version(), RML_COMMIT,
               RML_BUILD);
    else if (s->form == BENCH_TEXT && !s->common.quiet)
        fprintf(stderr, "%s; run-model %s, commit %s, %s build\n", cpu, rml_version(), RML_COMMIT,
                RML_BUILD);
    if (s->form != BENCH_CSV && s->form != BENCH_MARKDOWN)
        return;
    const char *between = s->form == BENCH_CSV ? "," : " | ";
    printf("%s", s->form == BENCH_CSV ? "" : "| ");
    for (size_t i = 0; i < count; i++)
        printf("%s%s", i ? between : "", columns[i]);
    printf("%s\n", s->form == BENCH_CSV ? ",cpu_model,version,commit,build" : " |");
    for (size_t i = 0; i < count && s->form == BENCH_MARKDOWN; i++)
        printf("%s", i ? "---|" : "|---|");
    if (s->form == BENCH_MARKDOWN)
        printf("\n");
}

void bench_report(const bench_settings *s, const bench_result *r)
{
    const double gmacs = (double)r->macs / (percentile(r, 0.5) * 1e6);
    if (s->form == BENCH_JSON)
        report_json(s, r, gmacs);
    else if (s->form == BENCH_TEXT)
        report_text(s, r, gmacs);
    else
        report_row(s, r, gmacs);
    if (s->common.profile && s->form != BENCH_JSON)
        print_profile(s->form == BENCH_TEXT ? stdout : stderr, r->session);
    fflush(stdout);
}
