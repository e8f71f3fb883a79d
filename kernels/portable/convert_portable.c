// Conversions of elements, the definition.
#include "kernels/kernels_internal.h"

#include "tensor/dtype.h"

void rml_convert_portable(rml_dtype from, const void *src, rml_dtype to, void *dst, size_t count)
{
    rml_dtype_convert(from, src, to, dst, count);
}
