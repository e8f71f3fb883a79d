#define _POSIX_C_SOURCE 200809L
#include "media/files/spool.h"

#include "tensor/status.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 1 << 16,
    WAIT_MS = 100, // between two questions whether to go on
};

static rml_status fail_io(const rml_spool *spool, const char *what, rml_error *err)
{
    return rml_fail(err, RML_ERR_IO, "%s: %s: %s", spool->name, what,
                    rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
}

static rml_status fail_keep(const rml_spool *spool, const char *folder, rml_error *err)
{
    return rml_fail(err, RML_ERR_IO,
                    "%s: is a pipe, and what comes out of it cannot be kept in "
                    "%s: %s",
                    spool->name, folder, rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
}

// A file to which only its descriptor leads.
static rml_status make_file(rml_spool *spool, const char *folder, rml_error *err)
{
    char name[PATH_MAX];
    const int length = snprintf(name, sizeof name, "%s/run-model.XXXXXX", folder);
    errno = ENAMETOOLONG;
    spool->file = length > 0 && length < (int)sizeof name ? mkstemp(name) : -1;
    if (spool->file < 0)
        return fail_keep(spool, folder, err);
    unlink(name);
    snprintf(spool->path, sizeof spool->path, "/proc/self/fd/%d", spool->file);
    return RML_OK;
}

rml_status rml_spool_open(rml_spool *spool, const char *name, const rml_spool_settings *settings,
                          rml_error *err)
{
    struct stat info;
    *spool = (rml_spool){.name = name, .file = -1, .pipe = -1};
    if (stat(name, &info) != 0 || !S_ISFIFO(info.st_mode))
        return RML_OK;
    spool->pipe = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    rml_status status = spool->pipe < 0 ? fail_io(spool, "cannot be opened", err)
                                        : make_file(spool, settings->folder, err);
    if (status != RML_OK)
        rml_spool_close(spool);
    return status;
}

static rml_status keep(rml_spool *spool, const char *data, size_t bytes, const char *folder,
                       rml_error *err)
{
    spool->bytes += (int64_t)bytes;
    if (spool->bytes > RML_SPOOL_MAX_BYTES)
        return rml_fail(err, RML_ERR_LIMIT, "%s: more than %lld bytes come out of the pipe",
                        spool->name, (long long)RML_SPOOL_MAX_BYTES);
    while (bytes > 0) {
        const ssize_t written = write(spool->file, data, bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return fail_keep(spool, folder, err);
        data += written;
        bytes -= (size_t)written;
    }
    return RML_OK;
}

// Takes what is there, or notes the end.
static rml_status take(rml_spool *spool, const char *folder, rml_error *err)
{
    char block[BLOCK_BYTES];
    const ssize_t count = read(spool->pipe, block, sizeof block);
    if (count > 0)
        return keep(spool, block, (size_t)count, folder, err);
    if (count < 0)
        return errno == EINTR || errno == EAGAIN ? RML_OK : fail_io(spool, "cannot be read", err);
    close(spool->pipe);
    spool->pipe = -1;
    return spool->bytes > 0
               ? RML_OK
               : rml_fail(err, RML_ERR_FORMAT, "%s: nothing comes out of the pipe", spool->name);
}

rml_status rml_spool_fill(rml_spool *const *spools, int count, const rml_spool_settings *settings,
                          rml_error *err)
{
    for (;;) {
        struct pollfd waits[RML_SPOOL_MAX_COUNT];
        const rml_spool *open_one = NULL;
        for (int i = 0; i < count; i++) {
            waits[i] = (struct pollfd){.fd = spools[i]->pipe, .events = POLLIN};
            open_one = spools[i]->pipe >= 0 ? spools[i] : open_one;
        }
        if (!open_one)
            return RML_OK;
        // A read that waits in the kernel would not see a signal that came just before it. That
        // there has been no writer yet is nothing that poll reports.
        if (settings->cancelled && settings->cancelled(settings->user))
            return rml_fail(err, RML_ERR_IO, "%s: stopped before its end", open_one->name);
        const int ready = poll(waits, (nfds_t)count, WAIT_MS);
        if (ready < 0 && errno != EINTR && errno != EAGAIN)
            return fail_io(open_one, "cannot be waited for", err);
        for (int i = 0; ready > 0 && i < count; i++)
            if (waits[i].fd >= 0 && waits[i].revents)
                RML_TRY(take(spools[i], settings->folder, err));
    }
}

const char *rml_spool_path(const rml_spool *spool)
{
    return *spool->path ? spool->path : spool->name;
}

void rml_spool_explain(const rml_spool *spool, rml_error *err)
{
    const size_t length = strlen(spool->path);
    const char *at = err && length ? strstr(err->message, spool->path) : NULL;
    if (!at || isdigit((unsigned char)at[length])) // of another spool
        return;
    const rml_error old = *err;
    const int before = (int)(at - err->message);
    rml_fail(err, old.status, "%.*s%s%s", before, old.message, spool->name,
             old.message + before + length);
}

void rml_spool_close(rml_spool *spool)
{
    if (!spool->name)
        return;
    if (spool->pipe >= 0)
        close(spool->pipe);
    if (spool->file >= 0)
        close(spool->file);
    *spool = (rml_spool){0};
}
