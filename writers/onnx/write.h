// ONNX files.
#ifndef RML_WRITERS_ONNX_WRITE_H
#define RML_WRITERS_ONNX_WRITE_H

#include "writers/writing.h"

// With the tensors in "<path>.data" where they have more than `most_bytes`.
rml_status rml_write_onnx_beyond(rml_writing *w, uint64_t most_bytes, rml_error *err);

#endif
