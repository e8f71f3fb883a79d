// The subcommands, one file each. argv[0] is the subcommand's name; the result is the exit code.
#ifndef RML_TOOLS_COMMANDS_H
#define RML_TOOLS_COMMANDS_H

#include "runmodel.h"

#include <stdbool.h>

int cmd_wav2lip(int argc, char **argv);
int cmd_latent_wav2lip(int argc, char **argv);
int cmd_sync(int argc, char **argv);
int cmd_ffdnet(int argc, char **argv);
int cmd_mobilenetv2(int argc, char **argv);
int cmd_lstm(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_export_c(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_list(int argc, char **argv);

// Prints what a file of video says of itself; *is_video is false, and nothing is printed, for
// another file.
rml_status info_video(const char *path, bool json, bool *is_video, rml_error *err);

// Prints what a graph file is, which was opened at `path` with `function`.
void info_graph(rml_graph_file *file, const char *path, const char *function, bool json);

#endif
