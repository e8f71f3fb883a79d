// Elements as another type, see rml_dtype_convert.
#include "ops/op.h"

#include "tensor/dtype.h"

static void cast_part(const rml_op_args *args, size_t begin, size_t end)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    RML_KERNEL(args->kernels, convert)
    (in->dtype, (const char *)in->raw + begin * rml_dtype_size(in->dtype), out->dtype,
     (char *)out->raw + begin * rml_dtype_size(out->dtype), end - begin);
}

static void run_cast(const rml_op_args *args)
{
    rml_op_parallel(args, rml_tensor_count(&args->out[0]), sizeof(float), cast_part);
}

const rml_op rml_op_cast = {.id = RML_OP_CAST,
                            .name = "cast",
                            .inputs = {1, 1},
                            .signature = "*>t",
                            .infer = rml_infer_same,
                            .algorithms = RML_ONE_WAY("convert", run_cast)};
