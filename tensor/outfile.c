#include "tensor/outfile.h"

#include <errno.h>
#include <string.h>

static rml_status fail_write(const char *path, int reason, rml_error *err)
{
    return rml_fail(err, RML_ERR_IO, "%s: cannot be written: %s", path,
                    rml_errno_text(reason, (char[RML_ERRNO_BYTES]){0}));
}

static void release(rml_outfile *out)
{
    rml_free(out->allocator, out->path);
    rml_free(out->allocator, out->beside);
    *out = (rml_outfile){0};
}

rml_status rml_outfile_open(rml_outfile *out, const char *path, const rml_allocator *allocator,
                            rml_error *err)
{
    static const char ending[] = ".part";
    const size_t length = strlen(path);
    *out = (rml_outfile){.allocator = allocator};
    out->path = rml_alloc_text(allocator, path);
    out->beside = rml_alloc(allocator, length + sizeof ending);
    if (!out->path || !out->beside) {
        release(out);
        return rml_fail_nomem(err, length, "the name of a file");
    }
    memcpy(out->beside, path, length);
    memcpy(out->beside + length, ending, sizeof ending);
    out->file = fopen(out->beside, "wb");
    if (out->file)
        return RML_OK;
    const int reason = errno;
    release(out);
    return fail_write(path, reason, err);
}

void rml_outfile_write(rml_outfile *out, const void *data, size_t bytes)
{
    if (out->reason || bytes == 0)
        return;
    if (fwrite(data, 1, bytes, out->file) != bytes)
        out->reason = errno ? errno : EIO;
    out->bytes += bytes;
}

void rml_outfile_zeros(rml_outfile *out, size_t bytes)
{
    static const char zeros[256];
    for (; bytes > 0 && !out->reason; bytes -= bytes < sizeof zeros ? bytes : sizeof zeros)
        rml_outfile_write(out, zeros, bytes < sizeof zeros ? bytes : sizeof zeros);
}

rml_status rml_outfile_finish(rml_outfile *out, rml_status status, rml_error *err)
{
    if (!out->file)
        return status;
    if (fclose(out->file) != 0 && !out->reason)
        out->reason = errno;
    const bool renamed = status == RML_OK && !out->reason && rename(out->beside, out->path) == 0;
    if (!renamed) {
        const int reason = out->reason ? out->reason : errno;
        remove(out->beside);
        if (status == RML_OK)
            status = fail_write(out->path, reason, err);
    }
    release(out);
    return status;
}
