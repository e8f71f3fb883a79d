// Progress on stderr: how much is done, how much a second, time left. Nothing for work of less than
// two seconds.
#ifndef RML_TOOLS_PROGRESS_H
#define RML_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct progress {
    const char *what; // "frames"
    bool enabled, terminal;
    double start_ms, shown_ms; // shown_ms: when a line was last written; 0: never
} progress;

// On a terminal one line is rewritten; elsewhere a plain line is written every ten seconds. A total
// of -1 is not known.
void progress_begin(progress *p, const char *what, bool enabled);
void progress_update(progress *p, int64_t done, int64_t total);

// Where results go to a terminal line by line, they themselves show that it goes on.
bool output_is_terminal(void);

// Clears the line, so that the next message stands alone.
void progress_end(progress *p);

#endif
