// Pipes that are to be read more than once: they are read into files without a name, of which
// nothing is left however the program ends.
#ifndef RML_MEDIA_FILES_SPOOL_H
#define RML_MEDIA_FILES_SPOOL_H

#include "runmodel.h"

#define RML_SPOOL_MAX_BYTES (INT64_C(1) << 38) // an endless pipe ends when it has filled so much
#define RML_SPOOL_MAX_COUNT 10

// A zeroed spool is closed.
typedef struct rml_spool {
    const char *name; // as the user knows it; of the owner
    char path[32];    // under which it can be read, as long as the spool is open; "": as `name`
    int file, pipe;   // -1: none
    int64_t bytes;
} rml_spool;

typedef struct rml_spool_settings {
    const char *folder; // for the files
    // Asked again and again: true ends the reading with RML_ERR_IO. May be NULL.
    bool (*cancelled)(void *user);
    void *user;
} rml_spool_settings;

// Opens `name` where it is a pipe, without waiting for a writer. Of anything else, and of nothing,
// the spool is the file itself: who opens that says what is wrong with it.
rml_status rml_spool_open(rml_spool *spool, const char *name, const rml_spool_settings *settings,
                          rml_error *err);

// Reads all pipes to their ends, at the same time: one program may write several of them, each when
// its turn comes. A pipe without data is RML_ERR_FORMAT.
rml_status rml_spool_fill(rml_spool *const *spools, int count, const rml_spool_settings *settings,
                          rml_error *err);

// The name under which what was read can be opened again and again.
const char *rml_spool_path(const rml_spool *spool);

// Puts the name that the user knows into a message that has the other.
void rml_spool_explain(const rml_spool *spool, rml_error *err);

void rml_spool_close(rml_spool *spool);

#endif
