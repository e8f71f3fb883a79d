#include "ops/op.h"

void rml_activate(const rml_kernels *kernels, const rml_activation *act, float *x, size_t count)
{
    RML_KERNEL(kernels, unary[act->kind])(x, x, count, act->param);
}
