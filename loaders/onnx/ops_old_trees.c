// Ensembles of trees of older operator sets, which name a node by its tree and its number there; a
// leaf may vote for several classes or targets.
#include "loaders/onnx/make.h"
#include "loaders/onnx/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// A node's name: its tree, and its number there.
typedef struct key {
    int64_t tree, node;
    uint32_t index;
} key;

static int by_name(const void *left, const void *right)
{
    const key *a = left, *b = right;
    if (a->tree != b->tree)
        return a->tree < b->tree ? -1 : 1;
    return a->node == b->node ? 0 : a->node < b->node ? -1 : 1;
}

static const key *find(const key *keys, size_t count, int64_t tree, int64_t node)
{
    const key wanted = {tree, node, 0};
    return bsearch(&wanted, keys, count, sizeof *keys, by_name);
}

// The lists of an older ensemble. `target` and those behind it have one entry a vote.
typedef struct old_lists {
    size_t count, votes;
    const int64_t *tree, *node, *feature, *next[2], *nan_holds;
    const double *number;
    const rml_text *mode;
    const int64_t *target, *vote_tree, *vote_node;
    const double *weight;
    uint32_t leaves, inner;
    uint32_t *place; // of each node: among the inner nodes, or among the leaves, with RML_TREE_LEAF
    key *keys;
} old_lists;

static bool read_old_lists(rml_onnx_call *call, bool classifies, old_lists *l)
{
    const int k = classifies ? 0 : 1;
    static const char *const names[2][5] = {
        {"class_treeids", "class_nodeids", "class_ids", "class_weights", "class_weights_as_tensor"},
        {"target_treeids", "target_nodeids", "target_ids", "target_weights",
         "target_weights_as_tensor"}};
    size_t n[8], v[3];
    rml_onnx_ignore(call, "nodes_hitrates");
    rml_onnx_ignore(call, "nodes_hitrates_as_tensor");
    l->tree = rml_onnx_ints(call, "nodes_treeids", &l->count);
    l->node = rml_onnx_ints(call, "nodes_nodeids", &n[0]);
    l->feature = rml_onnx_ints(call, "nodes_featureids", &n[1]);
    l->next[0] = rml_onnx_ints(call, "nodes_falsenodeids", &n[2]);
    l->next[1] = rml_onnx_ints(call, "nodes_truenodeids", &n[3]);
    l->mode = rml_onnx_texts(call, "nodes_modes", &n[4]);
    l->number = rml_onnx_numbers(call, "nodes_values", "nodes_values_as_tensor", &n[5]);
    l->nan_holds = rml_onnx_ints(call, "nodes_missing_value_tracks_true", &n[6]);
    l->vote_tree = rml_onnx_ints(call, names[k][0], &l->votes);
    l->vote_node = rml_onnx_ints(call, names[k][1], &v[0]);
    l->target = rml_onnx_ints(call, names[k][2], &v[1]);
    l->weight = rml_onnx_numbers(call, names[k][3], names[k][4], &v[2]);
    bool fits = l->count > 0 && l->count < RML_TREE_LEAF && l->votes < RML_TREE_LEAF;
    for (int i = 0; i < 7; i++)
        fits = fits && (n[i] == l->count || (i == 6 && n[i] == 0));
    for (int i = 0; i < 3; i++)
        fits = fits && v[i] == l->votes;
    if (!fits)
        rml_onnx_refuse(call, "its nodes are described by lists of several lengths, or of none");
    return fits && !call->refused;
}

// LEAF is RML_TREE_TESTS; what is neither is one more.
static int mode_of(const rml_text *mode)
{
    static const char *const modes[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE", "BRANCH_GT",
                                        "BRANCH_EQ",  "BRANCH_NEQ", "",           "LEAF"};
    int i = 0;
    while (i <= RML_TREE_TESTS && (i == RML_TREE_MEMBER || strcmp(modes[i], mode->text) != 0))
        i++;
    return i;
}

// Names of all nodes, in order, and their places.
static bool name_nodes(rml_onnx_call *call, old_lists *l)
{
    l->keys = rml_onnx_room(call, l->count, sizeof *l->keys);
    l->place = rml_onnx_room(call, l->count, sizeof *l->place);
    if (!l->keys || !l->place)
        return false;
    for (size_t i = 0; i < l->count; i++) {
        l->keys[i] = (key){l->tree[i], l->node[i], (uint32_t)i};
        l->place[i] =
            mode_of(&l->mode[i]) == RML_TREE_TESTS ? l->leaves++ | RML_TREE_LEAF : l->inner++;
    }
    qsort(l->keys, l->count, sizeof *l->keys, by_name);
    for (size_t i = 1; i < l->count; i++)
        if (by_name(&l->keys[i - 1], &l->keys[i]) == 0) {
            rml_onnx_refuse(call, "tree %lld has two nodes %lld", (long long)l->keys[i].tree,
                            (long long)l->keys[i].node);
            return false;
        }
    return true;
}

