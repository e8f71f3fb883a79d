// rml_model_check: which format a file has, and who looks at it.
#include "loaders/check/check.h"

#include "loaders/graph_file.h"
#include "loaders/model_file.h"
#include "loaders/weights/weights.h"

#include <stdio.h>
#include <string.h>

// ---- reporting ----------------------------------------------------------------------------------

static void report(rml_checker *checker, rml_check_kind kind, const char *place, const char *format,
                   va_list list)
{
    char whole[RML_PLACE_BYTES + 64];
    rml_error said; // a sentence as all are, on one line
    rml_fail_v(&said, RML_ERR_FORMAT, format, list);
    snprintf(whole, sizeof whole, "%s%s", checker->around, place);
    const rml_check_finding finding = {.kind = kind, .place = whole, .text = said.message};
    checker->faults += kind == RML_CHECK_FAULT;
    checker->report(checker->user, &finding);
}

void rml_check_fault(rml_checker *checker, const char *place, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    report(checker, RML_CHECK_FAULT, place, format, list);
    va_end(list);
}

void rml_check_warning(rml_checker *checker, const char *place, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    report(checker, RML_CHECK_WARNING, place, format, list);
    va_end(list);
}

void rml_check_note(rml_checker *checker, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    report(checker, RML_CHECK_NOTE, "", format, list);
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

// ---- formats ------------------------------------------------------------------------------------

// What reading alone tells: of an ONNX file that it is whole and has an order in which it runs, of
// others that their tensors lie inside them.
static rml_status check_other(rml_checker *checker, const char *path)
{
    rml_graph_file *graph = NULL;
    rml_model *model = NULL;
    rml_model_settings settings = rml_model_settings_default();
    rml_error why;
    settings.allocator = checker->allocator;
    rml_status status = rml_graph_file_open(&graph, path, checker->allocator, &why);
    if (status == RML_ERR_NOMEM)
        return rml_fail(checker->err, status, "%s", why.message);
    if (status != RML_OK) {
        rml_weights *weights = NULL;
        rml_error other;
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
    const rml_graph_summary summary = rml_graph_file_summary(graph);
    for (size_t i = 0; i < summary.opsets; i++) {
        const rml_graph_opset opset = rml_graph_file_opset(graph, i);
        rml_check_note(checker, "ONNX, IR version %lld, operator set %s%s%lld",
                       (long long)summary.format_version, opset.domain, *opset.domain ? " " : "",
                       (long long)opset.version);
    }
    rml_graph_file_close(&graph);
    status = rml_model_open(&model, path, &settings, &why);
    rml_model_destroy(&model);
    if (status == RML_ERR_UNSUPPORTED) {
        rml_check_note(checker, "types and shapes of its results are not looked at: %s",
                       why.message);
        return RML_OK;
    }
    RML_TRY(rml_check_read(checker, "", status, &why));
    rml_check_note(checker,
                   "names, the order of nodes, attributes, types and shapes are looked at; "
                   "onnx.checker knows rules of its own beside them");
    return RML_OK;
}

static rml_status check_file(rml_checker *checker, const char *path)
{
    rml_coreml *file = NULL;
    rml_error why;
    bool is_coreml = false;
    RML_TRY(rml_is_coreml(path, &is_coreml, checker->err));
    const char *dot = strrchr(path, '.');
    is_coreml = is_coreml || (dot && strcmp(dot, ".mlmodel") == 0); // by its name, if not by more
    if (!is_coreml)
        return check_other(checker, path);
    RML_TRY(rml_check_package(checker, path));
    rml_status status = rml_coreml_map(&file, path, checker->allocator, &why);
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
    rml_free(checker.allocator, checker.ranges);
    *faults = checker.faults;
    return status;
}
