#include "tools/options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 64
#define COMMON_COUNT 7
#define HELP_COLUMN 34

int usage_error(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "run-model %s: ", command);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    return EXIT_USAGE;
}

int failure(const char *command, const rml_error *err)
{
    fprintf(stderr, "run-model %s: %s\n", command, err->message);
    return EXIT_FAILED;
}

int exit_code(const char *command, rml_status status, const rml_error *err, size_t failed)
{
    return status != RML_OK ? failure(command, err) : failed ? EXIT_FAILED : EXIT_DONE;
}

rml_session_settings session_settings(const common_options *common)
{
    rml_session_settings wanted = rml_session_settings_default();
    wanted.threads = common->threads;
    wanted.cpu = common->cpu;
    wanted.precision = common->precision;
    wanted.profile = common->profile;
    return wanted;
}

rml_model_settings model_settings(const common_options *common)
{
    rml_model_settings wanted = rml_model_settings_default();
    if (common->precision == RML_PRECISION_F16_ROUNDED)
        wanted.precision = common->precision;
    return wanted;
}

const char *option_list_find(const option_list *list, const char *name)
{
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return list->items[i].value;
    return NULL;
}

rml_status no_memory(rml_error *err, size_t bytes, const char *what)
{
    return rml_fail(err, RML_ERR_NOMEM, "out of memory: %zu bytes for %s", bytes, what);
}

// Dashes and underscores are the same, so names are compared with underscores.
static bool normalise(const char *text, size_t length, char *name)
{
    if (length >= NAME_BYTES)
        return false;
    for (size_t i = 0; i < length; i++)
        name[i] = text[i] == '-' ? '_' : text[i];
    name[length] = 0;
    return true;
}

static int edit_distance(const char *a, const char *b)
{
    int row[NAME_BYTES + 1];
    int length = (int)strlen(b);
    for (int j = 0; j <= length; j++)
        row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= length; j++) {
            int substitute = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            int best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = best < substitute ? best : substitute;
        }
    }
    return row[length];
}

// By name, or by letter where the name is "".
static const option *find(const option *table, int count, const char *name, char letter)
{
    for (int i = 0; i < count; i++)
        if (*name ? strcmp(table[i].name, name) == 0 : letter && table[i].letter == letter)
            return &table[i];
    return NULL;
}

static bool parse_switch(const char *text, bool *value)
{
    static const char *const words[] = {"false", "0", "no", "true", "1", "yes"};
    for (int i = 0; i < 6; i++) {
        size_t k = 0;
        while (words[i][k] && tolower((unsigned char)text[k]) == words[i][k])
            k++;
        if (!words[i][k] && !text[k]) {
            *value = i >= 3;
            return true;
        }
    }
    return false;
}

static bool parse_int(const char *text, int *value)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (end == text || *end || errno || number < INT_MIN || number > INT_MAX)
        return false;
    *value = (int)number;
    return true;
}

static bool parse_number(const char *text, double *value)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end || !isfinite(number))
        return false;
    *value = number;
    return true;
}

static int out_of_bounds(const command_line *line, const option *o, double value)
{
    if ((o->min == 0 && o->max == 0) || (value >= o->min && value <= o->max))
        return EXIT_DONE;
    return usage_error(line->command, "--%s must be from %.10g to %.10g, not %.10g", o->name,
                       o->min, o->max, value);
}

// NAME=VALUE is cut where it lies.
static int add_named(const command_line *line, const option *o, char *text)
{
    option_list *list = o->target;
    char *equals = strchr(text, '=');
    if (list->count == OPTION_LIST_MAX)
        return usage_error(line->command, "--%s is given more than %d times", o->name,
                           OPTION_LIST_MAX);
    if (!*text || (equals ? equals == text || !equals[1] : o->kind == OPTION_LIST))
        return usage_error(line->command, "--%s is %s, not '%s'", o->name, o->value, text);
    if (equals)
        *equals = 0;
    list->items[list->count].name = equals ? text : NULL;
    list->items[list->count++].value = equals ? equals + 1 : text;
    return EXIT_DONE;
}

