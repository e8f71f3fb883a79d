// runmodel_export.h - networks as C files, see docs/export-c.md.
#ifndef RML_RUNMODEL_EXPORT_H
#define RML_RUNMODEL_EXPORT_H

#include "runmodel.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rml_export_settings {
    size_t size;      // sizeof(rml_export_settings)
    const char *name; // what its functions and macros begin with; NULL: the file's name
    uint64_t reserved[4];
} rml_export_settings;

RML_API rml_export_settings rml_export_settings_default(void);

typedef struct rml_export_report {
    uint64_t steps, weight_bytes, arena_bytes;
    uint64_t reserved[4];
} rml_export_report;

// Writes the plan of a prepared session as C99: `path`, which ends in .c, and beside it the header
// of the same name in .h. The file holds weights, kernels and calls, and needs libm alone; what its
// functions compute has the bits of the session. That is one of f32, in_order, at a level with
// fused multiply-adds; all its shapes are known. Runs the session once, on inputs made up, for the
// self-test. What cannot be written is refused by name, all at once. `report` may be NULL. See
// docs/export-c.md.
RML_API rml_status rml_session_export_c(rml_session *session, const char *path,
                                        const rml_export_settings *settings,
                                        rml_export_report *report, rml_error *err);

#ifdef __cplusplus
}
#endif

#endif
