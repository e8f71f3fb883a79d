"""Trees and n-grams of ONNX against plain Python, with files that do not fit together refused."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx_run

TESTS = [np.less_equal, np.less, np.greater_equal, np.greater, np.equal, np.not_equal]
MEMBER = 6


def ml_model(node, inputs, dtype):
    made = onnx_run.model([node], inputs, {"y": helper.np_dtype_to_tensor_dtype(np.dtype(dtype))})
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 5))
    return made


class Forest:
    """Random trees of up to some depth, in the lists that the operator takes."""

    def __init__(self, rng, trees, features, targets, dtype):
        self.rng, self.features, self.targets, self.dtype = rng, features, targets, dtype
        self.nodes, self.leaves, self.members = [], [], []
        self.roots = [self.grow(4) for _ in range(trees)]
        self.order = [i for i, node in enumerate(self.nodes) if node["mode"] == MEMBER]

    def grow(self, depth):
        node = {
            "mode": int(self.rng.integers(7)),
            "feature": int(self.rng.integers(self.features)),
            "split": float(self.rng.integers(-3, 4)),
            "nan": int(self.rng.integers(2)),
            "set": [float(v) for v in self.rng.integers(-3, 4, 2)],
        }
        self.nodes.append(node)
        index = len(self.nodes) - 1
        node["next"] = [self.branch(depth - 1) for _ in range(2)]
        return index

    def branch(self, depth):
        if depth and self.rng.integers(3):
            return (0, self.grow(depth))
        self.leaves.append((float(self.rng.uniform(-1, 1)), int(self.rng.integers(self.targets))))
        return (1, len(self.leaves) - 1)

    def lists(self):
        nodes, tensor = self.nodes, lambda values, dtype: numpy_helper.from_array(
            np.array(values, dtype))
        sets = [v for i in self.order for v in [*nodes[i]["set"], np.nan]]
        return {
            "tree_roots": self.roots,
            "n_targets": self.targets,
            "nodes_featureids": [n["feature"] for n in nodes],
            "nodes_modes": tensor([n["mode"] for n in nodes], np.uint8),
            "nodes_splits": tensor([n["split"] for n in nodes], self.dtype),
            "nodes_missing_value_tracks_true": [n["nan"] for n in nodes],
            "nodes_falsenodeids": [n["next"][0][1] for n in nodes],
            "nodes_truenodeids": [n["next"][1][1] for n in nodes],
            "nodes_falseleafs": [n["next"][0][0] for n in nodes],
            "nodes_trueleafs": [n["next"][1][0] for n in nodes],
            "leaf_weights": tensor([w for w, _ in self.leaves], self.dtype),
            "leaf_targetids": [t for _, t in self.leaves],
            "membership_values": tensor(sets, self.dtype),
        }

    def leaf(self, root, row):
        while True:
            node = self.nodes[root]
            x = row[node["feature"]]
            if node["mode"] == MEMBER:
                truth = x in node["set"]
            else:
                truth = bool(TESTS[node["mode"]](x, node["split"]))
            if np.isnan(x) and node["nan"]:
                truth = True
            is_leaf, root = node["next"][truth]
            if is_leaf:
                return self.leaves[root]

    def __call__(self, x, join):
        out = np.zeros((len(x), self.targets))
        for i, row in enumerate(x):
            found = [[] for _ in range(self.targets)]
            for root in self.roots:
                weight, target = self.leaf(root, row)
                found[target].append(np.array(weight, self.dtype).astype(np.float64))
            for k, weights in enumerate(found):
                if weights:
                    total = {0: sum, 1: sum, 2: min, 3: max}[join](weights)
                    out[i, k] = total / len(self.roots) if join == 0 else total
        return out


@pytest.mark.parametrize("join", range(4))
@pytest.mark.parametrize("transform", range(3))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_trees(program, tmp_path, join, transform, dtype):
    rng = np.random.default_rng([join, transform])
    forest = Forest(rng, 9, 5, 3, dtype)
    x = rng.integers(-3, 4, (70, 5)).astype(dtype)
    x[rng.random(x.shape) < 0.1] = np.nan
    node = helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml",
                            aggregate_function=join, post_transform=transform, **forest.lists())
    (y,) = onnx_run.run(program, tmp_path, ml_model(node, {"x": x}, dtype), {"x": x})
    want = forest(x, join)
    if transform == 1:
        want = np.exp(want) / np.exp(want).sum(1, keepdims=True)
    if transform == 2:
        want = 1 / (1 + np.exp(-want))
    np.testing.assert_allclose(y, want, rtol=0, atol=4 * np.finfo(dtype).eps * np.abs(want).max())


def spoiled(name, change):
    return pytest.param(name, change, id=name)


@pytest.mark.parametrize("name,change", [
    spoiled("tree_roots", lambda v: [*v, v[0]]),
    spoiled("tree_roots", lambda v: [2**40]),
    spoiled("nodes_featureids", lambda v: v[:-1]),
    spoiled("nodes_featureids", lambda v: [-1, *v[1:]]),
    spoiled("nodes_falseleafs", lambda v: [0] * len(v)),
    spoiled("nodes_truenodeids", lambda v: [-7] * len(v)),
    spoiled("leaf_targetids", lambda v: [3] * len(v)),
    spoiled("leaf_targetids", lambda v: v[:-1]),
    spoiled("n_targets", lambda v: 2**62),
    spoiled("membership_values", lambda v: numpy_helper.from_array(np.ones(1, np.float32))),
    spoiled("nodes_modes", lambda v: numpy_helper.from_array(np.full(v.dims, 7, np.uint8))),
])
def test_trees_that_are_none(program, tmp_path, name, change):
    """A tree that leads back to itself among them: its walk would never end."""
    lists = Forest(np.random.default_rng(3), 9, 5, 3, np.float32).lists()
    x = np.zeros((2, 5), np.float32)
    lists[name] = change(lists[name])
    node = helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", **lists)
    with pytest.raises(AssertionError, match="cannot be run: ai.onnx.ml.TreeEnsemble"):
        onnx_run.run(program, tmp_path, ml_model(node, {"x": x}, np.float32), {"x": x})


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
@pytest.mark.parametrize("threshold", [-0.5, 0.0, 1.0])
def test_binarizer(program, tmp_path, dtype, threshold):
    x = np.arange(-3, 4).astype(dtype)
    node = helper.make_node("Binarizer", ["x"], ["y"], domain="ai.onnx.ml", threshold=threshold)
    (y,) = onnx_run.run(program, tmp_path, ml_model(node, {"x": x}, dtype), {"x": x})
    np.testing.assert_array_equal(y, (x > threshold).astype(dtype))


# ---- n-grams -------------------------------------------------------------------------------------

GRAMS = [(2,), (3,), (5,), (5, 4), (5, 5), (2, 3), (3, 3, 2), (2, 2, 2)]


def counted(row, gram, skip):
    steps = range(1, skip + 2) if len(gram) > 1 else [1]
    return sum(
        tuple(row[i : i + (len(gram) - 1) * step + 1 : step]) == gram
        for step in steps
        for i in range(len(row) - (len(gram) - 1) * step)
    )


@pytest.mark.parametrize("mode", ["TF", "IDF", "TFIDF"])
@pytest.mark.parametrize("shortest,longest", [(1, 1), (1, 3), (2, 3), (3, 3)])
@pytest.mark.parametrize("skip", [0, 1, 40])
@pytest.mark.parametrize("dims", [(60,), (4, 30), (2, 1), (3, 0)])
def test_ngrams(program, tmp_path, mode, shortest, longest, skip, dims):
    rng = np.random.default_rng(2)
    x = rng.integers(2, 6, dims).astype((np.int32, np.int64)[len(dims) % 2])
    places = rng.permutation(len(GRAMS) + 2)[: len(GRAMS)]
    weights = rng.uniform(0, 2, len(GRAMS)).astype(np.float32)
    node = helper.make_node(
        "TfIdfVectorizer", ["x"], ["y"], mode=mode, min_gram_length=shortest,
        max_gram_length=longest, max_skip_count=skip, ngram_counts=[0, 3, 9],
        ngram_indexes=places.tolist(), weights=weights.tolist(),
        pool_int64s=[w for gram in GRAMS for w in gram])
    made = onnx_run.model([node], {"x": x}, {"y": TensorProto.FLOAT}, 9)
    (y,) = onnx_run.run(program, tmp_path, made, {"x": x})
    want = np.zeros((*dims[:-1], places.max() + 1))
    for row, out in zip(np.atleast_2d(x), np.atleast_2d(want)):
        for gram, place, weight in zip(GRAMS, places, weights):
            if shortest <= len(gram) <= longest:
                count = counted(row, gram, skip)
                count = min(count, 1) if mode == "IDF" else count
                out[place] += count * (1 if mode == "TF" else weight)
    np.testing.assert_allclose(y, want, rtol=np.finfo(np.float32).eps)


@pytest.mark.parametrize("change", [
    {"ngram_counts": [0, 3, 8]}, {"ngram_counts": [0, 3, 99]}, {"ngram_counts": [-1, 3, 9]},
    {"ngram_indexes": [0, 1]}, {"ngram_indexes": [0, 1, 2, 3, 4, 5, 6, -1]}, {"weights": [1.0]},
    {"max_skip_count": -1}, {"mode": "BM25"}])
def test_ngrams_that_do_not_fit(program, tmp_path, change):
    x = np.zeros(9, np.int32)
    lists = {"mode": "IDF", "min_gram_length": 1, "max_gram_length": 3, "max_skip_count": 0,
             "ngram_counts": [0, 3, 9], "ngram_indexes": list(range(8)),
             "pool_int64s": [w for gram in GRAMS for w in gram]}
    node = helper.make_node("TfIdfVectorizer", ["x"], ["y"], **(lists | change))
    made = onnx_run.model([node], {"x": x}, {"y": TensorProto.FLOAT}, 9)
    with pytest.raises(AssertionError, match="cannot be run: TfIdfVectorizer"):
        onnx_run.run(program, tmp_path, made, {"x": x})
