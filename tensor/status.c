#define _POSIX_C_SOURCE 200809L // strerror_r that returns a number
#include "tensor/status.h"
#include "tensor/format.h"

#include <string.h>

#define MAX_SETTINGS_BYTES 4096

const char *rml_status_name(rml_status status)
{
    static const char *const names[] = {
        [RML_OK] = "ok",
        [RML_ERR_ARG] = "bad argument",
        [RML_ERR_NOMEM] = "out of memory",
        [RML_ERR_IO] = "input/output error",
        [RML_ERR_FORMAT] = "bad format",
        [RML_ERR_UNSUPPORTED] = "unsupported",
        [RML_ERR_SHAPE] = "shapes do not fit",
        [RML_ERR_LIMIT] = "limit exceeded",
        [RML_ERR_INTERNAL] = "internal error",
        [RML_ERR_CANCELLED] = "cancelled",
    };
    return (size_t)status < sizeof names / sizeof *names ? names[status] : "unknown status";
}

const char *rml_version(void)
{
#define RML_TEXT_OF(x) #x
#define RML_TEXT(x) RML_TEXT_OF(x)
    return RML_TEXT(RML_VERSION_MAJOR) "." RML_TEXT(RML_VERSION_MINOR) "." RML_TEXT(
        RML_VERSION_PATCH);
}

// A message cut in the middle of a UTF-8 sequence would print as garbage: step back to its start. A
// sequence that is complete stays.
static void cut_on_character(char *text, size_t capacity)
{
    const size_t end = strlen(text);
    if (end + 1 < capacity)
        return;
    size_t start = end;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    const unsigned char lead = (unsigned char)text[--start];
    const size_t length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (end - start < length)
        text[start] = 0;
}

// Names from files may hold line ends and codes that terminals obey.
static void replace_control_characters(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            *text = '?';
}

rml_status rml_fail_v(rml_error *err, rml_status status, const char *format, va_list args)
{
    if (err) {
        err->status = status;
        // The arguments may point into err->message itself, so format beside it first.
        char text[RML_MESSAGE_BYTES];
        rml_format_v(text, sizeof text, format, args);
        cut_on_character(text, sizeof text);
        replace_control_characters(text);
        memcpy(err->message, text, strlen(text) + 1);
    }
    return status;
}

rml_status rml_fail(rml_error *err, rml_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    rml_fail_v(err, status, format, args);
    va_end(args);
    return status;
}

rml_status rml_fail_nomem(rml_error *err, size_t bytes, const char *what)
{
    return rml_fail(err, RML_ERR_NOMEM, "out of memory: %zu bytes for %s", bytes, what);
}

void rml_error_prefix(rml_error *err, const char *context)
{
    if (err)
        rml_fail(err, err->status, "%s: %s", context, err->message);
}

rml_status rml_settings_take(void *out, size_t size, const void *given, const char *name,
                             rml_error *err)
{
    const unsigned char *bytes = given;
    size_t given_size = 0;
    memset(out, 0, size);
    if (given) {
        memcpy(&given_size, given, sizeof given_size);
        // A size that nobody set may be any number: nothing is read past what could be one.
        if (given_size <= sizeof given_size || given_size > MAX_SETTINGS_BYTES)
            return rml_fail(err, RML_ERR_ARG,
                            "the size in %s is %zu, and sizeof is %zu: begin with %s_default()",
                            name, given_size, size, name);
        memcpy(out, given, given_size < size ? given_size : size);
    }
    for (size_t i = size; i < given_size; i++)
        if (bytes[i])
            return rml_fail(err, RML_ERR_UNSUPPORTED,
                            "%s of %zu bytes sets what this library (%s, %zu bytes) does not know",
                            name, given_size, rml_version(), size);
    memcpy(out, &size, sizeof size);
    return RML_OK;
}

const char *rml_errno_text(int code, char text[RML_ERRNO_BYTES])
{
#ifdef _WIN32
    const int failed = strerror_s(text, RML_ERRNO_BYTES, code);
#else
    const int failed = strerror_r(code, text, RML_ERRNO_BYTES);
#endif
    if (failed)
        rml_format(text, RML_ERRNO_BYTES, "error %d", code);
    return text;
}
