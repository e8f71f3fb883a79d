// What classic learners are exported to: trees, n-grams and the small operators around them.
#include "loaders/onnx/make.h"

#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

static void *room(rml_onnx_call *call, size_t count, size_t bytes)
{
    void *memory = rml_arena_alloc(&call->graph->arena, count ? count : 1, bytes);
    if (!memory)
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for trees or n-grams");
    return memory;
}

// ---- trees --------------------------------------------------------------------------------------

// The elements of a tensor in an attribute, as doubles; NULL and 0 without one.
static const double *numbers(rml_onnx_call *call, const char *name, size_t *count)
{
    const rml_onnx_tensor *tensor = rml_onnx_tensor_of(call, name);
    *count = 0;
    if (!tensor)
        return NULL;
    if (!tensor->readable || !rml_shape_count(&tensor->stored.shape, count)) {
        rml_onnx_refuse(call, "%s is no list of numbers", name);
        return NULL;
    }
    void *stored = room(call, *count, sizeof(double));
    double *wide = room(call, *count, sizeof *wide);
    if (!stored || !wide)
        return NULL;
    rml_stored_copy(&tensor->stored, stored);
    rml_dtype_convert(tensor->stored.dtype, stored, RML_F64, wide, *count);
    return wide;
}

// Lists of the file that describe nodes, each with one entry a node.
typedef struct node_lists {
    size_t count;
    const int64_t *feature, *next[2], *is_leaf[2], *nan_holds;
    const double *test, *number;
} node_lists;

static bool read_lists(rml_onnx_call *call, node_lists *lists)
{
    static const char *const next[] = {"nodes_falsenodeids", "nodes_truenodeids"};
    static const char *const leaf[] = {"nodes_falseleafs", "nodes_trueleafs"};
    size_t count[8];
    rml_onnx_ignore(call, "nodes_hitrates");
    lists->feature = rml_onnx_ints(call, "nodes_featureids", &lists->count);
    for (int k = 0; k < 2; k++) {
        lists->next[k] = rml_onnx_ints(call, next[k], &count[k]);
        lists->is_leaf[k] = rml_onnx_ints(call, leaf[k], &count[2 + k]);
    }
    lists->nan_holds = rml_onnx_ints(call, "nodes_missing_value_tracks_true", &count[4]);
    lists->test = numbers(call, "nodes_modes", &count[5]);
    lists->number = numbers(call, "nodes_splits", &count[6]);
    for (int k = 0; k < 7; k++)
        if (count[k] != lists->count && !(k == 4 && count[k] == 0)) {
            rml_onnx_refuse(call, "its nodes are described by lists of several lengths");
            return false;
        }
    return lists->count > 0 && !call->refused;
}

// Sets are given one after another, with NaN behind each.
static bool take_members(const double *member, size_t count, size_t *at, rml_tree_node *node)
{
    node->members = *at;
    while (*at < count && !isnan(member[*at]))
        ++*at;
    node->member_count = *at - node->members;
    return (*at)++ < count;
}

static rml_tree_node *read_nodes(rml_onnx_call *call, const node_lists *lists, const double *member,
                                 size_t member_count, size_t leaves)
{
    rml_tree_node *nodes = room(call, lists->count, sizeof *nodes);
    size_t at = 0;
    bool fits = nodes != NULL;
    for (size_t i = 0; i < lists->count && fits; i++) {
        const double test = lists->test[i];
        fits = test >= 0 && test < RML_TREE_TESTS && lists->feature[i] >= 0;
        nodes[i] = (rml_tree_node){.test = fits ? (rml_tree_test)test : RML_TREE_LEQ,
                                   .feature = lists->feature[i],
                                   .number = lists->number[i],
                                   .nan_holds = lists->nan_holds && lists->nan_holds[i] != 0};
        for (int k = 0; k < 2 && fits; k++) {
            nodes[i].is_leaf[k] = lists->is_leaf[k][i] != 0;
            nodes[i].next[k] = (size_t)lists->next[k][i];
            fits = lists->next[k][i] >= 0 &&
                   nodes[i].next[k] < (nodes[i].is_leaf[k] ? leaves : lists->count);
        }
        if (fits && nodes[i].test == RML_TREE_MEMBER)
            fits = take_members(member, member_count, &at, &nodes[i]);
    }
    if (!fits)
        rml_onnx_refuse(call, "one of its nodes has a test, a feature or a branch that is none");
    return fits ? nodes : NULL;
}

