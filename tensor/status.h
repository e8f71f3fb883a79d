// Status and message of every function that can fail.
#ifndef RML_TENSOR_STATUS_H
#define RML_TENSOR_STATUS_H

#include "runmodel.h"

#include <stdarg.h>

// Takes over settings of the caller, a struct that begins with its size, into `out`, one of `size`
// bytes of this library's; runmodel.h tells the rule. NULL gives all zero, the defaults.
rml_status rml_settings_take(void *out, size_t size, const void *given, const char *name,
                             rml_error *err);

// rml_fail, so that a failure reads
// `return rml_fail(err, RML_ERR_SHAPE, "%s: weight is %s, expected %s", name, got, want);`
rml_status rml_fail_v(rml_error *err, rml_status status, const char *format, va_list args);

// The one sentence for an allocation that failed.
rml_status rml_fail_nomem(rml_error *err, size_t bytes, const char *what);

// A status with `context` in front of its message.
static inline rml_status rml_named(rml_status status, rml_error *err, const char *context)
{
    if (status != RML_OK)
        rml_error_prefix(err, context);
    return status;
}

// Whether no file can be read on after it: the machine, a limit or this library is the reason, and
// not the part in hand.
static inline bool rml_status_is_final(rml_status status)
{
    return status == RML_ERR_NOMEM || status == RML_ERR_LIMIT || status == RML_ERR_INTERNAL;
}

// What the system calls an error of errno; strerror is not for several threads. Returns `text`.
#define RML_ERRNO_BYTES 128
const char *rml_errno_text(int code, char text[RML_ERRNO_BYTES]);

// Only where nothing needs freeing; otherwise one `done:` label.
#define RML_TRY(call)                                                                              \
    do {                                                                                           \
        rml_status rml_try_status = (call);                                                        \
        if (rml_try_status != RML_OK)                                                              \
            return rml_try_status;                                                                 \
    } while (0)

#endif
