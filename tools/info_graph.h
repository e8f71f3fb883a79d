// run-model info for a whole network in a file.
#ifndef RML_TOOLS_INFO_GRAPH_H
#define RML_TOOLS_INFO_GRAPH_H

#include "runmodel.h"

#include <stdbool.h>

// Prints what an ONNX file is.
rml_status info_graph(const char *path, bool json, rml_error *err);

#endif
