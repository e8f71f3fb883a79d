#include "graph/passes/passes.h"

#include <stdio.h>
#include <string.h>

// The ordered table; NULL past the end.
static const rml_pass *pass_at(size_t index)
{
    static const rml_pass passes[] = {
        {"fold_const", false, rml_pass_fold_const}, {"widen", false, rml_pass_widen},
        {"fold_bn", false, rml_pass_fold_bn},       {"fuse_act", false, rml_pass_fuse_act},
        {"fuse_block", false, rml_pass_fuse_block}, {"dce", false, rml_pass_dce},
        {"twice", false, rml_pass_upsample2x},      {"layout", true, rml_pass_layout},
    };
    return index < sizeof passes / sizeof *passes ? &passes[index] : NULL;
}

static bool name_listed(const char *list, const char *name)
{
    const size_t length = strlen(name);
    while (list && *list) {
        const size_t item = strcspn(list, ",");
        if (item == length && strncmp(list, name, length) == 0)
            return true;
        list += item + (list[item] == ',');
    }
    return false;
}

static rml_status check_names(const char *list, rml_error *err)
{
    while (list && *list) {
        const size_t item = strcspn(list, ",");
        bool known = false;
        for (size_t i = 0; pass_at(i); i++)
            known = known || (strlen(pass_at(i)->name) == item && !pass_at(i)->required &&
                              strncmp(list, pass_at(i)->name, item) == 0);
        if (!known)
            return rml_fail(err, RML_ERR_ARG, "there is no pass \"%.*s\" that can be switched off",
                            (int)item, list);
        list += item + (list[item] == ',');
    }
    return RML_OK;
}

static void log_pass(rml_log_fn log, void *user, const char *name, size_t changed)
{
    char line[80];
    snprintf(line, sizeof line, "pass %s: %zu changes", name, changed);
    log(user, line);
}

rml_status rml_passes_run(rml_graph *graph, const char *disabled, rml_log_fn log, void *log_user,
                          rml_error *err)
{
    RML_TRY(check_names(disabled, err));
    for (rml_graph *inside = graph->inside; inside; inside = inside->next)
        RML_TRY(rml_passes_run(inside, disabled, log, log_user, err));
    for (size_t i = 0; pass_at(i); i++) {
        const rml_pass *pass = pass_at(i);
        size_t changed = 0;
        if (name_listed(disabled, pass->name))
            continue;
        RML_TRY(pass->run(graph, &changed, err));
        const rml_status status = rml_graph_validate(graph, err);
        if (status != RML_OK) {
            rml_error_prefix(err, pass->name);
            return status;
        }
        if (log)
            log_pass(log, log_user, pass->name, changed);
    }
    return RML_OK;
}
