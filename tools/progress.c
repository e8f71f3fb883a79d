#define _POSIX_C_SOURCE 200809L
#include "tools/progress.h"

#include "tools/report.h"

#include <stdio.h>
#include <unistd.h>

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