// A node that is reached in two ways could lead back to itself.
static bool check_ways(rml_onnx_call *call, const rml_tree_node *nodes, size_t count,
                       const size_t *roots, size_t root_count)
{
    uint8_t *reached = room(call, count, sizeof *reached);
    bool once = reached != NULL;
    if (reached)
        memset(reached, 0, count);
    for (size_t i = 0; i < root_count && once; i++)
        once = !reached[roots[i]]++;
    for (size_t i = 0; i < count && once; i++)
        for (int k = 0; k < 2 && once; k++)
            once = nodes[i].is_leaf[k] || !reached[nodes[i].next[k]]++;
    if (!once)
        rml_onnx_refuse(call, "one of its nodes is reached in two ways");
    return once;
}

static const size_t *read_roots(rml_onnx_call *call, size_t nodes, size_t *count)
{
    const int64_t *given = rml_onnx_ints(call, "tree_roots", count);
    size_t *roots = room(call, *count, sizeof *roots);
    for (size_t i = 0; i < *count && roots; i++) {
        if (given[i] < 0 || (size_t)given[i] >= nodes) {
            rml_onnx_refuse(call, "root %lld is none of %zu nodes", (long long)given[i], nodes);
            return NULL;
        }
        roots[i] = (size_t)given[i];
    }
    return roots;
}

static bool check_targets(rml_onnx_call *call, const int64_t *target, size_t count,
                          size_t leaf_count, int64_t targets)
{
    bool fits = count == leaf_count && targets >= 1 && targets <= INT32_MAX;
    for (size_t i = 0; i < count && fits; i++)
        fits = target[i] >= 0 && target[i] < targets;
    if (!fits)
        rml_onnx_refuse(call, "the targets of its leaves are none of %lld", (long long)targets);
    return fits;
}

// What becomes of the sums: ONNX has five ways, of which the first three are done here.
static rml_value_id transform(rml_onnx_call *call, rml_value_id sums, int64_t how)
{
    const rml_op_attr softmax = {.softmax = {.axis = -1}};
    const rml_activation logistic = {.kind = RML_UNARY_SIGMOID};
    if (how < 0 || how > 2)
        rml_onnx_refuse(call, "post_transform is %lld", (long long)how);
    if (how == 1)
        return rml_graph_node(call->graph, RML_OP_SOFTMAX, &softmax, &sums, 1, call->name);
    if (how == 2)
        return rml_graph_unary(call->graph, sums, logistic, call->name);
    return sums;
}

static void import_trees(rml_onnx_call *call)
{
    node_lists lists = {0};
    size_t member_count, leaf_count, target_count;
    rml_tree_ensemble_attr attr = {.targets = rml_onnx_int(call, "n_targets", 1)};
    const int64_t join = rml_onnx_int(call, "aggregate_function", RML_TREE_SUM);
    const int64_t how = rml_onnx_int(call, "post_transform", 0);
    attr.member = numbers(call, "membership_values", &member_count);
    attr.leaf = numbers(call, "leaf_weights", &leaf_count);
    attr.target = rml_onnx_ints(call, "leaf_targetids", &target_count);
    if (join < RML_TREE_AVERAGE || join > RML_TREE_MAX)
        rml_onnx_refuse(call, "aggregate_function is %lld", (long long)join);
    attr.join = (rml_tree_join)join;
    if (!read_lists(call, &lists) ||
        !check_targets(call, attr.target, target_count, leaf_count, attr.targets)) {
        rml_onnx_refuse(call, "it has no nodes");
        return;
    }
    attr.root = read_roots(call, lists.count, &attr.root_count);
    rml_tree_node *nodes = read_nodes(call, &lists, attr.member, member_count, leaf_count);
    if (!attr.root || !nodes || !check_ways(call, nodes, lists.count, attr.root, attr.root_count))
        return;
    attr.node = nodes;
    int64_t *target = room(call, target_count, sizeof *target);
    if (!target)
        return;
    memcpy(target, attr.target, target_count * sizeof *target);
    attr.target = target;
    const rml_value_id sums =
        rml_graph_node(call->graph, RML_OP_TREE_ENSEMBLE, &(rml_op_attr){.tree_ensemble = attr},
                       call->in, 1, call->name);
    call->out[0] = transform(call, sums, how);
}

// ---- n-grams ------------------------------------------------------------------------------------

// The lists of an n-gram operator.
typedef struct pool {
    const int64_t *word, *start, *place; // grams of one length begin at start[length - 1]
    size_t words, lengths, places;
    const float *weight;
    int64_t shortest, longest; // that are looked for
} pool;

// How many grams there are, of all lengths; false when the lists do not fit together.
static bool count_grams(const pool *from, size_t *count)
{
    *count = 0;
    for (size_t k = 0; k < from->lengths; k++) {
        const int64_t end = k + 1 < from->lengths ? from->start[k + 1] : (int64_t)from->words;
        if (from->start[k] < 0 || end < from->start[k] || end > (int64_t)from->words ||
            (size_t)(end - from->start[k]) % (k + 1) != 0)
            return false;
        *count += (size_t)(end - from->start[k]) / (k + 1);
    }
    return true;
}

