"""Classic learners of ai.onnx.ml against ONNX Runtime, and trees of scikit-learn against itself."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx_run
from test_onnx_microsoft import near

ML = {"ai.onnx.ml": 3}
F32 = np.float32


def make(op, inputs, outputs=1, version=3, shapes="known", **attributes):
    feeds = {f"x{i}": array for i, array in enumerate(inputs)}
    names = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, list(feeds), names, domain="ai.onnx.ml", **attributes)
    made = onnx_run.model([node], feeds, dict.fromkeys(names, 1), 17, None, shapes,
                          {"ai.onnx.ml": version})
    del made.graph.output[:]
    made.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    return made, feeds


def same(program, folder, op, inputs, outputs=1, compare=near, **attributes):
    want = onnx_run.run_onnxruntime(*make(op, inputs, outputs, **attributes))
    for shapes in onnx_run.SHAPES[:2]:
        made, feeds = make(op, inputs, outputs, shapes=shapes, **attributes)
        got = onnx_run.run(program, folder, made, feeds)
        for ours, theirs in zip(got, want, strict=True):
            assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
            compare(ours, theirs)
    return got


def rows(*shape, dtype=F32, seed=0):
    rng = np.random.default_rng([seed, *shape])
    return rng.integers(-12, 13, shape).astype(dtype) / np.array(4, dtype)


# ---- trees ---------------------------------------------------------------------------------------

MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


class Trees:
    """Random trees as lists, with numbers of trees that have gaps."""

    def __init__(self, seed, count, features, targets, low=-1.0, modes=MODES, votes=2, only=None):
        self.rng = np.random.default_rng(seed)
        self.features, self.targets, self.low, self.modes = features, targets, low, modes
        self.votes_each, self.only = votes, only
        self.nodes, self.votes = [], []
        for tree in range(count):
            self.tree, self.next = 3 * tree + 1, 0
            self.grow(4)
        order = self.rng.permutation(len(self.votes))  # the order of votes says nothing
        self.votes = [self.votes[i] for i in order]

    def grow(self, depth):
        index, self.next = self.next, self.next + 1
        node = {"treeids": self.tree, "nodeids": index, "featureids": 0, "values": 0.0,
                "modes": "LEAF", "truenodeids": 0, "falsenodeids": 0,
                "missing_value_tracks_true": 0}
        self.nodes.append(node)
        if depth == 0 or (depth < 4 and self.rng.random() < 0.3):
            for _ in range(self.votes_each):
                target = self.only if self.only is not None else self.rng.integers(self.targets)
                weight = float(F32(self.rng.uniform(self.low, 1)))
                self.votes.append((self.tree, index, int(target), weight))
            return index
        node.update(featureids=int(self.rng.integers(self.features)),
                    modes=self.rng.choice(self.modes),
                    values=float(self.rng.integers(-8, 9) / 4),
                    missing_value_tracks_true=int(self.rng.integers(2)))
        node["truenodeids"] = self.grow(depth - 1)
        node["falsenodeids"] = self.grow(depth - 1)
        return index

    def lists(self, kind):
        lists = {f"nodes_{key}": [node[key] for node in self.nodes] for key in self.nodes[0]}
        lists["nodes_modes"] = [str(mode) for mode in lists["nodes_modes"]]
        for key, values in zip(("treeids", "nodeids", "ids", "weights"), zip(*self.votes)):
            lists[f"{kind}_{key}"] = list(values)
        return lists


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("join", ["SUM", "AVERAGE", "MIN", "MAX"])
def test_tree_regressor(program, tmp_path, post, targets, join):
    x = rows(40, 5)
    x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    lists = Trees(targets, 9, 5, targets, votes=targets).lists("target")
    base = {"base_values": [0.5, -0.25, 2.0][:targets]} if post != "SOFTMAX" else {}
    same(program, tmp_path, "TreeEnsembleRegressor", [x], n_targets=targets, post_transform=post,
         aggregate_function=join, **lists, **base)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.int32])
def test_trees_on_other_types(program, tmp_path, dtype):
    x = (rows(40, 5) * 4).astype(dtype)
    if dtype == np.float64:
        lists = Trees(1, 9, 5, 2).lists("target")
        same(program, tmp_path, "TreeEnsembleRegressor", [x], n_targets=2, **lists)
    same(program, tmp_path, "TreeEnsembleClassifier", [x], 2, classlabels_int64s=[1, 2, 3],
         **Trees(1, 9, 5, 3).lists("class"))


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("low", [0.0, -1.0])
def test_tree_classifier(program, tmp_path, post, low):
    """More than two classes, some without a vote in some rows; with base values and without."""
    x = rows(60, 5, seed=2)
    for trees, base in ((1, {}), (9, {}), (9, {"base_values": [0.5, -0.25, 2.0, 0.0]})):
        lists = Trees(trees, trees, 5, 4, low).lists("class")
        same(program, tmp_path, "TreeEnsembleClassifier", [x], 2, post_transform=post,
             classlabels_int64s=[7, -1, 2**40, 3], **lists, **base)


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("only", [0, 1])
def test_tree_classifier_of_two(program, tmp_path, post, low, only):
    """All votes for one class: what most exporters write."""
    x = rows(60, 5, seed=2)
    lists = Trees(3, 9, 5, 2, low, votes=1, only=only).lists("class")
    lists["class_weights"] = [w / 9 for w in lists["class_weights"]]
    for base in ({}, {"base_values": [0.125]})[: 2 - only]:
        got = same(program, tmp_path, "TreeEnsembleClassifier", [x], 2, post_transform=post,
                   classlabels_int64s=[4, 9], **lists, **base)
        assert base or set(got[0]) == {4, 9}


def test_tree_classifier_of_two_with_votes_for_both(program, tmp_path):
    """The label is that of the larger score. ONNX Runtime 1.31 gives 0 and 1, whatever they are."""
    lists = Trees(3, 9, 5, 2, 0.0).lists("class")
    made, feeds = make("TreeEnsembleClassifier", [rows(60, 5, seed=2)], 2,
                       classlabels_int64s=[4, 9], **lists)
    labels, scores = onnx_run.run(program, tmp_path, made, feeds)
    near(scores, onnx_run.run_onnxruntime(made, feeds)[1])
    np.testing.assert_array_equal(labels, np.array([4, 9])[scores.argmax(1)])


def test_labels_that_are_strings(program, tmp_path):
    """Their places in the list stand for them."""
    names = ["setosa", "versicolor", "virginica"]
    lists, x = Trees(2, 9, 5, 3).lists("class"), rows(60, 5)
    made, feeds = make("TreeEnsembleClassifier", [x], 2, classlabels_strings=names, **lists)
    want = onnx_run.run_onnxruntime(made, feeds)
    labels, scores = onnx_run.run(program, tmp_path, made, feeds)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(np.array(names)[labels], want[0])
    near(scores, want[1])


def test_strings_that_are_picked(program, tmp_path):
    """A list of them in the file, as classifiers have that are written out."""
    names, x = ["a", "b", "c", "a"], rows(9, 4)
    nodes = [helper.make_node("ArgMax", ["x"], ["i"], axis=1, keepdims=0),
             helper.make_node("ArrayFeatureExtractor", ["names", "i"], ["l"], domain="ai.onnx.ml"),
             helper.make_node("Reshape", ["l", "shape"], ["label"])]
    made = onnx_run.model(nodes, {"x": x}, {"label": TensorProto.STRING}, 17,
                          {"shape": np.array([-1])}, domains=ML)
    made.graph.initializer.append(helper.make_tensor("names", TensorProto.STRING, [4], names))
    (want,) = onnx_run.run_onnxruntime(made, {"x": x})
    (got,) = onnx_run.run(program, tmp_path, made, {"x": x})
    np.testing.assert_array_equal(np.array(names)[got], want)
    for op, inputs in (("Concat", ["names", "names"]), ("Equal", ["l", "names"]),
                       ("Unique", ["names"])):
        made.graph.node[2].CopyFrom(helper.make_node(op, inputs, ["label"]))
        if op == "Concat":
            made.graph.node[2].attribute.append(helper.make_attribute("axis", 0))
        with pytest.raises(AssertionError, match=f"{op} .*input . has strings"):
            onnx_run.run(program, tmp_path, made, {"x": x})


def spoiled(**changes):
    lists = Trees(2, 3, 5, 3).lists("class") | {"classlabels_int64s": [0, 1, 2]}
    for name, change in changes.items():
        lists[name] = change(lists[name])
    return lists


def at(index, value):
    return lambda old: [value if i == index else v for i, v in enumerate(old)]


@pytest.mark.parametrize("lists", [
    spoiled(nodes_truenodeids=lambda v: [99] * len(v)),
    spoiled(nodes_truenodeids=lambda v: [0] * len(v)),  # to the root
    spoiled(nodes_falsenodeids=at(0, -7)),
    spoiled(nodes_featureids=at(0, -1)),
    spoiled(nodes_featureids=at(0, 2**40)),
    spoiled(nodes_modes=at(0, "BRANCH_MEMBER")),
    spoiled(nodes_modes=at(0, "LEAF")),  # its branches become roots
    spoiled(nodes_nodeids=lambda v: [0] * len(v)),
    spoiled(nodes_treeids=lambda v: v[:-1]),
    spoiled(nodes_values=lambda v: v[:-1]),
    spoiled(class_ids=at(0, 3)),
    spoiled(class_ids=at(0, -1)),
    spoiled(class_nodeids=at(0, 0)),  # no leaf
    spoiled(class_treeids=at(0, 77)),
    spoiled(class_weights=lambda v: v[:-1]),
    spoiled(classlabels_int64s=lambda v: v[:1]),
    spoiled() | {"base_values": [1.0]},
    spoiled() | {"post_transform": "PROBIT"},
])
def test_trees_that_are_none(program, tmp_path, lists):
    made, feeds = make("TreeEnsembleClassifier", [rows(4, 5)], 2, **lists)
    with pytest.raises(AssertionError, match="cannot be run: ai.onnx.ml.TreeEnsembleClassifier"):
        onnx_run.run(program, tmp_path, made, feeds)


def test_a_ring_of_nodes(program, tmp_path):
    """Two nodes that lead to each other, beside a root that is a leaf."""
    lists = {"nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_featureids": [0, 0, 0],
             "nodes_values": [0.0, 0.0, 0.0], "nodes_modes": ["LEAF", "BRANCH_LT", "BRANCH_LT"],
             "nodes_truenodeids": [0, 2, 1], "nodes_falsenodeids": [0, 1, 2],
             "target_treeids": [0], "target_nodeids": [0], "target_ids": [0],
             "target_weights": [1.0]}  # fmt: skip
    made, feeds = make("TreeEnsembleRegressor", [rows(4, 5)], 1, **lists)
    with pytest.raises(AssertionError, match="reached in two ways"):
        onnx_run.run(program, tmp_path, made, feeds)


# ---- scikit-learn --------------------------------------------------------------------------------


def exported(estimator, kind, weight):
    """The trees of an estimator; `weight(tree, value, output)`: votes of a leaf."""
    lists = {f"nodes_{key}": [] for key in ("treeids", "nodeids", "featureids", "values", "modes",
                                            "truenodeids", "falsenodeids")}
    lists |= {f"{kind}_{key}": [] for key in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(estimator):
        t = tree.tree_
        for i in range(t.node_count):
            leaf = t.children_left[i] < 0
            row = (number, i, max(0, int(t.feature[i])), float(t.threshold[i]),
                   "LEAF" if leaf else "BRANCH_LEQ", max(0, int(t.children_left[i])),
                   max(0, int(t.children_right[i])))
            for key, value in zip(list(lists)[:7], row):
                lists[key].append(value)
            for target, vote in weight(number, t.value[i]) if leaf else []:
                for key, value in zip(list(lists)[7:], (number, i, target, vote)):
                    lists[key].append(value)
    return lists


def test_scikit_learn(program, tmp_path):
    from sklearn import ensemble

    x, rng = rows(200, 4, seed=9), np.random.default_rng(1)
    y = np.clip(np.floor(x[:, 0] + x[:, 1] ** 2 - x[:, 2]) % 3, 0, 2).astype(int)
    forest = ensemble.RandomForestClassifier(12, max_depth=5, random_state=1).fit(x, y)
    lists = exported(forest.estimators_, "class",
                     lambda _, v: [(k, w / v.sum() / 12) for k, w in enumerate(v[0])])
    made, feeds = make("TreeEnsembleClassifier", [x], 2, classlabels_int64s=[0, 1, 2], **lists)
    labels, scores = onnx_run.run(program, tmp_path, made, feeds)
    np.testing.assert_allclose(scores, forest.predict_proba(x), atol=1e-6)
    np.testing.assert_array_equal(labels, forest.predict(x))
    boosted = ensemble.GradientBoostingRegressor(n_estimators=20, random_state=1)
    boosted.fit(x, y + rng.standard_normal(len(x)))
    lists = exported(boosted.estimators_[:, 0], "target", lambda _, v: [(0, v[0, 0] * 0.1)])
    made, feeds = make("TreeEnsembleRegressor", [x], n_targets=1, **lists,
                       base_values=[float(boosted.init_.constant_[0, 0])])
    (got,) = onnx_run.run(program, tmp_path, made, feeds)
    np.testing.assert_allclose(got[:, 0], boosted.predict(x), atol=1e-5)


# ---- linear models -------------------------------------------------------------------------------


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_linear(program, tmp_path, post, dtype):
    x, weight = (rows(30, 4) * 2).astype(dtype), rows(12, seed=3).tolist()
    for scores, labels in ((1, [4, 9]), (2, [4, 9]), (3, [5, 1, 2])):
        same(program, tmp_path, "LinearClassifier", [x], 2, coefficients=weight[: 4 * scores],
             intercepts=[0.5, -0.125, 0.25][:scores], classlabels_ints=labels, multi_class=1,
             post_transform=post)
    for targets in (1, 3) if dtype == F32 else ():
        same(program, tmp_path, "LinearRegressor", [x], coefficients=weight[: 4 * targets],
             intercepts=[0.5, -0.125, 0.25][:targets], targets=targets, post_transform=post)
        same(program, tmp_path, "LinearRegressor", [x], coefficients=weight[: 4 * targets],
             targets=targets, post_transform=post)


@pytest.mark.parametrize("change", [{"coefficients": [1.0] * 7}, {"classlabels_ints": [1]},
                                    {"classlabels_ints": [1, 2, 3]}, {"intercepts": [1.0] * 3}])
def test_linear_that_does_not_fit(program, tmp_path, change):
    lists = {"coefficients": [1.0] * 8, "intercepts": [0.0] * 2, "classlabels_ints": [1, 2]}
    made, feeds = make("LinearClassifier", [rows(3, 4)], 2, **(lists | change))
    with pytest.raises(AssertionError, match="LinearClassifier|do not fit|shape"):
        onnx_run.run(program, tmp_path, made, feeds)


# ---- support vector machines ---------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["LINEAR", "POLY", "RBF", "SIGMOID"])
@pytest.mark.parametrize("one_class", [0, 1])
def test_svm_regressor(program, tmp_path, kernel, one_class):
    same(program, tmp_path, "SVMRegressor", [rows(30, 4)], kernel_type=kernel, n_supports=7,
         kernel_params=[0.25, 0.5, 2.0], support_vectors=rows(28, seed=1).tolist(),
         coefficients=rows(7).tolist(), rho=[0.3], one_class=one_class, compare=nearly)


def nearly(ours, theirs):
    """ONNX Runtime sums in single precision."""
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-5 * np.abs(theirs).max())


def machine(classes, kernel="RBF", **more):
    return {"kernel_type": kernel, "kernel_params": [0.25, 0.5, 2.0],
            "vectors_per_class": [3, 2, 4, 1][:classes], "classlabels_ints": [7, 2, 9, 4][:classes],
            "support_vectors": rows(4 * sum([3, 2, 4, 1][:classes]), seed=1).tolist(),
            "coefficients": rows((classes - 1) * sum([3, 2, 4, 1][:classes]), seed=2).tolist(),
            "rho": (rows(classes * (classes - 1) // 2, seed=3) / 64 + F32(0.03)).tolist(), **more}


@pytest.mark.parametrize("kernel", ["LINEAR", "POLY", "RBF", "SIGMOID"])
@pytest.mark.parametrize("post", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("classes", [2, 3, 4])
def test_svm_classifier(program, tmp_path, kernel, post, classes):
    got = same(program, tmp_path, "SVMClassifier", [rows(30, 4)], 2, compare=nearly,
               **machine(classes, kernel, post_transform=post))
    assert kernel == "POLY" or len(set(got[0])) > 1


def test_svm_probabilities(program, tmp_path):
    """Of two classes exactly; ONNX Runtime stops an iteration early."""
    x = rows(30, 4)
    decisions, made = (make("SVMClassifier", [x], 2, **machine(2, **more))[0]
                       for more in ({}, {"prob_a": [-1.5], "prob_b": [0.25]}))
    _, scores = onnx_run.run(program, tmp_path, decisions, {"x0": x})
    labels, got = onnx_run.run(program, tmp_path, made, {"x0": x})
    want = 1 - 1 / (1 + np.exp(1.5 * scores[:, 1] - 0.25))
    np.testing.assert_allclose(got, np.stack([want, 1 - want], 1), atol=1e-6)
    theirs = onnx_run.run_onnxruntime(made, {"x0": x})
    np.testing.assert_array_equal(labels, theirs[0])
    np.testing.assert_allclose(got, theirs[1], atol=5e-3)
    made, _ = make("SVMClassifier", [x], 2, **machine(3, prob_a=[1.0] * 3, prob_b=[0.0] * 3))
    with pytest.raises(AssertionError, match="probabilities of more than two classes"):
        onnx_run.run(program, tmp_path, made, {"x0": x})


@pytest.mark.parametrize("change", [
    {"vectors_per_class": [3, 2]}, {"vectors_per_class": [3, 2, -4]}, {"rho": [0.0]},
    {"vectors_per_class": [2**40, 2, 4]}, {"coefficients": [1.0]}, {"support_vectors": [1.0] * 5},
    {"classlabels_ints": [1, 2]}, {"kernel_params": [1.0]}, {"post_transform": "PROBIT"}])
def test_svm_that_does_not_fit(program, tmp_path, change):
    made, feeds = make("SVMClassifier", [rows(3, 4)], 2, **(machine(3) | change))
    with pytest.raises(AssertionError, match="cannot be run: ai.onnx.ml.SVMClassifier"):
        onnx_run.run(program, tmp_path, made, feeds)


# ---- around them ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32])
def test_features(program, tmp_path, dtype):
    x = (rows(9, 3) * 4).astype(dtype)
    x[4] = 0
    for size in (3, 1):
        same(program, tmp_path, "Scaler", [x], offset=[1.0, 0.5, -2.0][:size],
             scale=[0.3, 2.0, 7.0][:size])
    for norm in ("MAX", "L1", "L2"):
        same(program, tmp_path, "Normalizer", [x], norm=norm)
        same(program, tmp_path, "Normalizer", [x[0]], norm=norm)
    same(program, tmp_path, "FeatureVectorizer", [x, x[:, :2], x], inputdimensions=[3, 2, 3])


def test_imputer(program, tmp_path):
    for dtype in (F32, np.float64):
        x = rows(9, 3, dtype=dtype)
        x[2, 1] = x[5, 0] = np.nan
        for number in (np.nan, 0.5, None):
            replaced = {} if number is None else {"replaced_value_float": number}
            for values in ([1.5, 2.5, 3.5], [7.0]):
                if dtype == F32:
                    same(program, tmp_path, "Imputer", [x], imputed_value_floats=values, **replaced)
    same(program, tmp_path, "Imputer", [(rows(9, 3) * 4).astype(np.int64)],
         imputed_value_int64s=[1, 2, 3], replaced_value_int64=-2)


def test_label_encoder(program, tmp_path):
    op, x = "LabelEncoder", np.array([[3, 1], [2**40, -5], [7, 3]])
    same(program, tmp_path, op, [x], keys_int64s=[3, 2**40, -5, 3], values_int64s=[9, 2**41, 1, 0])
    same(program, tmp_path, op, [x], keys_int64s=[3, 7], values_floats=[0.5, 1.5],
         default_float=-2.5)
    same(program, tmp_path, op, [x], keys_int64s=[3, 7], values_int64s=[2, 1],
         default_int64=2**50)
    same(program, tmp_path, op, [rows(4, 3)], keys_floats=[0.25, 1.5, -0.75],
         values_int64s=[2, 1, 0])
    tensors = {"keys_tensor": np.array([3, 7]), "values_tensor": np.array([0.5, 0.25], F32),
               "default_tensor": np.array([8.0], F32)}
    same(program, tmp_path, op, [x], version=4,
         **{k: numpy_helper.from_array(v, k) for k, v in tensors.items()})


def test_one_hot(program, tmp_path):
    x = np.array([[1, 5, 2], [9, 2, 1]])
    for array in (x, x.astype(F32), x.astype(np.float64), x[0]):
        same(program, tmp_path, "OneHotEncoder", [array], cats_int64s=[1, 2, 5], zeros=1)
    same(program, tmp_path, "OneHotEncoder", [x[:1]], cats_int64s=[1, 2, 5], zeros=0)
    made, feeds = make("OneHotEncoder", [x], cats_int64s=[1, 2, 5], zeros=0)
    with pytest.raises(AssertionError, match="index 3"):
        onnx_run.run(program, tmp_path, made, feeds)


def test_zip_map(program, tmp_path):
    """A classifier as exporters end it: in place of maps there are the scores."""
    x = rows(5, 4)
    nodes = [
        helper.make_node("LinearClassifier", ["x"], ["label", "p"], domain="ai.onnx.ml",
                         coefficients=rows(12).tolist(), intercepts=[0.0] * 3,
                         classlabels_ints=[5, 1, 2], post_transform="SOFTMAX"),
        helper.make_node("Normalizer", ["p"], ["n"], domain="ai.onnx.ml", norm="L1"),
        helper.make_node("ZipMap", ["n"], ["probabilities"], domain="ai.onnx.ml",
                         classlabels_int64s=[5, 1, 2]),
    ]
    made = onnx_run.model(nodes, {"x": x}, {"label": TensorProto.INT64, "probabilities": 1}, 17,
                          domains=ML)
    value = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(1, []))
    made.graph.output[1].type.CopyFrom(helper.make_sequence_type_proto(value))
    labels, scores = onnx_run.run(program, tmp_path, made, {"x": x})
    want = onnx_run.run_onnxruntime(made, {"x": x})
    np.testing.assert_array_equal(labels, want[0])
    near(scores, np.array([[row[k] for k in (5, 1, 2)] for row in want[1]], F32))
