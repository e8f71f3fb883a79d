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

static rml_status run_pass(rml_graph *graph, const rml_pass *pass, rml_log_fn log, void *log_user,
                           rml_error *err)
{
    size_t changed = 0;
    RML_TRY(pass->run(graph, &changed, err));
    RML_TRY(rml_named(rml_graph_validate(graph, err), err, pass->name));
    if (log)
        log_pass(log, log_user, pass->name, changed);
    return RML_OK;
}

// `round`: the pass in front of all others, or NULL.
static rml_status run_all(rml_graph *graph, const char *disabled, const rml_pass *round,
                          rml_log_fn log, void *log_user, rml_error *err)
{
    static const char joins[] = "widen,fold_bn,fuse_act,fuse_block";
    static const rml_pass inner = {"round_f16", true, rml_pass_round_f16_inside};
    RML_TRY(check_names(disabled, err));
    for (rml_graph *inside = graph->inside; inside; inside = inside->next)
        RML_TRY(run_all(inside, disabled, round ? &inner : NULL, log, log_user, err));
    if (round)
        RML_TRY(run_pass(graph, round, log, log_user, err));
    for (size_t i = 0; pass_at(i); i++)
        if (!name_listed(disabled, pass_at(i)->name) &&
            !(round && name_listed(joins, pass_at(i)->name)))
            RML_TRY(run_pass(graph, pass_at(i), log, log_user, err));
    return RML_OK;
}

rml_status rml_passes_run(rml_graph *graph, const char *disabled, rml_log_fn log, void *log_user,
                          rml_error *err)
{
    return run_all(graph, disabled, NULL, log, log_user, err);
}

rml_status rml_passes_run_rounded(rml_graph *graph, const char *disabled, rml_log_fn log,
                                  void *log_user, rml_error *err)
{
    static const rml_pass round = {"round_f16", true, rml_pass_round_f16};
    return run_all(graph, disabled, &round, log, log_user, err);
}
