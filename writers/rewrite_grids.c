// Grids of places in an image.
#include "writers/rewrite.h"

#define P(part) rml_part_name(l, node, part)

#define MOST_POINTS ((int64_t)1 << 24)

// Sizes of a grid [N,C,..] that are known, of an f32 matrix; how many points it has.
static bool find_sizes(const rml_lowering *l, const rml_node *node, const int64_t **sizes,
                       int *axes, int64_t *points)
{
    const rml_fact size = rml_graph_fact(l->to, node->in[1]);
    if (!size.data || size.shape.rank != 1 || l->to->values[node->in[0]].dtype != RML_F32)
        return false;
    *sizes = size.data;
    *axes = (int)size.shape.dim[0] - 2;
    *points = 1;
    for (int i = 0; i < *axes; i++) {
        const int64_t n = (*sizes)[2 + i];
        if (n < 1 || n > MOST_POINTS / *points)
            return false;
        *points *= n;
    }
    return true;
}

// The places of all points, x first, and a 1: [points,axes+1].
static rml_value_id places(rml_lowering *l, const rml_node *node, const int64_t *sizes, int axes,
                           int64_t points)
{
    const bool corners = node->attr.affine_grid.align_corners;
    const rml_shape shape = {2, {points, axes + 1}};
    float *place = rml_arena_alloc(&l->to->arena, (size_t)(points * (axes + 1)), sizeof *place);
    if (!place)
        return rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for a grid");
    for (int64_t p = 0; p < points; p++) {
        int64_t rest = p;
        for (int k = 0; k < axes; k++) {
            const int64_t n = sizes[1 + axes - k], i = rest % n;
            rest /= n;
            place[p * (axes + 1) + k] = (float)(!corners ? (2 * (double)i + 1) / (double)n - 1
                                                : n > 1  ? 2 * (double)i / (double)(n - 1) - 1
                                                         : 0);
        }
        place[p * (axes + 1) + axes] = 1;
    }
    const rml_stored stored = rml_stored_f32(place, &shape);
    return rml_graph_typed_constant(l->to, P("places"), &stored);
}

// A constant grid by the matrix of each item, where the sizes are known.
bool rml_rewrite_affine_grid(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    const int64_t *sizes;
    int64_t points;
    int axes;
    if (node->op != RML_OP_AFFINE_GRID || !find_sizes(l, node, &sizes, &axes, &points))
        return false;
    rml_shape shape = {axes + 2, {0}};
    for (int i = 0; i < axes; i++)
        shape.dim[1 + i] = sizes[2 + i];
    shape.dim[0] = -1;
    shape.dim[axes + 1] = axes;
    const rml_op_attr product = {.matmul = rml_matmul_plain(false, true)};
    const rml_value_id in[2] = {places(l, node, sizes, axes, points), node->in[0]};
    const rml_value_id grid = rml_lower_node(l, RML_OP_MATMUL, &product, in, 2, P("points"));
    out[0] = rml_lower_reshape(l, grid, &shape, node->name);
    return true;
}
