// All operators by number, for those who learn from a file which ones they need. Whoever knows what
// it builds names the descriptors, so that a static program holds no others.
#include "ops/op.h"

const rml_op *rml_op_get(rml_op_id id)
{
    static const rml_op *const table[RML_OP_COUNT] = {
#define OP(upper, lower) [RML_OP_##upper] = &rml_op_##lower,
#include "ops/ops.inc"
#undef OP
    };
    return table[id];
}
