#define _POSIX_C_SOURCE 200809L
#include "media/files/c2pa.h"

#include "media/files/c2pa_library.h"
#include "tensor/alloc.h"
#include "tensor/mapfile.h"
#include "tensor/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PEM_MAX_BYTES ((size_t)1 << 20)
#define REASON_BYTES 240

struct rml_c2pa {
    const rml_allocator *allocator;
    rml_c2pa_library library;
    rml_c2pa_key *key;
    const char *certificates; // the file, for messages; of the caller
    const char *format;       // of the result
};

// ---- formats and keys --------------------------------------------------------------------------

static const char *format_of(const char *path)
{
    static const char *const formats[][2] = {{".mp4", "video/mp4"},
                                             {".m4v", "video/x-m4v"},
                                             {".mov", "video/quicktime"},
                                             {".avi", "avi"}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof formats / sizeof *formats; i++)
        if (strcasecmp(dot, formats[i][0]) == 0)
            return formats[i][1];
    return NULL;
}

// The file as text, which a file that is read may not end as.
static rml_status read_text(char **out, const char *path, const rml_allocator *allocator,
                            rml_error *err)
{
    rml_mapfile file;
    RML_TRY(rml_mapfile_open(&file, path, err));
    rml_status status = RML_OK;
    if (file.size > PEM_MAX_BYTES || (file.size && memchr(file.data, 0, file.size)))
        status = rml_fail(err, RML_ERR_FORMAT, "%s: is no text in PEM", path);
    else if (!(*out = rml_alloc_zero(allocator, file.size + 1, 1)))
        status = rml_fail_nomem(err, file.size + 1, "a certificate");
    else if (file.size)
        memcpy(*out, file.data, file.size);
    rml_mapfile_close(&file);
    return status;
}

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

// What base64 from `text` on says, up to a character that is none of it, into the same bytes or
// others; returns how many.
static size_t decode(const char *text, uint8_t *to)
{
    uint32_t bits = 0;
    size_t count = 0;
    for (int filled = 0; *text && *text != '-' && *text != '='; text++) {
        const int digit = digit_of(*text);
        if (digit < 0)
            continue; // ends of lines
        bits = bits << 6 | (uint32_t)digit;
        filled += 6;
        if (filled >= 8) {
            filled -= 8;
            to[count++] = (uint8_t)(bits >> filled);
        }
    }
    return count;
}

static bool holds(const uint8_t *bytes, size_t count, const char *piece)
{
    const size_t length = strlen(piece);
    for (size_t i = 0; i + length <= count; i++)
        if (memcmp(bytes + i, piece, length) == 0)
            return true;
    return false;
}

// The algorithm that a private key signs by, from the identifiers (DER) of its kind and curve.
static rml_status find_algorithm(const char **out, const char *key, const char *path,
                                 const rml_allocator *allocator, rml_error *err)
{
    static const struct {
        const char *identifier, *name;
    } kinds[] = {{"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", "ps256"},
                 {"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", "ps256"},
                 {"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", "es256"},
                 {"\x06\x05\x2b\x81\x04\x00\x22", "es384"},
                 {"\x06\x05\x2b\x81\x04\x00\x23", "es512"},
                 {"\x06\x03\x2b\x65\x70", "ed25519"}};
    const char *begin = strstr(key, "PRIVATE KEY-----");
    *out = NULL;
    if (!begin)
        return rml_fail(err, RML_ERR_FORMAT, "%s: holds no private key in PEM", path);
    if (strstr(key, "ENCRYPTED"))
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: is an encrypted key, and none is asked for",
                        path);
    if (begin - key >= 4 && strncmp(begin - 4, "RSA ", 4) == 0) {
        *out = "ps256";
        return RML_OK;
    }
    uint8_t *bytes = rml_alloc(allocator, strlen(begin) + 1);
    if (!bytes)
        return rml_fail_nomem(err, strlen(begin) + 1, "a key");
    const size_t count = decode(begin + strlen("PRIVATE KEY-----"), bytes);
    for (size_t i = 0; !*out && i < sizeof kinds / sizeof *kinds; i++)
        if (holds(bytes, count, kinds[i].identifier))
            *out = kinds[i].name;
    memset(bytes, 0, strlen(begin) + 1);
    rml_free(allocator, bytes);
    return *out ? RML_OK
                : rml_fail(err, RML_ERR_UNSUPPORTED,
                           "%s: is a key of another kind than RSA, P-256, P-384, P-521 or Ed25519",
                           path);
}