// What nothing leads to is a root, and nothing is led to in two ways: every walk ends.
static bool link_nodes(rml_onnx_call *call, const old_lists *l, rml_tree_ensemble_attr *attr)
{
    rml_tree_node *nodes = rml_onnx_room(call, l->inner, sizeof *nodes);
    uint8_t *reached = rml_onnx_room(call, l->count, 1);
    uint32_t *roots = rml_onnx_room(call, l->count, sizeof *roots);
    size_t trees = 0;
    if (!nodes || !reached || !roots)
        return false;
    memset(reached, 0, l->count);
    for (size_t i = 0; i < l->count; i++) {
        const int mode = mode_of(&l->mode[i]);
        trees += i == 0 || l->keys[i].tree != l->keys[i - 1].tree;
        if (mode == RML_TREE_TESTS)
            continue;
        const key *to[2] = {find(l->keys, l->count, l->tree[i], l->next[0][i]),
                            find(l->keys, l->count, l->tree[i], l->next[1][i])};
        if (mode > RML_TREE_TESTS || l->feature[i] < 0 || l->feature[i] > UINT32_MAX || !to[0] ||
            !to[1]) {
            rml_onnx_refuse(call,
                            "node %lld of tree %lld has a test, a feature or a branch that is none",
                            (long long)l->node[i], (long long)l->tree[i]);
            return false;
        }
        nodes[l->place[i]] =
            (rml_tree_node){.test = (uint8_t)mode,
                            .feature = (uint32_t)l->feature[i],
                            .against.number = l->number[i],
                            .nan_holds = l->nan_holds && l->nan_holds[i] != 0,
                            .next = {l->place[to[0]->index], l->place[to[1]->index]}};
        if (reached[to[0]->index]++ || reached[to[1]->index]++) {
            rml_onnx_refuse(call, "one of its nodes is reached in two ways");
            return false;
        }
    }
    for (size_t i = 0; i < l->count; i++)
        if (!reached[i])
            roots[attr->root_count++] = l->place[i];
    if (attr->root_count != trees)
        rml_onnx_refuse(call, "%zu trees have %zu roots", trees, attr->root_count);
    attr->node = nodes;
    attr->root = roots;
    return !call->refused;
}

// The votes of each leaf, side by side.
static bool take_votes(rml_onnx_call *call, const old_lists *l, rml_tree_ensemble_attr *attr)
{
    uint32_t *leaf = rml_onnx_room(call, (size_t)l->leaves + 2, sizeof *leaf);
    uint32_t *of = rml_onnx_room(call, l->votes, sizeof *of);
    rml_tree_vote *vote = rml_onnx_room(call, l->votes, sizeof *vote);
    if (!leaf || !of || !vote)
        return false;
    memset(leaf, 0, ((size_t)l->leaves + 2) * sizeof *leaf);
    for (size_t i = 0; i < l->votes; i++) {
        const key *at = find(l->keys, l->count, l->vote_tree[i], l->vote_node[i]);
        if (!at || !(l->place[at->index] & RML_TREE_LEAF) || l->target[i] < 0 ||
            l->target[i] >= attr->targets) {
            rml_onnx_refuse(call, "a vote of node %lld of tree %lld for target %lld of %lld",
                            (long long)l->vote_node[i], (long long)l->vote_tree[i],
                            (long long)l->target[i], (long long)attr->targets);
            return false;
        }
        of[i] = l->place[at->index] & ~RML_TREE_LEAF;
        leaf[of[i] + 2]++;
    }
    for (uint32_t k = 2; k < l->leaves + 2; k++)
        leaf[k] += leaf[k - 1];
    for (size_t i = 0; i < l->votes; i++) // leaf[k + 1] runs from the first of leaf k to its end
        vote[leaf[of[i] + 1]++] = (rml_tree_vote){l->weight[i], (uint32_t)l->target[i]};
    attr->leaf = leaf;
    attr->vote = vote;
    return true;
}

static bool read_old(rml_onnx_call *call, bool classifies, old_lists *l,
                     rml_tree_ensemble_attr *attr)
{
    return read_old_lists(call, classifies, l) && name_nodes(call, l) &&
           link_nodes(call, l, attr) && take_votes(call, l, attr);
}

// Integers are walked with as doubles. The result is f32, whatever they are.
static rml_value_id features(rml_onnx_call *call)
{
    const rml_dtype dtype = rml_onnx_fact(call, 0).dtype;
    return rml_onnx_cast(call, rml_onnx_in(call, 0), rml_dtype_is_float(dtype) ? dtype : RML_F64);
}

// ---- regression ---------------------------------------------------------------------------------