// Stores one option's value(s). `inline_value` is the text after '=', or NULL; *at is the index of
// the argument that held the name, moved on past the values taken.
static int store(const command_line *line, const option *o, char *inline_value, int *at, int argc,
                 char **argv)
{
    if (o->kind == OPTION_FLAG) {
        if (inline_value)
            return usage_error(line->command, "--%s takes no value", o->name);
        *(bool *)o->target = true;
        return EXIT_DONE;
    }
    if (o->kind == OPTION_SWITCH) {
        option_switch *target = o->target;
        *target = (option_switch){.given = true, .value = true};
        if (inline_value)
            return parse_switch(inline_value, &target->value)
                       ? EXIT_DONE
                       : usage_error(line->command, "--%s is true or false, not '%s'", o->name,
                                     inline_value);
        if (*at + 1 < argc && parse_switch(argv[*at + 1], &target->value))
            (*at)++;
        return EXIT_DONE;
    }
    if (o->kind == OPTION_FOUR) {
        int *target = o->target;
        if (inline_value || *at + 4 >= argc)
            return usage_error(line->command, "--%s takes four whole numbers: %s", o->name,
                               o->value);
        for (int i = 0; i < 4; i++)
            if (!parse_int(argv[++*at], &target[i]))
                return usage_error(line->command, "--%s takes four whole numbers (%s), not '%s'",
                                   o->name, o->value, argv[*at]);
        return EXIT_DONE;
    }

    char *text = inline_value;
    if (!text) {
        if (*at + 1 >= argc)
            return usage_error(line->command, "--%s needs a value: %s", o->name, o->value);
        text = argv[++*at];
    }
    if (o->kind == OPTION_TEXT) {
        if (!*text)
            return usage_error(line->command, "--%s is empty", o->name);
        *(const char **)o->target = text;
        return EXIT_DONE;
    }
    if (o->kind == OPTION_LIST || o->kind == OPTION_VALUES)
        return add_named(line, o, text);
    if (o->kind == OPTION_INT) {
        if (!parse_int(text, o->target))
            return usage_error(line->command, "--%s is a whole number, not '%s'", o->name, text);
        return out_of_bounds(line, o, *(int *)o->target);
    }
    if (!parse_number(text, o->target))
        return usage_error(line->command, "--%s is a number, not '%s'", o->name, text);
    return out_of_bounds(line, o, *(double *)o->target);
}

static void print_options(const option *table, int count)
{
    for (int i = 0; i < count; i++) {
        const option *o = &table[i];
        int used =
            o->letter ? printf("  -%c, --%s", o->letter, o->name) : printf("  --%s", o->name);
        if (o->value)
            used += printf(" %s", o->value);
        if (used >= HELP_COLUMN - 1) {
            printf("\n");
            used = 0;
        }
        printf("%*s", HELP_COLUMN - used, "");
        for (const char *text = o->help; *text; text++) {
            putchar(*text);
            if (*text == '\n')
                printf("%*s", HELP_COLUMN, "");
        }
        printf("\n");
    }
}

static void print_help(const command_line *line, const option *common)
{
    printf("run-model %s%s%s\n\n%s\n", line->command, *line->usage ? " " : "", line->usage,
           line->summary);
    if (line->option_count) {
        printf("\nOptions (dashes and underscores are the same):\n");
        print_options(line->options, line->option_count);
    }
    printf("\nOptions of all commands:\n");
    for (int i = 0; i < COMMON_COUNT; i++)
        if (!find(line->options, line->option_count, common[i].name, 0))
            print_options(&common[i], 1);
}

static int unknown_option(const command_line *line, const option *common, const char *name)
{
    const char *nearest = NULL;
    int best = 4;
    for (int i = 0; i < line->option_count + COMMON_COUNT; i++) {
        const option *o =
            i < line->option_count ? &line->options[i] : &common[i - line->option_count];
        int distance = edit_distance(name, o->name);
        if (distance < best) {
            best = distance;
            nearest = o->name;
        }
    }
    if (nearest)
        return usage_error(line->command, "there is no option --%s; did you mean --%s?", name,
                           nearest);
    return usage_error(line->command,
                       "there is no option --%s; run-model %s --help lists what there is", name,
                       line->command);
}

