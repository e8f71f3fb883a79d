// What several subcommands print: JSON and CSV texts, sizes, the profile of a session, progress.
#ifndef RML_TOOLS_REPORT_H
#define RML_TOOLS_REPORT_H

#include "runmodel.h"

#include <stdio.h>
#include <stdbool.h>
#include <stdint.h>

// JSON and CSV go to standard output. A JSON string has its quotes; bytes that are not UTF-8 become
// U+FFFD.
void json_text(const char *text);

// `before`, such as ",\"name\":", and a JSON string.
void json_field(const char *before, const char *text);

// A field of a CSV table, in quotes where it needs them.
void csv_text(const char *text);

// [2,3,96,96], with -1 as null.
void json_shape(const rml_shape *shape);

// "(2,3,96,96)", with "?" where the size may change, to `file`.
void print_shape(FILE *file, const rml_shape *shape);

// How many elements a tensor of this shape has; false where that is not told, or is no number of
// memory.
bool count_elements(const rml_shape *shape, size_t *count);

// What one run takes, with batch 1 and RML_OPEN_SIDE wherever else a size may change and the file
// does not say what it usually is.
typedef struct run_cost {
    bool planned;  // false: it could not be, or only a run tells
    bool any_size; // a size other than the batch may change
    bool usual;    // inputs of several sizes have those that the file says
    uint64_t macs;
    size_t planned_bytes;
} run_cost;

run_cost run_cost_of(rml_model *model);

// "one run, batch 1: 0.301 GMAC, 3.8 MB planned"; nothing where it is not planned.
void print_run_cost(const run_cost *cost);

// Nodes by time, the longest first, then the total.
void print_profile(FILE *file, const rml_session *session);

// One object a node, in order of execution, as a JSON array.
void json_profile(const rml_session *session);

// Numbers from 0 to below 1, the same every time.
void fill_floats(float *out, size_t count);

// Milliseconds of a clock that only goes forward.
double now_ms(void);

// The largest resident size of this process so far, in bytes; 0 where the system does not say.
uint64_t peak_rss_bytes(void);

// The resident size now.
uint64_t rss_bytes(void);

// The description of a built-in network, or NULL.
const rml_model_desc *find_model(const char *name);

// Whether MODEL on a command line is the path of a graph file: by its ending or, where that says
// nothing, by its contents.
bool is_graph_file(const char *text);
bool is_coreml_file(const char *path); // by its contents

// Whether a format of weights holds a whole network.
bool is_graph_format(const char *format);

// "wav2lip, s3fd" to `text`.
void model_names(char *text, size_t capacity);

// ---- progress ---------------------------------------------------------------------------------

// On stderr: how much is done, how much a second, time left. Nothing for work of less than two
// seconds.

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
