// One table-driven command-line parser for all subcommands.
//
// `--name value`, `--name=value`; dashes and underscores in names are the same. A subcommand gives
// a table of options with the addresses to fill; the options of all subcommands are in `common`.
#ifndef RML_TOOLS_OPTIONS_H
#define RML_TOOLS_OPTIONS_H

#include "runmodel.h"

#define EXIT_DONE 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

#define OPTION_LIST_MAX 1024 // a language model's cache has two inputs and two outputs a layer

// Only where nothing needs freeing.
#define TRY(call)                                                                                  \
    do {                                                                                           \
        const rml_status try_status = (call);                                                      \
        if (try_status != RML_OK)                                                                  \
            return try_status;                                                                     \
    } while (0)

// NAME=VALUE of an option that may be repeated, or VALUE alone (name NULL) where it may lack the
// name. The texts belong to argv.
typedef struct option_list {
    struct {
        const char *name, *value;
    } items[OPTION_LIST_MAX];
    int count;
} option_list;

// The value of a name, or NULL.
const char *option_list_find(const option_list *list, const char *name);

// An option that stands alone or with one of true false 1 0 yes no.
typedef struct option_switch {
    bool given, value;
} option_switch;

typedef enum option_kind {
    OPTION_FLAG,   // bool, no value
    OPTION_SWITCH, // option_switch
    OPTION_TEXT,   // const char *
    OPTION_INT,    // int, within min..max
    OPTION_NUMBER, // double, within min..max
    OPTION_FOUR,   // int[4], four values after the name
    OPTION_LIST,   // option_list, NAME=VALUE each time
    OPTION_VALUES  // option_list, VALUE or NAME=VALUE each time
} option_kind;

typedef struct option {
    const char *name; // with underscores, without the two dashes
    char letter;      // one-letter form, or 0
    option_kind kind;
    void *target;
    const char *value; // what the help shows after the name: "FILE"
    double min, max;   // of OPTION_INT and OPTION_NUMBER; both 0: no bound
    const char *help;
} option;

typedef struct common_options {
    int threads; // 0: as many as fit
    rml_cpu_level cpu;
    rml_precision precision;
    bool profile, quiet, json, help;
} common_options;

// Options of all commands that change nothing in this one: what is written for one command can be
// given to all.
enum {
    UNUSED_THREADS = 1,
    UNUSED_CPU = 2,
    UNUSED_PRECISION = 4,
    UNUSED_PROFILE = 8,
};

typedef struct command_line {
    const char *command;   // "wav2lip"
    const char *usage;     // what follows the command in the first line of the help
    const char *summary;   // a sentence or two
    const option *options; // of this command
    int option_count;
    // Room for positional arguments, or NULL when there are none. Those of a command that takes any
    // number lie in argv[1] and behind it.
    const char **positional;
    int positional_max;
    bool any_number;
    int positional_count; // out
    common_options *common;
    bool rounds; // it takes --precision f16-rounded
    int unused;  // UNUSED_...
} command_line;

// Returns EXIT_DONE, or EXIT_USAGE after saying on stderr what is wrong. With --help the help is on
// stdout, common->help is set, and the caller leaves.
int options_parse(command_line *line, int argc, char **argv);

// Settings of a model as these options have them.
rml_model_settings model_settings(const common_options *common);

// Settings of a session as these options have them.
rml_session_settings session_settings(const common_options *common);

// "run-model wav2lip: <message>" on stderr; returns EXIT_USAGE.
int usage_error(const char *command, const char *format, ...);

// The same for a failure: returns EXIT_FAILED.
int failure(const char *command, const rml_error *err);

// The exit code of a command of which `failed` parts failed, or the whole did, which it says.
int exit_code(const char *command, rml_status status, const rml_error *err, size_t failed);

// A status with `context` in front of its message.
static inline rml_status named(rml_status status, rml_error *err, const char *context)
{
    if (status != RML_OK)
        rml_error_prefix(err, context);
    return status;
}

// That there is no memory for `what`.
rml_status no_memory(rml_error *err, size_t bytes, const char *what);

#endif
