// run-model: finds the subcommand and hands over.
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/report.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"wav2lip", cmd_wav2lip, "make the lips of a face in a video follow a voice"},
    {"latent-wav2lip", cmd_latent_wav2lip, "the same with a UNet on latents"},
    {"sync", cmd_sync, "tell how far the lips and the sound of a video are apart"},
    {"ffdnet", cmd_ffdnet, "take noise out of images"},
    {"mobilenetv2", cmd_mobilenetv2, "tell what images show"},
    {"lstm", cmd_lstm, "tell the class of sequences of numbers"},
    {"exec", cmd_exec, "run a network on .npy files"},
    {"info", cmd_info, "show what a weights file holds"},
    {"check", cmd_check, "say what is wrong with a file by the rules of its format"},
    {"compare", cmd_compare, "say where a network in two formats begins to differ"},
    {"convert", cmd_convert, "write a network as a file of another format, and prove it"},
    {"export-c", cmd_export_c, "write a network as one C file, for boards and other programs"},
    {"bench", cmd_bench, "measure a network"},
    {"list", cmd_list, "show networks, their inputs and outputs, and what this build can do"},
};

#define COMMAND_COUNT ((int)(sizeof commands / sizeof commands[0]))

static void print_help(void)
{
    printf("run-model: run trained networks on this machine's CPU\n\n"
           "    run-model COMMAND [options]\n"
           "    run-model COMMAND --help\n\nCommands:\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        printf("  %-14s %s\n", commands[i].name, commands[i].summary);
    printf("\nNetworks (run-model list shows their inputs and outputs):\n");
    const rml_model_desc *desc;
    for (size_t i = 0; (desc = rml_model_list(i)) != NULL; i++)
        printf("  %-14s %s\n", desc->name, desc->summary);
    printf("\nResults go to standard output, messages and progress to standard error.\n"
           "Exit codes: 0 done, 1 failed, 2 wrong usage.\n"
           "run-model --version tells version, compiler, CPU levels and features.\n\n"
           "Environment:\n"
           "  RML_CPU        portable, neon, avx2 or avx512: use no more than this, as --cpu\n"
           "  RML_CPU_MASK   features of the CPU to do without, with commas between them:\n"
           "                 amx-bf16,avx512-bf16\n");
}

static void print_features(const char *title, rml_feature_kind kind, bool here)
{
    rml_feature feature;
    printf("%s:", title);
    for (size_t i = 0; (feature = rml_feature_at(i)).name; i++)
        if (feature.kind == kind && (here ? feature.available : feature.built))
            printf(" %s", feature.name);
    printf("\n");
}

static void print_version(void)
{
#if defined(__clang__)
    const char *compiler = "clang " __clang_version__;
#elif defined(__GNUC__)
    const char *compiler = "gcc " __VERSION__;
#else
    const char *compiler = "unknown compiler";
#endif
    printf("run-model %s\ncompiler: %s\n", rml_version(), compiler);
    print_features("CPU levels built", RML_FEATURE_LEVEL, false);
    print_features("CPU levels usable here", RML_FEATURE_LEVEL, true);
    printf("CPU level chosen: %s\n", rml_cpu_level_name(rml_cpu_level_best()));
    print_features("CPU features known", RML_FEATURE_CPU, false);
    print_features("CPU features usable here", RML_FEATURE_CPU, true);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "run-model: no command; run-model --help lists them\n");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help();
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        print_version();
        return EXIT_DONE;
    }
    rml_error err;
    if (rml_cpu_check(&err) != RML_OK) {
        fprintf(stderr, "run-model: %s\n", err.message);
        return EXIT_USAGE;
    }
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        int code = commands[i].run(argc - 1, argv + 1);
        // A full disk or a closed pipe shows only when the buffer is written out, here or before.
        if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_DONE) {
            fprintf(stderr, "run-model: standard output cannot be written\n");
            return EXIT_FAILED;
        }
        return code;
    }
    fprintf(stderr, "run-model: there is no command '%s'; the commands are", argv[1]);
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(stderr, "%s %s", i ? "," : "", commands[i].name);
    fprintf(stderr, "\n");
    return EXIT_USAGE;
}