// The base values, one for each of `count` scores, added.
static rml_value_id with_base(rml_onnx_call *call, rml_value_id scores, int64_t count)
{
    size_t given;
    const double *base = rml_onnx_numbers(call, "base_values", "base_values_as_tensor", &given);
    const rml_shape shape = {1, {count}};
    if (given == 0 || call->refused)
        return scores;
    if (given != (size_t)count) {
        rml_onnx_refuse(call, "it has %zu base values for %lld scores", given, (long long)count);
        return scores;
    }
    const rml_dtype dtype = call->graph->values[scores].dtype;
    return rml_onnx_add(call, scores,
                        rml_onnx_constant_of(call, dtype, &shape, RML_F64, base, given));
}

static void import_regressor(rml_onnx_call *call)
{
    old_lists lists = {0};
    rml_tree_ensemble_attr attr = {.targets = rml_onnx_int(call, "n_targets", 1)};
    attr.join = (rml_tree_join)rml_onnx_word(call, "aggregate_function", "AVERAGE SUM MIN MAX",
                                             RML_TREE_SUM);
    const rml_onnx_post how = rml_onnx_post_transform(call);
    if (attr.targets < 1 || attr.targets > INT32_MAX)
        rml_onnx_refuse(call, "it has %lld targets", (long long)attr.targets);
    if (call->refused || !read_old(call, false, &lists, &attr))
        return;
    rml_value_id y = rml_onnx_add_trees(call, features(call), &attr);
    if (y == RML_NO_VALUE)
        return;
    y = with_base(call, y, attr.targets);
    // ONNX Runtime leaves a single number as it is, and files are made to fit that.
    y = attr.targets > 1 ? rml_onnx_transform(call, y, how) : y;
    call->out[0] = rml_onnx_cast(call, y, RML_F32);
}

// ---- classification -----------------------------------------------------------------------------

// Two classes of which one gets all votes: those for the first count for the second.
typedef struct one_score {
    bool is_it, of_first;
    double limit; // the label is the second class above it
} one_score;

static one_score look_for_one(const old_lists *l, size_t classes)
{
    one_score one = {.is_it = classes == 2 && l->votes > 0, .limit = 0.5};
    for (size_t i = 0; i < l->votes; i++) {
        one.is_it = one.is_it && l->target[i] == l->target[0];
        if (!(l->weight[i] >= 0))
            one.limit = 0;
    }
    one.of_first = one.is_it && l->target[0] == 0;
    return one;
}

// What no leaf that was reached has voted for cannot win, and has the score 0.
static rml_value_id voted(rml_onnx_call *call, rml_value_id scores)
{
    const rml_value_id none = rml_onnx_number_like(call, scores, (double)-INFINITY);
    return rml_onnx_choose(call, rml_onnx_binary(call, RML_BINARY_EQUAL, scores, none),
                           rml_onnx_number_like(call, scores, 0), scores);
}

static void import_classifier(rml_onnx_call *call)
{
    old_lists lists = {0};
    const rml_onnx_labels labels =
        rml_onnx_read_labels(call, "classlabels_int64s", "classlabels_strings");
    const rml_onnx_post how = rml_onnx_post_transform(call);
    size_t bases;
    rml_onnx_numbers(call, "base_values", "base_values_as_tensor", &bases);
    rml_tree_ensemble_attr attr = {
        .join = RML_TREE_SUM, .targets = (int64_t)labels.count, .absent = (double)-INFINITY};
    if (labels.count < 2)
        rml_onnx_refuse(call, "it has labels for %zu classes", labels.count);
    if (call->refused || !read_old(call, true, &lists, &attr))
        return;
    const one_score one = look_for_one(&lists, labels.count);
    if (one.of_first) {
        attr.targets = 1;
        attr.absent = 0;
    } else if (bases > 0) { // every class has a score
        attr.absent = 0;
    }
    rml_value_id sums = rml_onnx_add_trees(call, features(call), &attr);
    if (sums == RML_NO_VALUE)
        return;
    sums = with_base(call, sums, attr.targets);
    const rml_value_id scores = attr.absent != 0 ? voted(call, sums) : sums;
    if (one.of_first) {
        call->out[0] = rml_onnx_label_above(call, &labels, sums, one.limit);
        call->out[1] = rml_onnx_both_scores(call, sums, how, one.limit == 0);
    } else {
        call->out[0] =
            one.is_it
                ? rml_onnx_label_above(call, &labels,
                                       rml_graph_slice(call->graph, scores, 1, 1, 2, 1, call->name),
                                       one.limit)
                : rml_onnx_label_of(call, &labels, rml_onnx_best(call, sums));
        call->out[1] = rml_onnx_transform(call, scores, how);
    }
    call->out[1] = rml_onnx_cast(call, call->out[1], RML_F32);
}

const rml_onnx_entry rml_onnx_old_trees[] = {
    {.op_type = "ai.onnx.ml.TreeEnsembleClassifier", .import = import_classifier},
    {.op_type = "ai.onnx.ml.TreeEnsembleRegressor", .import = import_regressor},
    {.op_type = NULL},
};
