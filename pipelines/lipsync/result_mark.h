// What the result of a lip-sync run says of itself, as XMP and for C2PA: that a network made the
// mouth, which one (by name and SHA-256), with which settings.
#ifndef RML_PIPELINES_LIPSYNC_RESULT_MARK_H
#define RML_PIPELINES_LIPSYNC_RESULT_MARK_H

#include "runmodel.h"

#define RML_MARK_SETTINGS 64
#define RML_MARK_WEIGHTS 8
#define RML_MARK_VALUE_BYTES 128

// Texts but for values belong to the caller.
typedef struct rml_mark_facts {
    const char *command; // "wav2lip"
    struct {
        const char *name;
        char value[RML_MARK_VALUE_BYTES];
    } settings[RML_MARK_SETTINGS];
    int setting_count;
    struct {
        const char *name, *path; // of a file or a folder
    } weights[RML_MARK_WEIGHTS];
    int weights_count;
} rml_mark_facts;

// Begins to make the packet, beside the rest: large weights take a second to digest. The facts must
// live as long.
typedef struct rml_result_mark rml_result_mark;
rml_status rml_result_mark_start(rml_result_mark **out, const rml_mark_facts *facts,
                                 const rml_allocator *allocator, rml_error *err);

// Waits for it; the packet is the mark's. As rml_mark.make of media/video/encode.h.
rml_status rml_result_mark_packet(void *mark, const char **packet, rml_error *err);

// The same as the manifest that media/files/c2pa.h signs.
rml_status rml_result_mark_manifest(rml_result_mark *mark, const char **manifest, rml_error *err);

void rml_result_mark_end(rml_result_mark **mark); // *mark may be NULL

#endif
