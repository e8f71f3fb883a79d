// run-model check: what the tools of a file's format would stumble over.
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/report.h"

#include <stdio.h>

#define COMMAND "check"

typedef struct output {
    bool json, quiet, first;
} output;

static const char *kind_name(rml_check_kind kind)
{
    return kind == RML_CHECK_FAULT ? "fault" : kind == RML_CHECK_WARNING ? "warning" : "note";
}

static void print_finding(void *user, const rml_check_finding *finding)
{
    output *out = user;
    if (out->json) {
        json_field(out->first ? "{\"kind\":" : ",{\"kind\":", kind_name(finding->kind));
        json_field(",\"place\":", finding->place);
        json_field(",\"text\":", finding->text);
        printf("}");
        out->first = false;
    } else if (finding->kind != RML_CHECK_NOTE || !out->quiet) {
        printf("%s: %s%s%s\n", kind_name(finding->kind), finding->place,
               *finding->place ? ": " : "", finding->text);
    }
}

int cmd_check(int argc, char **argv)
{
    common_options common = {0};
    const char *path = NULL;
    command_line line = {
        .command = COMMAND,
        .usage = "FILE",
        .summary = "Says what the tools of its format would stumble over in a file: Core ML models "
                   "(.mlmodel,\n"
                   ".mlpackage) by all their rules that need no Mac, ONNX files by those of ONNX, "
                   "and weights as\n"
                   "far as reading tells. All faults are listed, each with its place. Exit code 1 "
                   "when there is\n"
                   "one.",
        .positional = &path,
        .positional_max = 1,
        .common = &common,
        .unused = UNUSED_THREADS | UNUSED_CPU | UNUSED_PRECISION | UNUSED_PROFILE,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || common.help)
        return code;
    if (!path)
        return usage_error(COMMAND, "no file is named");
    output out = {common.json, common.quiet, true};
    rml_error err;
    size_t faults = 0;
    if (common.json) {
        json_field("{\"file\":", path);
        printf(",\"findings\":[");
    }
    const rml_status status = rml_model_check(path, NULL, print_finding, &out, &faults, &err);
    if (common.json)
        printf("],\"faults\":%zu}\n", faults);
    return exit_code(COMMAND, status, &err, faults);
}
