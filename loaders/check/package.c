// Packages: what the manifest must say. The reader takes the root's path alone, and stops at the
// first fault; here every item is looked at.
#include "loaders/check/check.h"
#include "loaders/formats/beside.h"
#include "loaders/formats/json.h"

#include <stdio.h>
#include <string.h>

enum { PATH, NAME, AUTHOR, ABOUT, KEYS };
static const char *const keys[KEYS] = {"path", "name", "author", "description"};

typedef struct manifest {
    char root[RML_QUOTE_BYTES], version[RML_QUOTE_BYTES];
    bool has_root, has_version, found_root;
} manifest;

static void take(char out[RML_QUOTE_BYTES], bool *has, const rml_json_token *token)
{
    *has = true;
    snprintf(out, RML_QUOTE_BYTES, "%.*s", RML_QUOTE_BYTES - 1, token->text);
}

// A package that is looked at: in an archive, or a folder.
typedef struct package {
    const rml_coreml *archive;
    const char *manifest_path; // of a folder's
} package;

static rml_status find(const package *p, const char *path, rml_error *err)
{
    char below[RML_BESIDE_PATH_BYTES], found[RML_BESIDE_PATH_BYTES], quoted[RML_QUOTE_BYTES];
    const int bytes = snprintf(below, sizeof below, "Data/%s", path);
    if (bytes < 0 || (size_t)bytes >= sizeof below)
        return rml_fail(err, RML_ERR_LIMIT, "its path is too long");
    if (!p->archive)
        return rml_beside_find(p->manifest_path, below, (size_t)bytes, found, err);
    rml_quote(quoted, below, (size_t)bytes);
    if (!rml_beside_is_plain(below, (size_t)bytes))
        return rml_fail(err, RML_ERR_FORMAT, "\"%s\" is not a path inside the model's folder",
                        quoted);
    return rml_coreml_has_entry(p->archive, below)
               ? RML_OK
               : rml_fail(err, RML_ERR_FORMAT, "the archive has no \"%s\"", quoted);
}

static rml_status check_path(rml_checker *checker, const char *place, const package *p,
                             const char *path)
{
    rml_error why;
    return rml_check_read(checker, place, find(p, path, &why), &why);
}

static rml_status check_item(rml_checker *checker, rml_json *json, const package *p,
                             const char *item)
{
    rml_json_token token;
    bool seen[KEYS] = {false};
    char place[RML_PLACE_BYTES];
    rml_check_place(place, "manifest item", item, "");
    RML_TRY(rml_json_expect(json, RML_JSON_OBJECT_BEGIN, "an item", &token, checker->err));
    for (;;) {
        int key = 0;
        RML_TRY(rml_json_next(json, &token, checker->err));
        if (token.type == RML_JSON_OBJECT_END)
            break;
        while (key < KEYS && strcmp(token.text, keys[key]) != 0)
            key++;
        RML_TRY(rml_json_next(json, &token, checker->err));
        if (key == KEYS) {
            RML_TRY(rml_json_skip(json, &token, checker->err));
            continue;
        }
        seen[key] = token.type == RML_JSON_TEXT;
        if (!seen[key])
            RML_TRY(rml_json_skip(json, &token, checker->err));
        else if (key == PATH)
            RML_TRY(check_path(checker, place, p, token.text));
    }
    for (int key = 0; key < KEYS; key++)
        if (!seen[key])
            rml_check_fault(checker, place, "it has no text \"%s\"", keys[key]);
    return RML_OK;
}

static rml_status check_items(rml_checker *checker, rml_json *json, const package *p, manifest *m)
{
    rml_json_token token;
    char item[RML_QUOTE_BYTES];
    bool any;
    RML_TRY(rml_json_expect(json, RML_JSON_OBJECT_BEGIN, "itemInfoEntries", &token, checker->err));
    for (;;) {
        RML_TRY(rml_json_next(json, &token, checker->err));
        if (token.type == RML_JSON_OBJECT_END)
            return RML_OK;
        take(item, &any, &token);
        m->found_root = m->found_root || strcmp(item, m->root) == 0;
        RML_TRY(check_item(checker, json, p, item));
    }
}