int options_parse(command_line *line, int argc, char **argv)
{
    const char *cpu = NULL, *precision = NULL;
    common_options *c = line->common;
    static const char *const nothing = "taken as by every command; changes nothing here";
    const bool rounds = line->rounds;
    const int unused = line->unused;
    const option common[COMMON_COUNT] = {
        {"threads", 0, OPTION_INT, &c->threads, "N", 0, 256,
         unused & UNUSED_THREADS ? nothing : "threads; 0 or not given: as many as are allowed"},
        {"cpu", 0, OPTION_TEXT, &cpu, "LEVEL", 0, 0,
         unused & UNUSED_CPU ? nothing : "portable, avx2, avx512 or neon: use no more than this"},
        {"precision", 0, OPTION_TEXT, &precision, "P", 0, 0,
         unused & UNUSED_PRECISION ? nothing
         : rounds ? "f32, bf16 for products where the CPU has it, or f16-rounded:\n"
                    "every result rounded to f16, as a device may"
                  : "f32, or bf16 for products where the CPU has it"},
        {"profile", 0, OPTION_FLAG, &c->profile, NULL, 0, 0,
         unused & UNUSED_PROFILE ? nothing : "say where the time went"},
        {"quiet", 0, OPTION_FLAG, &c->quiet, NULL, 0, 0, "no progress and no remarks, only errors"},
        {"json", 0, OPTION_FLAG, &c->json, NULL, 0, 0, "the result as JSON on standard output"},
        {"help", 'h', OPTION_FLAG, &c->help, NULL, 0, 0, "this text"},
    };
    line->positional_count = 0;
    bool only_positional = false;
    for (int i = 1; i < argc; i++) {
        char *arg = argv[i];
        if (strcmp(arg, "--") == 0 && !only_positional) {
            only_positional = true;
            continue;
        }
        bool is_long = strncmp(arg, "--", 2) == 0;
        bool is_short = arg[0] == '-' && isalpha((unsigned char)arg[1]) && !arg[2];
        if (only_positional || (!is_long && !is_short)) {
            const int at = line->positional_count++;
            if (line->any_number)
                argv[1 + at] = arg; // which has been read
            else if (at < line->positional_max)
                line->positional[at] = arg;
            else
                return usage_error(line->command, "unexpected '%s'", arg);
            continue;
        }
        char *value = NULL;
        char name[NAME_BYTES] = {0};
        if (is_long) {
            char *equals = strchr(arg, '=');
            value = equals ? equals + 1 : NULL;
            if (!normalise(arg + 2, equals ? (size_t)(equals - arg - 2) : strlen(arg + 2), name))
                return usage_error(line->command, "there is no option '%s'", arg);
        }
        const char letter = is_long ? 0 : arg[1];
        const option *o = find(line->options, line->option_count, name, letter);
        if (!o)
            o = find(common, COMMON_COUNT, name, letter);
        if (!o)
            return unknown_option(line, common, is_long ? name : (char[]){letter, 0});
        int status = store(line, o, value, &i, argc, argv);
        if (status != EXIT_DONE)
            return status;
        if (c->help) {
            print_help(line, common);
            return EXIT_DONE;
        }
    }
    if (cpu && !rml_cpu_level_parse(cpu, &c->cpu))
        return usage_error(line->command, "--cpu is portable, avx2, avx512 or neon, not '%s'", cpu);
    if (precision && strcmp(precision, "fp32") == 0)
        precision = "f32";
    if (precision && !rml_precision_parse(precision, &c->precision))
        return usage_error(line->command, "--precision is f32%s, not '%s'",
                           line->rounds ? ", bf16 or f16-rounded" : " or bf16", precision);
    if (c->precision == RML_PRECISION_F16_ROUNDED && !line->rounds)
        return usage_error(line->command, "--precision f16-rounded is for exec, compare and bench, "
                                          "which run one network and show what it gives");
    return EXIT_DONE;
}
