#include "ops/op.h"

#include "tensor/size.h"

#include <math.h>
#include <string.h>

bool rml_op_packs(const rml_op *op, int index)
{
    return (index > 0 && index == op->packed_input) ||
           (index < 32 && (op->packed_also >> index & 1));
}

int rml_op_outputs(const rml_op *op, const rml_op_attr *attr)
{
    return op->outputs     ? op->outputs(attr)
           : op->signature ? (int)strlen(strchr(op->signature, '>') + 1)
                           : 1;
}

bool rml_op_writes_nothing(const rml_op_args *args, int out_count)
{
    size_t count = 0;
    for (int k = 0; k < out_count; k++)
        count |= rml_tensor_count(&args->out[k]);
    return count == 0;
}

const rml_algorithm *rml_op_choose(const rml_op *op, rml_op_args *args)
{
    const rml_algorithm *algorithm = op->algorithms;
    while (algorithm->generic != args->generic ||
           (algorithm->reorders && args->kernels->in_order) ||
           (algorithm->accepts && !algorithm->accepts(args)))
        algorithm++;
    args->algorithm = algorithm;
    return algorithm;
}

void *rml_op_worker(const rml_op_args *args, int worker)
{
    return args->scratch + (size_t)worker * args->algorithm->worker_bytes(args);
}

rml_status rml_op_memory(const rml_algorithm *algorithm, const rml_op_args *args, const char *node,
                         size_t *packed_bytes, size_t *scratch_bytes, rml_error *err)
{
    const size_t packed =
        algorithm->packed_bytes && packed_bytes ? algorithm->packed_bytes(args) : 0;
    size_t scratch = 0;
    if (algorithm->scratch_bytes && scratch_bytes)
        scratch = algorithm->scratch_bytes(args);
    else if (algorithm->worker_bytes && scratch_bytes)
        scratch = rml_sat_mul((size_t)args->threads, algorithm->worker_bytes(args));
    if (packed > SIZE_MAX / 2 || scratch > SIZE_MAX / 2)
        return rml_fail(err, RML_ERR_LIMIT, "%s: the %s of \"%s\" would not fit the address space",
                        node, packed > SIZE_MAX / 2 ? "packed weights" : "scratch memory",
                        algorithm->name);
    if (packed_bytes)
        *packed_bytes = packed;
    if (scratch_bytes)
        *scratch_bytes = scratch;
    return RML_OK;
}