// Once for the root, which may come last, and once for the items.
static rml_status walk(rml_checker *checker, rml_json *json, const package *p, manifest *m,
                       bool items)
{
    rml_json_token token;
    RML_TRY(rml_json_expect(json, RML_JSON_OBJECT_BEGIN, "a manifest", &token, checker->err));
    for (;;) {
        RML_TRY(rml_json_next(json, &token, checker->err));
        if (token.type == RML_JSON_OBJECT_END)
            return RML_OK;
        const bool is_root = strcmp(token.text, "rootModelIdentifier") == 0;
        const bool is_version = strcmp(token.text, "fileFormatVersion") == 0;
        if (items && strcmp(token.text, "itemInfoEntries") == 0) {
            RML_TRY(check_items(checker, json, p, m));
            continue;
        }
        RML_TRY(rml_json_next(json, &token, checker->err));
        if (token.type == RML_JSON_TEXT && is_root)
            take(m->root, &m->has_root, &token);
        else if (token.type == RML_JSON_TEXT && is_version)
            take(m->version, &m->has_version, &token);
        else
            RML_TRY(rml_json_skip(json, &token, checker->err));
    }
}

static rml_status check_manifest(rml_checker *checker, const package *p, const rml_mapfile *text)
{
    manifest m = {.root = ""};
    rml_status status = RML_OK;
    rml_error why, *before = checker->err;
    checker->err = &why; // what keeps it from being read is a fault
    for (int pass = 0; pass < 2 && status == RML_OK; pass++) {
        rml_json json;
        rml_json_begin(&json, text->data, text->size, checker->allocator);
        status = walk(checker, &json, p, &m, pass == 1);
        rml_json_release(&json);
    }
    checker->err = before;
    if (status != RML_OK)
        return rml_check_read(checker, "manifest", status, &why);
    if (!m.has_version)
        rml_check_fault(checker, "manifest", "it has no fileFormatVersion");
    else if (strcmp(m.version, "1.0.0") != 0)
        rml_check_fault(checker, "manifest", "fileFormatVersion \"%.40s\" is not known, 1.0.0 is",
                        m.version);
    if (!m.has_root)
        rml_check_fault(checker, "manifest", "it has no rootModelIdentifier");
    else if (!m.found_root)
        rml_check_fault(checker, "manifest", "rootModelIdentifier \"%.80s\" is none of its items",
                        m.root);
    return RML_OK;
}

rml_status rml_check_archive(rml_checker *checker, rml_coreml *file)
{
    const package p = {.archive = file};
    rml_mapfile text;
    RML_TRY(rml_coreml_archive_manifest(file, &text, checker->err));
    return check_manifest(checker, &p, &text);
}

rml_status rml_check_package(rml_checker *checker, const char *path)
{
    char manifest_path[RML_BESIDE_PATH_BYTES];
    const package p = {.manifest_path = manifest_path};
    const size_t bytes = strlen(path);
    const bool is_manifest = bytes >= 13 && strcmp(path + bytes - 13, "Manifest.json") == 0;
    rml_mapfile text;
    rml_error why;
    if (!rml_coreml_is_package(path))
        return RML_OK;
    const int written = snprintf(manifest_path, sizeof manifest_path, "%s%s", path,
                                 is_manifest ? "" : "/Manifest.json");
    if (written < 0 || (size_t)written >= sizeof manifest_path)
        return rml_fail(checker->err, RML_ERR_LIMIT, "the path of the package is too long");
    rml_status status = rml_mapfile_open(&text, manifest_path, &why);
    if (status != RML_OK)
        return rml_check_read(checker, "manifest", status, &why);
    status = check_manifest(checker, &p, &text);
    rml_mapfile_close(&text);
    return status;
}
