// The subcommands, one file each. argv[0] is the subcommand's name; the result is the exit code.
#ifndef RML_TOOLS_COMMANDS_H
#define RML_TOOLS_COMMANDS_H

#include "runmodel.h"

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
int cmd_bench(int argc, char **argv);
int cmd_list(int argc, char **argv);

// Prints what an ONNX file is.
rml_status info_graph(const char *path, const char *function, bool json, rml_error *err);

#endif