int64_t rml_size_symbol(int64_t size, int64_t a, int64_t b)
{
    uint64_t hash = 0;
    const int64_t parts[3] = {size, a, b};
    for (int i = 0; i < 3; i++) {
        hash = (hash ^ (uint64_t)parts[i]) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    return size < -1 ? INT64_MIN / 2 - (int64_t)(hash >> 3) : -1;
}

static rml_status check_type(char letter, const rml_fact *in, int index, rml_error *err)
{
#define BIT(type) (1u << RML_##type)
#define FLOATS (BIT(F16) | BIT(BF16) | BIT(F32) | BIT(F64))
    static const struct {
        char letter;
        uint32_t types;
        const char *name;
    } classes[] = {{'*', UINT32_MAX, ""},
                   {'n', ~BIT(BOOL), "numbers"},
                   {'r', FLOATS, "a float type"},
                   {'h', FLOATS & ~BIT(BF16), "f16, f32 or f64"},
                   {'s', BIT(F32) | BIT(F64), "f32 or f64"},
                   {'f', BIT(F32), "f32"},
                   {'m', FLOATS | BIT(BOOL), "a float type or bool"},
                   {'p', ~(BIT(I64) | BIT(U64)), "no i64 or u64"},
                   {'c', BIT(I8) | BIT(U8), "i8 or u8"},
                   {'i', BIT(I32) | BIT(I64), "i32 or i64"},
                   {'e', BIT(I32), "i32"},
                   {'l', BIT(I64), "i64"},
                   {'b', BIT(BOOL), "bool"}};
    const rml_dtype type = in[index].dtype;
    if (letter >= '0' && letter <= '9') {
        if (type == in[letter - '0'].dtype)
            return RML_OK;
        return rml_fail(err, RML_ERR_UNSUPPORTED, "input %d is %s, input %c is %s", index,
                        rml_dtype_name(type), letter, rml_dtype_name(in[letter - '0'].dtype));
    }
    size_t class = 0;
    while (classes[class].letter != letter)
        class ++;
    if (classes[class].types & 1u << type)
        return RML_OK;
    return rml_fail(err, RML_ERR_UNSUPPORTED, "input %d is %s, expected %s", index,
                    rml_dtype_name(type), classes[class].name);
}

rml_status rml_op_types(const rml_op *op, const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    const char *at = op->signature ? op->signature : "f>f", *to = strchr(at, '>') + 1;
    if (op->types)
        return op->types(node, out, err);
    for (int i = 0; i < node->in_count; i++, at += at[1] != '>')
        if (node->in[i].shape.rank != -1)
            RML_TRY(check_type(*at, node->in, i, err));
    const int count = rml_op_outputs(op, node->attr);
    for (int i = 0; i < count; i++, to += to[1] != 0)
        out[i] = *to == 'f'   ? RML_F32
                 : *to == 'e' ? RML_I32
                 : *to == 'l' ? RML_I64
                 : *to == 't'
                     ? node->attr->cast.to // where all attributes that have a type begin with it
                     : node->in[*to - '0'].dtype;
    return RML_OK;
}

typedef struct split_job {
    const rml_op_args *args;
    rml_op_part part;
} split_job;

static void run_part(void *context, size_t begin, size_t end, int worker)
{
    const split_job *job = context;
    (void)worker;
    job->part(job->args, begin, end);
}

void rml_op_parallel(const rml_op_args *args, size_t items, size_t bytes, rml_op_part part)
{
    enum { RANGE_BYTES = 16384, SIDE = 64 };
    split_job job = {args, part};
    size_t range = bytes < RANGE_BYTES ? RANGE_BYTES / (bytes + 1) + 1 : 1;
    range -= range < SIDE ? 0 : range % SIDE; // elements begin with a line of the cache
    rml_pool_run(args->pool, items, range, run_part, &job);
}

rml_status rml_infer_same(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    (void)err;
    *out = node->shape[0];
    return RML_OK;
}

rml_activation rml_activation_none(void)
{
    return (rml_activation){RML_UNARY_CLAMP, {-INFINITY, INFINITY}};
}

rml_activation *rml_op_activation(rml_op_id op, rml_op_attr *attr)
{
    switch (op) {
    case RML_OP_CONV:
    case RML_OP_CONV_TRANSPOSE:
        return &attr->conv.act;
    case RML_OP_MATMUL:
        return &attr->matmul.act;
    case RML_OP_BINARY:
        return &attr->binary.act;
    case RML_OP_GROUP_NORM:
        return &attr->group_norm.act;
    case RML_OP_WAVE_CONV:
        return &attr->wave.act;
    default:
        return NULL;
    }
}

rml_activation rml_activation_relu(void)
{
    return (rml_activation){RML_UNARY_CLAMP, {0.0f, INFINITY}};
}

rml_matmul_attr rml_matmul_plain(bool transpose_a, bool transpose_b)
{
    return (rml_matmul_attr){transpose_a, transpose_b, 1, 1, rml_activation_none()};
}

bool rml_activation_is_none(const rml_activation *act)
{
    return act->kind == RML_UNARY_CLAMP && act->param[0] == -INFINITY && act->param[1] == INFINITY;
}

void rml_constant_read(const rml_constant *constant, int axis, int64_t first, int64_t count,
                       float *dst)
{
    const rml_shape *shape = &constant->stored.shape;
    rml_stored_read(&constant->stored, axis, first, count, dst);
    if (!constant->scale)
        return;
    const int scaled = constant->scale_axis;
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < shape->rank; i++) {
        int64_t dim = i == axis ? count : shape->dim[i];
        if (i < scaled)
            outer *= dim;
        else if (i > scaled)
            inner *= dim;
    }
    const int64_t base = scaled == axis ? first : 0;
    const int64_t size = scaled == axis ? count : shape->dim[scaled];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t s = 0; s < size; s++, dst += inner) {
            const double factor = constant->scale[base + s];
            for (int64_t i = 0; i < inner; i++)
                dst[i] = (float)(factor * (double)dst[i]);
        }
}

void rml_constant_copy(const rml_constant *constant, rml_dtype dtype, void *dst)
{
    const rml_shape *shape = &constant->stored.shape;
    size_t count;
    if (!rml_shape_count(shape, &count) || count == 0)
        return;
    if (dtype == RML_F32)
        rml_constant_read(constant, 0, 0, shape->rank ? shape->dim[0] : 1, dst);
    else
        rml_stored_copy(&constant->stored, dst);
}

bool rml_constant_number(const rml_constant *constant, double *number)
{
    uint64_t element[1];
    float decoded;
    size_t count;
    if (!constant || constant->scale || !rml_shape_count(&constant->stored.shape, &count) ||
        count != 1)
        return false;
    if (!rml_coding_is_none(&constant->stored.coding)) {
        rml_stored_read_all(&constant->stored, &decoded);
        *number = (double)decoded;
        return true;
    }
    rml_stored_copy(&constant->stored, element);
    rml_dtype_convert(constant->stored.dtype, element, RML_F64, number, 1);
    return true;
}