// ---- the library -------------------------------------------------------------------------------

// With the reason that the library gives, as one line.
static rml_status refused(const rml_c2pa *c, const char *path, rml_error *err)
{
    char *why = c->library.c2pa_error();
    char line[REASON_BYTES] = "";
    size_t length = 0;
    for (const char *at = why; at && *at && length + 1 < sizeof line; at++) {
        const bool gap = (unsigned char)*at <= ' ';
        if (!gap || (length && line[length - 1] != ' '))
            line[length++] = gap ? ' ' : *at;
    }
    if (why)
        c->library.c2pa_string_free(why);
    return rml_fail(err, RML_ERR_FORMAT, "%s: cannot be signed with %s: %s", path, c->certificates,
                    line);
}

static intptr_t on_read(void *user, uint8_t *data, intptr_t count)
{
    ssize_t got;
    do
        got = read(*(const int *)user, data, (size_t)count);
    while (got < 0 && errno == EINTR);
    return got;
}

static intptr_t on_seek(void *user, intptr_t by, int whence)
{
    return lseek(*(const int *)user, by, whence); // whence is SEEK_SET, _CUR, _END as here
}

static intptr_t on_write(void *user, const uint8_t *data, intptr_t count)
{
    ssize_t put;
    do
        put = write(*(const int *)user, data, (size_t)count);
    while (put < 0 && errno == EINTR);
    return put;
}

static intptr_t on_flush(void *user)
{
    (void)user;
    return 0;
}

// From one open file into the other.
static rml_status sign(const rml_c2pa *c, const char *manifest, const char *format, int source,
                       int result, const char *path, rml_error *err)
{
    const rml_c2pa_library *l = &c->library;
    rml_c2pa_stream *from = l->c2pa_create_stream(&source, on_read, on_seek, on_write, on_flush);
    rml_c2pa_stream *to = l->c2pa_create_stream(&result, on_read, on_seek, on_write, on_flush);
    rml_c2pa_builder *builder = from && to ? l->c2pa_builder_from_json(manifest) : NULL;
    const unsigned char *bytes = NULL; // of the manifest, which the library wants to give
    rml_status status = RML_OK;
    if (!builder || l->c2pa_builder_sign(builder, format, from, to, c->key, &bytes) < 0)
        status = refused(c, path, err);
    if (bytes)
        l->c2pa_manifest_bytes_free(bytes);
    if (builder)
        l->c2pa_builder_free(builder);
    if (from)
        l->c2pa_release_stream(from);
    if (to)
        l->c2pa_release_stream(to);
    return status;
}

// A gray picture of one pixel (PNG).
static const uint8_t pixel[] = {0x89, 'P', 'N',  'G',  '\r', '\n', 0x1a, '\n', 0,    0, 0, 13,
                                'I',  'H', 'D',  'R',  0,    0,    0,    1,    0,    0, 0, 1,
                                8,    0,   0,    0,    0,    0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0,
                                10,   'I', 'D',  'A',  'T',  0x78, 0x9c, 0x63, 0x68, 0, 0, 0,
                                0x82, 0,   0x81, 0x77, 0xcd, 0x72, 0xb6, 0,    0,    0, 0, 'I',
                                'E',  'N', 'D',  0xae, 0x42, 0x60, 0x82};

