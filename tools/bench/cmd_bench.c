// run-model bench: times of a network, one line for each combination of batch and threads.
#include "tools/bench/bench_parts.h"
#include "tools/arrays.h"
#include "tools/commands.h"
#include "tools/find_weights.h"
#include "tools/report.h"

#include <stdlib.h>

#define COMMAND "bench"
#define LIST_MAX 16

// "1,2,4" to numbers from 1 to `max`; the count, or 0 when the text is something else.
static int parse_list(const char *text, int *numbers, int max)
{
    int count = 0;
    for (;;) {
        char *end;
        long number = strtol(text, &end, 10);
        if (end == text || number < 1 || number > max || count == LIST_MAX)
            return 0;
        numbers[count++] = (int)number;
        if (*end == 0)
            return count;
        if (*end != ',')
            return 0;
        text = end + 1;
    }
}

int cmd_bench(int argc, char **argv)
{
    bench_settings s = {.runs = 10, .seconds = 1};
    const char *thread_list = NULL, *batch_list = NULL;
    bool csv = false, markdown = false;
    const option options[] = {
        {"weights", 'w', OPTION_TEXT, &s.weights, "FILE|FOLDER", 0, 0,
         "trained weights; without: random ones of the full network"},
        {"config", 0, OPTION_TEXT, &s.config, "FILE.json|FOLDER", 0, 0,
         "settings of a network whose weights do not tell them"},
        {"function", 0, OPTION_TEXT, &s.function, "NAME", 0, 0,
         "which function of an ML Program to run; without: its\ndefault one"},
        {"batch", 'b', OPTION_TEXT, &batch_list, "N[,N...]", 0, 0,
         "batch sizes (1, or what --shape has)"},
        {"shape", 0, OPTION_LIST, &s.shapes, "NAME=1x3x512x512", 0, 0,
         "shape of an input; may be repeated\n(networks at the size they are used at,\nfree sizes "
         "of files 64)"},
        {"input", 'i', OPTION_LIST, &s.inputs, "NAME=VALUE|FILE.npy", 0, 0,
         "a number for all elements of an input, or an array,\nwhich gives the shape, too; may be "
         "repeated (random\nfloats in [0,1), and zeros in other types)"},
        {"threads", 0, OPTION_TEXT, &thread_list, "N[,N...]", 0, 0,
         "thread counts, one measurement each"},
        {"runs", 0, OPTION_INT, &s.runs, "N", 1, BENCH_RUNS_MAX, "at least so many runs (10)"},
        {"seconds", 0, OPTION_NUMBER, &s.seconds, "S", 0, 3600,
         "and at least so long (1); up to four times as\nlong until the times have settled"},
        {"csv", 0, OPTION_FLAG, &csv, NULL, 0, 0, "one line of values each"},
        {"markdown", 0, OPTION_FLAG, &markdown, NULL, 0, 0, "a table"},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "MODEL|FILE [options]",
        .summary =
            "Loads, plans and runs a network. load_ms: opening to ready; first_ms: the first run;\n"
            "the other times leave the first run out. With --json one object a line.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional = &s.model,
        .positional_max = 1,
        .common = &s.common,
        .rounds = true,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || s.common.help)
        return code;
    const network_names names = {s.model, s.weights, s.config, s.function};
    code = network_check(COMMAND, &names, &s.is_file);
    if (code != EXIT_DONE)
        return code;
    if (csv + markdown + s.common.json > 1)
        return usage_error(COMMAND, "--json, --csv and --markdown exclude each other");
    s.form = s.common.json ? BENCH_JSON : csv ? BENCH_CSV : markdown ? BENCH_MARKDOWN : BENCH_TEXT;
    rml_shape shape;
    for (int i = 0; i < s.shapes.count; i++)
        if (!parse_shape(s.shapes.items[i].value, false, &shape))
            return usage_error(COMMAND, "--shape is NAME=1x3x512x512, not '%s=%s'",
                               s.shapes.items[i].name, s.shapes.items[i].value);
    int threads[LIST_MAX] = {0}, batches[LIST_MAX] = {0};
    int thread_count = 1, batch_count = 1;
    if (thread_list && !(thread_count = parse_list(thread_list, threads, 256)))
        return usage_error(COMMAND, "--threads is a list like 1,2 of up to %d numbers, not '%s'",
                           LIST_MAX, thread_list);
    if (batch_list && !(batch_count = parse_list(batch_list, batches, 4096)))
        return usage_error(COMMAND, "--batch is a list like 1,16 of up to %d numbers, not '%s'",
                           LIST_MAX, batch_list);
    bench_result *result = malloc(sizeof *result);
    rml_error err;
    rml_status status = result ? RML_OK : no_memory(&err, sizeof *result, "the measurements");
    if (status == RML_OK)
        bench_report_head(&s);
    for (int b = 0; status == RML_OK && b < batch_count; b++)
        for (int t = 0; status == RML_OK && t < thread_count; t++)
            status = bench_measure(&s, batches[b], threads[t], result, &err);
    free(result);
    return exit_code(COMMAND, status, &err, 0);
}
