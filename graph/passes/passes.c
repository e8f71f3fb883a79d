#include "graph/passes/passes.h"
#include "tensor/format.h"

#include <string.h>

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

static rml_status check_names(const rml_pass_list *passes, const char *list, rml_error *err)
{
    while (list && *list) {
        const size_t item = strcspn(list, ",");
        bool known = false;
        for (size_t i = 0; i < passes->count; i++)
            known = known || (strlen(passes->pass[i].name) == item && !passes->pass[i].required &&
                              strncmp(list, passes->pass[i].name, item) == 0);
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
    rml_format(line, sizeof line, "pass %s: %zu changes", name, changed);
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

static rml_status run_all(const rml_pass_list *passes, const rml_pass *round, rml_graph *graph,
                          const char *disabled, rml_log_fn log, void *log_user, rml_error *err)
{
    static const char joins[] = "widen,fold_bn,fuse_act,fuse_block";
    RML_TRY(check_names(passes, disabled, err));
    for (rml_graph *inside = graph->inside; inside; inside = inside->next)
        RML_TRY(run_all(passes, round ? passes->round_inside : NULL, inside, disabled, log,
                        log_user, err));
    if (round)
        RML_TRY(run_pass(graph, round, log, log_user, err));
    for (size_t i = 0; i < passes->count; i++)
        if (!name_listed(disabled, passes->pass[i].name) &&
            !(round && name_listed(joins, passes->pass[i].name)))
            RML_TRY(run_pass(graph, &passes->pass[i], log, log_user, err));
    return RML_OK;
}

rml_status rml_pass_list_run(const rml_pass_list *list, bool rounded, rml_graph *graph,
                             const char *disabled, rml_log_fn log, void *log_user, rml_error *err)
{
    if (rounded && !list->round)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "precision f16-rounded needs a model made by the network's name");
    return run_all(list, rounded ? list->round : NULL, graph, disabled, log, log_user, err);
}
