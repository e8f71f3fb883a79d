// run-model info for a whole network in a file.
#ifndef RML_TOOLS_INFO_ONNX_H
#define RML_TOOLS_INFO_ONNX_H

#include <stdbool.h>

// False when the file is no ONNX model; otherwise prints what it is, and *code is the exit code.
bool info_onnx(const char *command, const char *path, bool json, int *code);

#endif
