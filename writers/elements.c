#include "writers/elements.h"

#include "tensor/dtype.h"

#include <math.h>

void rml_elements_release(rml_elements *elements)
{
    if (elements->owned)
        rml_free(elements->allocator, elements->owned);
    *elements = (rml_elements){0};
}

// Whether they lie in the file as they are wanted, at an address of their type.
static bool lie_so(const rml_value *value, rml_dtype dtype)
{
    const rml_stored *stored = &value->constant->stored;
    rml_tensor view = rml_tensor_make(NULL, &stored->shape, RML_LAYOUT_PLAIN);
    for (int i = 0; i < stored->shape.rank; i++)
        view.stride[i] = stored->stride[i];
    return (uintptr_t)stored->data % rml_dtype_size(dtype) == 0 && stored->dtype == dtype &&
           rml_coding_is_none(&stored->coding) && !value->constant->scale &&
           rml_tensor_is_plain(&view);
}

rml_status rml_elements_take(rml_elements *out, const rml_value *constant, rml_dtype dtype,
                             const rml_allocator *allocator, rml_error *err)
{
    *out = (rml_elements){.allocator = allocator};
    if (!rml_shape_count(&constant->shape, &out->count) ||
        !rml_size_mul(out->count, rml_dtype_size(dtype), &out->bytes))
        return rml_fail(err, RML_ERR_LIMIT, "constant %s is too large", constant->name);
    if (out->count == 0)
        return RML_OK;
    if (lie_so(constant, dtype)) {
        out->data = constant->constant->stored.data;
        return RML_OK;
    }
    const size_t wide = rml_dtype_size(constant->dtype);
    out->owned = rml_alloc(allocator, out->count * (wide > 8 ? wide : 8));
    if (!out->owned)
        return rml_fail_nomem(err, out->bytes, "a constant to be written");
    rml_constant_copy(constant->constant, constant->dtype, out->owned);
    if (dtype != constant->dtype) {
        void *converted = rml_alloc(allocator, out->bytes);
        if (!converted) {
            rml_elements_release(out);
            return rml_fail_nomem(err, out->bytes, "a constant to be written");
        }
        rml_dtype_convert(constant->dtype, out->owned, dtype, converted, out->count);
        rml_free(allocator, out->owned);
        out->owned = converted;
    }
    out->data = out->owned;
    return RML_OK;
}

void rml_make_halves(const float *from, uint16_t *to, size_t count, rml_half_losses *losses)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = rml_f32_to_f16(from[i]);
        losses->infinite += (to[i] & 0x7FFF) == 0x7C00 && isfinite(from[i]);
        losses->zero += (to[i] & 0x7FFF) == 0 && from[i] != 0;
    }
}
