// What of a file cannot be run: the first of each kind of operation or layer and each reason.
#ifndef RML_LOADERS_COREML_REFUSALS_H
#define RML_LOADERS_COREML_REFUSALS_H

#include "tensor/status.h"

#define RML_COREML_REFUSALS 64 // kinds and reasons that are told apart

typedef struct rml_coreml_refusals {
    char text[RML_MESSAGE_BYTES - 256];
    struct {
        const char *kind;
        size_t reason, bytes; // where it stands in `text`
    } told[RML_COREML_REFUSALS];
    size_t told_count;
    size_t count,
        more; // all there are, and those that are not in `text` and of a kind of their own
} rml_coreml_refusals;

// `kind` is kept; `where` is what it is called, `operation "x"`.
void rml_coreml_add_refusal(rml_coreml_refusals *list, const char *kind, const char *where,
                            const char *reason);

// All of them as one error; `what` they are: "operation".
rml_status rml_coreml_list_refusals(const rml_coreml_refusals *list, const char *what,
                                    rml_error *err);

#endif
