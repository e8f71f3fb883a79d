#include "pipelines/compare/weights.h"

#include "engine/model.h"
#include "pipelines/compare/align.h"
#include "tensor/alloc.h"
#include "tensor/dtype.h"
#include "tensor/tensor.h"

#include <math.h>

#define PIECE ((size_t)1 << 16) // elements at a time
#define LEAST 16 // elements; fewer are numbers of a function, which a format writes as it will

// The constant floats that nodes of this name read, of `count` elements; how many there are.
static size_t find_weights(const rml_graph *graph, const char *name, size_t count,
                           const rml_value **first)
{
    size_t found = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_node *node = &graph->nodes[i];
        for (int k = 0;
             k < node->in_count && !node->dead && rml_layer_same_letters(node->name, name); k++) {
            const rml_value *value =
                node->in[k] == RML_NO_VALUE ? NULL : &graph->values[node->in[k]];
            size_t own;
            if (!value || value->kind != RML_VALUE_CONSTANT || !rml_dtype_is_float(value->dtype) ||
                !rml_shape_count(&value->shape, &own) || own != count)
                continue;
            *first = found++ ? *first : value;
        }
    }
    return found;
}

// Some rows at a time: weights may be larger than memory.
static rml_status sum_squares(const rml_value *value, size_t count, const rml_allocator *allocator,
                              double *sum, rml_error *err)
{
    const int64_t rows = value->shape.rank ? value->shape.dim[0] : 1;
    const size_t row = count / (size_t)rows;
    const int64_t most = row < PIECE ? (int64_t)(PIECE / row) : 1;
    float *numbers;
    RML_TRY(rml_make(allocator, &numbers, (size_t)most * row, sizeof *numbers, "a weight", err));
    *sum = 0;
    for (int64_t first = 0; first < rows; first += most) {
        const int64_t own = rows - first < most ? rows - first : most;
        rml_constant_read(value->constant, 0, first, own, numbers);
        for (size_t i = 0; i < (size_t)own * row; i++)
            *sum += (double)numbers[i] * (double)numbers[i];
    }
    rml_free(allocator, numbers);
    return RML_OK;
}

// Biases may be two in one format, and their sum in another.
static bool is_matrix(const rml_shape *shape)
{
    int longer = 0;
    for (int i = 0; i < shape->rank; i++)
        longer += shape->dim[i] > 1;
    return longer > 1;
}

rml_status rml_weights_difference(const rml_model *a, const char *node_a, const rml_model *b,
                                  const char *node_b, double *difference, rml_error *err)
{
    *difference = 0;
    for (size_t i = 0; i < a->graph.node_count; i++) {
        const rml_node *node = &a->graph.nodes[i];
        for (int k = 0;
             k < node->in_count && !node->dead && rml_layer_same_letters(node->name, node_a); k++) {
            const rml_value *left = NULL, *right = NULL;
            size_t count;
            double sums[2];
            if (node->in[k] == RML_NO_VALUE || !is_matrix(&a->graph.values[node->in[k]].shape) ||
                !rml_shape_count(&a->graph.values[node->in[k]].shape, &count) || count < LEAST ||
                find_weights(&a->graph, node_a, count, &left) != 1 ||
                find_weights(&b->graph, node_b, count, &right) != 1)
                continue;
            RML_TRY(sum_squares(left, count, a->allocator, &sums[0], err));
            RML_TRY(sum_squares(right, count, a->allocator, &sums[1], err));
            if (sums[0] != sums[1])
                *difference = fmax(*difference, fabs(sums[0] - sums[1]) / fmax(sums[0], sums[1]));
        }
    }
    return RML_OK;
}
