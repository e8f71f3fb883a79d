// Attributes of what classic learners are made of: ops/ml/tree_ensemble.c and ops/ml/tfidf.c. All
// arrays live as long as the graph.
#ifndef RML_OPS_ATTR_ML_H
#define RML_OPS_ATTR_ML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum rml_tree_test {
    RML_TREE_LEQ, // of the feature against the node's number
    RML_TREE_LT,
    RML_TREE_GTE,
    RML_TREE_GT,
    RML_TREE_EQ,
    RML_TREE_NEQ,
    RML_TREE_MEMBER, // whether the feature is one of a set
    RML_TREE_TESTS
} rml_tree_test;

#define RML_TREE_LEAF (UINT32_C(1) << 31) // added to the index of a leaf where a node could be

typedef struct rml_tree_node {
    union {
        double number;
        struct {
            uint32_t first, count; // of `member`
        } set;
    } against;
    uint32_t next[2]; // if the test fails, and if it holds: a node, or a leaf
    uint32_t feature;
    uint8_t test;      // rml_tree_test
    uint8_t nan_holds; // the test holds for NaN, whatever it is
} rml_tree_node;

typedef struct rml_tree_vote {
    double weight;
    uint32_t target;
} rml_tree_vote;

typedef enum rml_tree_join {
    RML_TREE_AVERAGE,
    RML_TREE_SUM,
    RML_TREE_MIN,
    RML_TREE_MAX
} rml_tree_join;

// No node is reached in two ways, so that every walk ends.
typedef struct rml_tree_ensemble_attr {
    const rml_tree_node *node;
    const uint32_t *root; // [root_count], nodes or leaves
    size_t root_count;
    const double *member;
    const uint32_t *leaf; // a leaf's votes begin at leaf[i] and end at leaf[i + 1]
    const rml_tree_vote *vote;
    int64_t targets;
    rml_tree_join join;
    double absent; // what a target is that nothing has voted for
} rml_tree_ensemble_attr;

typedef struct rml_ngram {
    const int64_t *word; // [length]
    int64_t length;
    int64_t place; // in the output
    double weight;
} rml_ngram;

typedef struct rml_tfidf_attr {
    const rml_ngram *gram; // those that are looked for
    size_t count;
    int64_t places;   // of the output
    int64_t max_skip; // words left out between two of a gram, at most
    bool once;        // however often one is found
} rml_tfidf_attr;

#endif