static bool read_grams(rml_onnx_call *call, const pool *from, rml_tfidf_attr *attr)
{
    rml_ngram *grams = room(call, from->places, sizeof *grams);
    int64_t *words = room(call, from->words, sizeof *words);
    size_t index = 0;
    if (!grams || !words)
        return false;
    if (from->words)
        memcpy(words, from->word, from->words * sizeof *words);
    for (size_t k = 0; k < from->lengths; k++) {
        const int64_t length = (int64_t)k + 1;
        const int64_t end = k + 1 < from->lengths ? from->start[k + 1] : (int64_t)from->words;
        for (int64_t at = from->start[k]; at < end; at += length, index++) {
            const int64_t place = from->place[index];
            if (place < 0 || place >= INT32_MAX)
                return false;
            attr->places = place >= attr->places ? place + 1 : attr->places;
            if (length >= from->shortest && length <= from->longest)
                grams[attr->count++] = (rml_ngram){words + at, length, place,
                                                   from->weight ? (double)from->weight[index] : 1};
        }
    }
    attr->gram = grams;
    return true;
}

static void import_ngrams(rml_onnx_call *call)
{
    pool from = {0};
    size_t count, weights;
    const char *mode = rml_onnx_text_of(call, "mode", "");
    rml_tfidf_attr attr = {.max_skip = rml_onnx_int(call, "max_skip_count", 0)};
    from.shortest = rml_onnx_int(call, "min_gram_length", 1);
    from.longest = rml_onnx_int(call, "max_gram_length", 1);
    from.word = rml_onnx_ints(call, "pool_int64s", &from.words);
    from.start = rml_onnx_ints(call, "ngram_counts", &from.lengths);
    from.place = rml_onnx_ints(call, "ngram_indexes", &from.places);
    from.weight = rml_onnx_floats(call, "weights", &weights);
    attr.once = strcmp(mode, "IDF") == 0;
    if (strcmp(mode, "TF") == 0)
        from.weight = NULL;
    else if (!attr.once && strcmp(mode, "TFIDF") != 0)
        rml_onnx_refuse(call, "mode is \"%.40s\"", mode);
    if (!count_grams(&from, &count) || count != from.places || attr.max_skip < 0 ||
        (from.weight && weights != count) || !read_grams(call, &from, &attr)) {
        rml_onnx_refuse(call, "its lists of n-grams do not fit together");
        return;
    }
    rml_onnx_translate(call, RML_OP_TFIDF, &(rml_op_attr){.tfidf = attr}, 1);
}

// ---- around them --------------------------------------------------------------------------------

static void import_binarizer(rml_onnx_call *call)
{
    const rml_dtype dtype = rml_onnx_fact(call, 0).dtype;
    const bool floats =
        dtype == RML_F32 || dtype == RML_F64 || dtype == RML_F16 || dtype == RML_BF16;
    const double threshold = rml_onnx_float(call, "threshold", 0);
    // an integer is above a number where it is above its floor
    const rml_value_id limit = rml_onnx_scalar(call, dtype, floats ? threshold : floor(threshold));
    const rml_value_id above =
        rml_graph_binary(call->graph, RML_BINARY_GREATER, rml_onnx_in(call, 0), limit, call->name);
    call->out[0] = rml_onnx_cast(call, above, dtype);
}

// Columns by their numbers; a list becomes one row.
static void import_extractor(rml_onnx_call *call)
{
    const int rank = rml_onnx_fact(call, 0).shape.rank;
    const rml_value_id in[2] = {
        rml_onnx_in(call, 0),
        rml_graph_reshape(call->graph, rml_onnx_in(call, 1), &(rml_shape){1, {-1}}, call->name)};
    if (rank == RML_RANK_UNKNOWN) {
        rml_onnx_refuse(call, "the number of dimensions of its input is not known");
        return;
    }
    rml_onnx_emit(call, RML_OP_GATHER, &(rml_op_attr){.axis = {-1}}, in, 2);
    if (rank == 1)
        call->out[0] =
            rml_graph_reshape(call->graph, call->out[0], &(rml_shape){2, {1, -1}}, call->name);
}

const rml_onnx_entry rml_onnx_learned[] = {
    {.op_type = "ai.onnx.ml.TreeEnsemble", .import = import_trees, .since = 5},
    {.op_type = "ai.onnx.ml.Binarizer", .import = import_binarizer},
    {.op_type = "ai.onnx.ml.ArrayFeatureExtractor", .import = import_extractor},
    {.op_type = "TfIdfVectorizer", .import = import_ngrams, .since = 9},
    {.op_type = NULL},
};
