// Ensembles of trees as the newest operator has them, whose nodes say by index where they lead.
#include "loaders/onnx/make.h"
#include "loaders/onnx/scores.h"

#include <math.h>
#include <string.h>

// A tree is walked from its root, and no node is reached in two ways: every walk ends. Counts for
// each node whether it is reached.
static bool reach(rml_onnx_call *call, const rml_tree_node *nodes, size_t count, uint8_t *reached)
{
    bool once = true;
    for (size_t i = 0; i < count && once; i++)
        for (int k = 0; k < 2 && once; k++)
            once = (nodes[i].next[k] & RML_TREE_LEAF) || !reached[nodes[i].next[k]]++;
    if (!once)
        rml_onnx_refuse(call, "one of its nodes is reached in two ways");
    return once;
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
    lists->test = rml_onnx_tensor_numbers(call, "nodes_modes", &count[5]);
    lists->number = rml_onnx_tensor_numbers(call, "nodes_splits", &count[6]);
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
    const size_t first = *at;
    while (*at < count && !isnan(member[*at]))
        ++*at;
    node->against.set.first = (uint32_t)first;
    node->against.set.count = (uint32_t)(*at - first);
    return (*at)++ < count;
}

static rml_tree_node *read_nodes(rml_onnx_call *call, const node_lists *lists, const double *member,
                                 size_t member_count, size_t leaves)
{
    rml_tree_node *nodes = rml_onnx_room(call, lists->count, sizeof *nodes);
    size_t at = 0;
    bool fits = nodes != NULL && lists->count < RML_TREE_LEAF && leaves < RML_TREE_LEAF &&
                member_count < RML_TREE_LEAF;
    for (size_t i = 0; i < lists->count && fits; i++) {
        const double test = lists->test[i];
        fits = test >= 0 && test < RML_TREE_TESTS && lists->feature[i] >= 0 &&
               lists->feature[i] <= UINT32_MAX;
        nodes[i] = (rml_tree_node){.test = (uint8_t)(fits ? test : 0),
                                   .feature = (uint32_t)(fits ? lists->feature[i] : 0),
                                   .against.number = lists->number[i],
                                   .nan_holds = lists->nan_holds && lists->nan_holds[i] != 0};
        for (int k = 0; k < 2 && fits; k++) {
            const bool is_leaf = lists->is_leaf[k][i] != 0;
            const int64_t next = lists->next[k][i];
            fits = next >= 0 && (uint64_t)next < (is_leaf ? leaves : lists->count);
            nodes[i].next[k] = (uint32_t)(fits ? next : 0) | (is_leaf ? RML_TREE_LEAF : 0);
        }
        if (fits && nodes[i].test == RML_TREE_MEMBER)
            fits = take_members(member, member_count, &at, &nodes[i]);
    }
    if (!fits)
        rml_onnx_refuse(call, "one of its nodes has a test, a feature or a branch that is none");
    return fits ? nodes : NULL;
}

static const uint32_t *read_roots(rml_onnx_call *call, size_t nodes, uint8_t *reached,
                                  size_t *count)
{
    const int64_t *given = rml_onnx_ints(call, "tree_roots", count);
    uint32_t *roots = rml_onnx_room(call, *count, sizeof *roots);
    for (size_t i = 0; i < *count && roots; i++) {
        if (given[i] < 0 || (uint64_t)given[i] >= nodes) {
            rml_onnx_refuse(call, "root %lld is none of %zu nodes", (long long)given[i], nodes);
            return NULL;
        }
        if (reached[given[i]]++)
            rml_onnx_refuse(call, "one of its nodes is reached in two ways");
        roots[i] = (uint32_t)given[i];
    }
    return roots;
}

// A leaf has one vote.
static bool read_leaves(rml_onnx_call *call, rml_tree_ensemble_attr *attr, size_t *count)
{
    size_t targets;
    const double *weight = rml_onnx_tensor_numbers(call, "leaf_weights", count);
    const int64_t *target = rml_onnx_ints(call, "leaf_targetids", &targets);
    bool fits = targets == *count && attr->targets >= 1 && attr->targets <= INT32_MAX &&
                *count < RML_TREE_LEAF;
    uint32_t *leaf = rml_onnx_room(call, *count + 1, sizeof *leaf);
    rml_tree_vote *vote = rml_onnx_room(call, *count, sizeof *vote);
    if (!leaf || !vote)
        return false;
    for (size_t i = 0; i < *count && fits; i++) {
        fits = target[i] >= 0 && target[i] < attr->targets;
        leaf[i] = (uint32_t)i;
        vote[i] = (rml_tree_vote){weight[i], (uint32_t)(fits ? target[i] : 0)};
    }
    leaf[*count] = (uint32_t)*count;
    attr->leaf = leaf;
    attr->vote = vote;
    if (!fits)
        rml_onnx_refuse(call, "the targets of its leaves are none of %lld",
                        (long long)attr->targets);
    return fits;
}

static void import_trees(rml_onnx_call *call)
{
    node_lists lists = {0};
    size_t members, leaves;
    rml_tree_ensemble_attr attr = {.targets = rml_onnx_int(call, "n_targets", 1)};
    const int64_t join = rml_onnx_int(call, "aggregate_function", RML_TREE_SUM);
    const int64_t how = rml_onnx_int(call, "post_transform", RML_POST_NONE);
    attr.member = rml_onnx_tensor_numbers(call, "membership_values", &members);
    if (join < RML_TREE_AVERAGE || join > RML_TREE_MAX)
        rml_onnx_refuse(call, "aggregate_function is %lld", (long long)join);
    attr.join = (rml_tree_join)join;
    if (!read_lists(call, &lists) || !read_leaves(call, &attr, &leaves)) {
        rml_onnx_refuse(call, "it has no nodes");
        return;
    }
    uint8_t *reached = rml_onnx_room(call, lists.count, 1);
    if (!reached)
        return;
    memset(reached, 0, lists.count);
    attr.root = read_roots(call, lists.count, reached, &attr.root_count);
    attr.node = read_nodes(call, &lists, attr.member, members, leaves);
    if (!attr.root || !attr.node || !reach(call, attr.node, lists.count, reached) || call->refused)
        return;
    call->out[0] =
        rml_onnx_transform(call, rml_onnx_add_trees(call, rml_onnx_in(call, 0), &attr), how);
}

const rml_onnx_entry rml_onnx_trees[] = {
    {.op_type = "ai.onnx.ml.TreeEnsemble", .import = import_trees, .since = 5},
    {.op_type = NULL},
};
