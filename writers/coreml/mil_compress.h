// Large weights in fewer bits: operations that make them whole again when a model is loaded.
#ifndef RML_WRITERS_COREML_MIL_COMPRESS_H
#define RML_WRITERS_COREML_MIL_COMPRESS_H

#include "writers/coreml/mil.h"

// Whether the settings want a constant of this type and shape compressed.
bool rml_emit_compresses(const rml_emitter *e, rml_dtype dtype, const rml_shape *shape);

// The constant `out`, of f32. `data` is read now.
void rml_emit_compressed(rml_emitter *e, const rml_operand *out, const float *data, int axis);

#endif