static rml_status try_it(const rml_c2pa *c, const char *path, rml_error *err)
{
    static const char manifest[] =
        "{\"claim_generator_info\":[{\"name\":\"run-model\"}],\"assertions\":[{\"label\":"
        "\"c2pa.actions\",\"data\":{\"actions\":[{\"action\":\"c2pa.created\","
        "\"digitalSourceType\":"
        "\"http://cv.iptc.org/newscodes/digitalsourcetype/digitalCreation\"}]}}]}";
    FILE *source = tmpfile(), *result = tmpfile();
    rml_status status = RML_ERR_IO;
    if (!source || !result || fwrite(pixel, 1, sizeof pixel, source) != sizeof pixel ||
        fflush(source) != 0 || lseek(fileno(source), 0, SEEK_SET) != 0)
        rml_fail(err, RML_ERR_IO, "C2PA: a temporary file cannot be written: %s",
                 rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    else
        status = sign(c, manifest, "image/png", fileno(source), fileno(result), path, err);
    if (source)
        fclose(source);
    if (result)
        fclose(result);
    return status;
}

// ---- the whole ---------------------------------------------------------------------------------

static rml_status make_key(rml_c2pa *c, const rml_c2pa_settings *settings, const char *result,
                           rml_error *err)
{
    char *certificates = NULL, *key = NULL;
    rml_c2pa_key_info info = {0};
    rml_status status = read_text(&certificates, settings->certificates, c->allocator, err);
    if (status == RML_OK && !strstr(certificates, "-----BEGIN CERTIFICATE-----"))
        status = rml_fail(err, RML_ERR_FORMAT, "%s: holds no certificate in PEM",
                          settings->certificates);
    if (status == RML_OK)
        status = read_text(&key, settings->key, c->allocator, err);
    if (status == RML_OK)
        status = find_algorithm(&info.algorithm, key, settings->key, c->allocator, err);
    if (status == RML_OK) {
        info.certificates = certificates;
        info.private_key = key;
        c->key = c->library.c2pa_signer_from_info(&info);
        if (!c->key)
            status = refused(c, result, err);
    }
    if (key)
        memset(key, 0, strlen(key));
    rml_free(c->allocator, key);
    rml_free(c->allocator, certificates);
    return status;
}

rml_status rml_c2pa_open(rml_c2pa **out, const rml_c2pa_settings *settings, const char *result,
                         const rml_allocator *allocator, rml_error *err)
{
    rml_c2pa *c;
    *out = NULL;
    RML_TRY(rml_make(allocator, &c, 1, sizeof *c, "what signs the result", err));
    c->allocator = allocator;
    c->certificates = settings->certificates;
    c->format = format_of(result);
    rml_status status =
        c->format ? rml_c2pa_library_load(&c->library, settings->library, err)
                  : rml_fail(err, RML_ERR_UNSUPPORTED,
                             "%s: C2PA signs .mp4, .m4v, .mov and .avi, not this format", result);
    if (status == RML_OK)
        status = make_key(c, settings, result, err);
    if (status == RML_OK)
        status = try_it(c, result, err);
    if (status != RML_OK)
        rml_c2pa_close(&c);
    *out = c;
    return status;
}

void rml_c2pa_close(rml_c2pa **c2pa)
{
    rml_c2pa *c = *c2pa;
    *c2pa = NULL;
    if (!c)
        return;
    if (c->key)
        c->library.c2pa_signer_free(c->key);
    rml_free(c->allocator, c);
}

rml_status rml_c2pa_sign(rml_c2pa *c, const char *manifest, const char *source, const char *result,
                         rml_error *err)
{
    const int from = open(source, O_RDONLY | O_CLOEXEC);
    const int to = from < 0 ? -1 : open(result, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    rml_status status = RML_ERR_IO;
    if (to < 0)
        rml_fail(err, RML_ERR_IO, "%s: cannot be %s: %s", from < 0 ? source : result,
                 from < 0 ? "opened" : "created",
                 rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    else
        status = sign(c, manifest, c->format, from, to, result, err);
    if (from >= 0)
        close(from);
    if (to >= 0 && close(to) != 0 && status == RML_OK)
        status = rml_fail(err, RML_ERR_IO, "%s: cannot be written: %s", result,
                          rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    if (to >= 0 && status != RML_OK)
        remove(result);
    return status;
}
