// rml_model_check: which format a file has, and who looks at it.
#include "loaders/check/check.h"

#include "loaders/graph_file.h"
#include "loaders/weights/weights.h"

#include <stdio.h>
#include <string.h>

// ---- reporting ----------------------------------------------------------------------------------

static void report(rml_checker *checker, rml_check_kind kind, rml_check_rule rule,
                   const char *place, const char *format, va_list list)
{
    char whole[RML_PLACE_BYTES + 64];
    rml_error said; // a sentence as all are, on one line
    rml_fail_v(&said, RML_ERR_FORMAT, format, list);
    snprintf(whole, sizeof whole, "%s%s", checker->around, place);
    const rml_check_finding finding = {
        .kind = kind, .place = whole, .text = said.message, .rule = rule};
    checker->faults += kind == RML_CHECK_FAULT;
    checker->report(checker->user, &finding);
}

void rml_check_fault(rml_checker *checker, const char *place, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    report(checker, RML_CHECK_FAULT, RML_CHECK_OTHER_RULE, place, format, list);
    va_end(list);
}

void rml_check_fault_of(rml_checker *checker, rml_check_rule rule, const char *place,
                        const char *format, ...)
{
    va_list list;
    va_start(list, format);
    report(checker, RML_CHECK_FAULT, rule, place, format, list);
    va_end(list);
}

void rml_check_warning(rml_checker *checker, const char *place, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    report(checker, RML_CHECK_WARNING, RML_CHECK_OTHER_RULE, place, format, list);
    va_end(list);
}

void rml_check_note(rml_checker *checker, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    report(checker, RML_CHECK_NOTE, RML_CHECK_OTHER_RULE, "", format, list);
    va_end(list);
}

rml_status rml_check_read(rml_checker *checker, const char *place, rml_status status,
                          const rml_error *why)
{
    if (status == RML_ERR_NOMEM)
        return rml_fail(checker->err, status, "%s", why->message);
    if (status != RML_OK) {
        rml_check_fault(checker, place, "%s", why->message);
        checker->unreadable = true;
    }
    return RML_OK;
}

const char *rml_check_place(char out[RML_PLACE_BYTES], const char *what, const char *name,
                            const char *kind)
{
    char quoted[RML_QUOTE_BYTES], clean[48];
    rml_quote(quoted, name, strlen(name));
    if (*kind)
        snprintf(out, RML_PLACE_BYTES, "%s \"%s\" (%s)", what, quoted,
                 rml_text_clean(clean, sizeof clean, kind, strlen(kind)));
    else
        snprintf(out, RML_PLACE_BYTES, "%s \"%s\"", what, quoted);
    return out;
}

bool rml_check_sizes_agree(const rml_shape *a, const rml_shape *b)
{
    if (a->rank < 0 || b->rank < 0)
        return true;
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] >= 0 && b->dim[i] >= 0 && a->dim[i] != b->dim[i])
            return false;
    return true;
}

// ---- formats ------------------------------------------------------------------------------------

// An ONNX file, or what reading alone tells of others: that their tensors lie inside them.
static rml_status check_other(rml_checker *checker, const char *path, rml_mapfile *map)
{
    rml_onnx *file = NULL;
    rml_weights *weights = NULL;
    rml_error why, other;
    rml_status status = rml_onnx_open_map(&file, path, map, checker->allocator, &why);
    if (status == RML_OK)
        return rml_check_onnx(checker, file);
    if (status == RML_ERR_NOMEM)
        return rml_fail(checker->err, status, "%s", why.message);
    status = rml_weights_open(&weights, path, checker->allocator, &other);
    if (status == RML_OK && rml_weights_is_graph(weights, NULL, NULL))
        status = why.status;
    else if (status == RML_OK)
        rml_check_note(checker,
                       "%s: its tables and tensors lie inside it; there is nothing else that "
                       "a program would stumble over",
                       rml_weights_format(weights));
    rml_weights_close(&weights);
    return rml_check_read(checker, "", status, &why);
}

static rml_status check_file(rml_checker *checker, const char *path)
{
    rml_coreml *file = NULL;
    rml_error why;
    rml_mapfile map;
    bool is_coreml = false;
    RML_TRY(rml_graph_map(&map, &is_coreml, path, checker->err));
    const char *dot = strrchr(path, '.');
    is_coreml = is_coreml || (dot && strcmp(dot, ".mlmodel") == 0); // by its name, if not by more
    if (!is_coreml)
        return check_other(checker, path, &map);
    rml_status status = rml_check_package(checker, path);
    if (status != RML_OK) {
        rml_mapfile_close(&map);
        return status;
    }
    status = rml_coreml_map(&file, path, &map, checker->allocator, &why);
    if (status != RML_OK)
        return rml_check_read(checker, "", status, &why);
    status = file->zip.data ? rml_check_archive(checker, file) : RML_OK;
    if (status == RML_OK)
        status = rml_check_coreml(checker, file, path);
    rml_coreml_close(&file);
    return status;
}

rml_status rml_model_check(const char *path, const rml_allocator *allocator, rml_check_fn report_fn,
                           void *user, size_t *faults, rml_error *err)
{
    rml_checker checker = {.allocator = allocator ? allocator : rml_allocator_default(),
                           .report = report_fn,
                           .user = user,
                           .around = "",
                           .err = err};
    *faults = 0;
    if (!path || !*path || !report_fn)
        return rml_fail(err, RML_ERR_ARG, "a path and a function to report to are wanted");
    const rml_status status = check_file(&checker, path);
    *faults = checker.faults;
    return status;
}
