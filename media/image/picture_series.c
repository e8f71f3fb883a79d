#include "media/image/picture_series.h"

#include "tensor/alloc.h"
#include "tensor/status.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 18, PLAIN_DIGITS = 6 };

// ---- names -------------------------------------------------------------------------------------

// The last part of a path, "prefix%0<digits>d<suffix>".
typedef struct name_pattern {
    const char *prefix, *suffix;
    size_t prefix_length;
    int digits; // at least so many
} name_pattern;

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool parse(name_pattern *out, const char *path)
{
    const char *name = last_part(path), *sign = strchr(name, '%');
    if (!sign || strchr(sign + 1, '%'))
        return false;
    const char *at = sign + 1;
    int digits = 0;
    if (*at == '0') {
        while (isdigit((unsigned char)*at) && digits <= MAX_DIGITS)
            digits = digits * 10 + (*at++ - '0');
        if (digits < 1 || digits > MAX_DIGITS)
            return false;
    }
    *out = (name_pattern){name, at + 1, (size_t)(sign - name), digits ? digits : 1};
    return *at == 'd';
}

static bool is_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file)
        fclose(file);
    return file != NULL;
}

bool rml_names_series(const char *path)
{
    name_pattern pattern;
    return rml_is_folder(path) || (*path && !*last_part(path)) ||
           (parse(&pattern, path) && !is_file(path));
}

rml_status rml_series_folder(char **out, const char *path, const rml_allocator *allocator,
                             rml_error *err)
{
    size_t length = rml_is_folder(path) ? strlen(path) : (size_t)(last_part(path) - path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    RML_TRY(rml_make(allocator, out, 1, length + 2, "a file name", err));
    memcpy(*out, length ? path : ".", length ? length : 1);
    return RML_OK;
}

bool rml_series_name(const char *path, int64_t number, char *name, size_t size)
{
    name_pattern p = {"", ".png", 0, PLAIN_DIGITS};
    if (!rml_is_folder(path))
        (void)parse(&p, path);
    const int length = snprintf(name, size, "%.*s%0*" PRId64 "%s", (int)p.prefix_length, p.prefix,
                                p.digits, number, p.suffix);
    return length > 0 && (size_t)length < size;
}

static bool matches(const name_pattern *p, const char *name)
{
    if (strncmp(name, p->prefix, p->prefix_length) != 0)
        return false;
    const char *at = name + p->prefix_length;
    int digits = 0;
    while (isdigit((unsigned char)at[digits]))
        digits++;
    // More digits than the pattern has are those of a number that needs them.
    const bool written = digits == p->digits || (digits > p->digits && *at != '0');
    return written && strcmp(at + digits, p->suffix) == 0;
}

// Numbers in names are compared by what they are worth.
static int by_number(const void *one, const void *other)
{
    const char *a = *(const char *const *)one, *b = *(const char *const *)other;
    const char *x = a, *y = b;
    while (*x && *y) {
        if (!isdigit((unsigned char)*x) || !isdigit((unsigned char)*y)) {
            if (*x != *y)
                return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
            x++, y++;
            continue;
        }
        x += strspn(x, "0");
        y += strspn(y, "0");
        const size_t m = strspn(x, "0123456789"), n = strspn(y, "0123456789");
        const int order = m != n ? (m < n ? -1 : 1) : memcmp(x, y, m);
        if (order)
            return order;
        x += m;
        y += n;
    }
    return *x || *y ? (*x ? 1 : -1) : strcmp(a, b);
}

// ---- files -------------------------------------------------------------------------------------

static void keep_quiet(void *user, const rml_error *why, bool failed)
{
    (void)user, (void)why, (void)failed;
}

static rml_status take(rml_picture_series *s, const rml_picture_folder *folder, const char *where,
                       const char *path, rml_error *err)
{
    name_pattern pattern;
    const bool named = !rml_is_folder(path) && parse(&pattern, path);
    s->paths = rml_arena_alloc(&s->arena, folder->files.count + 1, sizeof *s->paths);
    if (!s->paths)
        return rml_fail_nomem(err, folder->files.count * sizeof *s->paths, "a list of pictures");
    for (size_t i = 0; i < folder->files.count; i++) {
        const char *name = folder->files.paths[i];
        if (strchr(name, '/') || (named && !matches(&pattern, name)))
            continue;
        if (s->count && folder->kinds[i] != s->kind)
            return rml_fail(err, RML_ERR_FORMAT,
                            "%s: %s is not of the kind that the other pictures are of (%s)", path,
                            name, last_part(s->paths[0]));
        s->kind = folder->kinds[i];
        s->paths[s->count] = rml_path_join(&s->arena, where, name);
        if (!s->paths[s->count++])
            return rml_fail_nomem(err, strlen(name), "a path");
    }
    if (s->count == 0)
        return rml_fail(err, RML_ERR_IO, "%s: %s", path,
                        named ? "no file has such a name" : "there is no picture in the folder");
    qsort(s->paths, s->count, sizeof *s->paths, by_number);
    return RML_OK;
}

rml_status rml_picture_series_list(rml_picture_series *out, const char *path,
                                   const rml_allocator *allocator, rml_error *err)
{
    const rml_folder_rules rules = {.tell = keep_quiet};
    rml_picture_folder folder;
    char *where;
    *out = (rml_picture_series){0};
    RML_TRY(rml_series_folder(&where, path, allocator, err));
    rml_status status = rml_picture_folder_list(&folder, where, &rules, allocator, err);
    if (status == RML_OK) {
        rml_arena_init(&out->arena, allocator);
        status = take(out, &folder, where, path, err);
        rml_picture_folder_release(&folder);
    }
    rml_free(allocator, where);
    if (status != RML_OK)
        rml_picture_series_release(out);
    return status;
}

void rml_picture_series_release(rml_picture_series *series)
{
    rml_arena_release(&series->arena);
    *series = (rml_picture_series){0};
}
