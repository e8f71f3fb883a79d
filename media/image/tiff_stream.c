#include "runmodel.h"

#ifdef RML_WITH_TIFF
#include "media/image/tiff_stream.h"

#include <stdarg.h>
#include <string.h>

static int complain(TIFF *tiff, void *user, const char *module, const char *format, va_list args)
{
    rml_tiff_stream *s = user;
    char text[256];
    (void)tiff, (void)module;
    if (!s->text[0]) {
        vsnprintf(text, sizeof text, format, args);
        rml_quote(s->text, text, strlen(text));
    }
    return 1; // libtiff's own handler stays out of it
}

// libtiff reads a palette as gray when the table of its colours is damaged, and calls that a
// warning.
static int warn(TIFF *tiff, void *user, const char *module, const char *format, va_list args)
{
    rml_tiff_stream *s = user;
    char text[256];
    (void)tiff, (void)module;
    vsnprintf(text, sizeof text, format, args);
    s->lost_colours = s->lost_colours || strstr(text, "ColorMap") || strstr(text, "ExtraSamples");
    s->lost_profile = s->lost_profile || strstr(text, "ICC");
    return 1;
}

static tmsize_t take(thandle_t user, void *out, tmsize_t bytes)
{
    rml_tiff_stream *s = user;
    if (s->file)
        return (tmsize_t)fread(out, 1, (size_t)bytes, s->file);
    const uint64_t left = s->at < s->size ? s->size - s->at : 0;
    const size_t count = (uint64_t)bytes < left ? (size_t)bytes : (size_t)left;
    memcpy(out, s->data + (count ? s->at : 0), count);
    s->at += count;
    return (tmsize_t)count;
}

static tmsize_t give(thandle_t user, void *data, tmsize_t bytes)
{
    rml_tiff_stream *s = user;
    return s->file ? (tmsize_t)fwrite(data, 1, (size_t)bytes, s->file) : 0;
}

static toff_t seek(thandle_t user, toff_t to, int whence)
{
    rml_tiff_stream *s = user;
    if (s->file)
        return fseek(s->file, (long)to, whence) == 0 ? (toff_t)ftell(s->file) : (toff_t)-1;
    s->at = whence == SEEK_SET ? to : whence == SEEK_CUR ? s->at + to : s->size + to;
    return s->at;
}

static toff_t size_of(thandle_t user)
{
    rml_tiff_stream *s = user;
    if (!s->file)
        return s->size;
    const long at = ftell(s->file);
    fseek(s->file, 0, SEEK_END);
    const long size = ftell(s->file);
    fseek(s->file, at, SEEK_SET);
    return (toff_t)size;
}

static int keep_open(thandle_t user)
{
    (void)user;
    return 0;
}

rml_status rml_tiff_stream_open(rml_tiff_stream *s, const char *mode, rml_error *err)
{
    TIFFOpenOptions *options = s->lib->TIFFOpenOptionsAlloc();
    if (!options)
        return rml_fail(err, RML_ERR_NOMEM, "out of memory for libtiff");
    s->lib->TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)RML_TIFF_MOST_BLOCK_BYTES);
    s->lib->TIFFOpenOptionsSetErrorHandlerExtR(options, complain, s);
    s->lib->TIFFOpenOptionsSetWarningHandlerExtR(options, warn, s);
    s->tiff = s->lib->TIFFClientOpenExt("TIFF", mode, s, take, give, seek, keep_open, size_of, NULL,
                                        NULL, options);
    s->lib->TIFFOpenOptionsFree(options);
    if (!s->tiff)
        return rml_fail(err, RML_ERR_FORMAT, "the TIFF is damaged or cut short (%s)", s->text);
    return RML_OK;
}

#endif
