"""Small ONNX graphs whose bits are recorded: control flow, sizes that only the run tells, and the
operator families of imported files. In ONNX's own text form; names with "c_" are constants."""

import numpy as np
import onnx
from onnx import numpy_helper

from reference import seeded

HEADER = '<ir_version: 10, opset_import: ["" : 21]>\n'


def constant(name, shape):
    """Small, so that chains of products stay near 1."""
    return numpy_helper.from_array(seeded.uniform(shape, len(name) + sum(shape), -0.5, 0.5), name)


def parse(text, constants):
    model = onnx.parser.parse_model(HEADER + text)
    model.graph.initializer.extend(constant(name, shape) for name, shape in constants.items())
    return model


CONTROL = {
    "if": (
        """g (float[n,3,h,w] x) => (float[] y, float[] z) {
            zero = Constant<value: tensor = float {0}>()
            sum = ReduceSum<keepdims=0>(x)
            more = Greater(sum, zero)
            y, z = If(more) <
                then_branch = a () => (float[] u, float[] v) {
                    u = Conv<pads=[1,1,1,1]>(x, c_w)
                    v = Relu(u)
                },
                else_branch = b () => (float[] u, float[] v) {
                    t = Conv<strides=[2,2]>(x, c_w)
                    u = Sigmoid(t)
                    v = Identity(x)
                }>
        }""",
        {"c_w": (5, 3, 3, 3)},
        [{"x": (1, 3, 9, 11)}, {"x": (3, 3, 8, 7)}],
    ),
    "loop": (
        """g (int64 turns, float[n,8] h0) => (float[n,8] h, float[t,n,8] all) {
            yes = Constant<value: tensor = bool {1}>()
            h, all = Loop(turns, yes, h0) <
                body = b (int64 i, bool c, float[n,8] s) => (bool again, float[n,8] o, float[] k) {
                    again = Identity(c)
                    p = MatMul(s, c_w)
                    step = Cast<to=1>(i)
                    q = Add(p, step)
                    o = Tanh(q)
                    k = Softmax(o)
                }>
        }""",
        {"c_w": (8, 8)},
        [{"turns": 7, "h0": (3, 8)}, {"turns": 0, "h0": (1, 8)}],
    ),
    "loop-grows": (
        """g (float[n,4] x) => (float[m,4] all, int64 turns) {
            yes = Constant<value: tensor = bool {1}>()
            first = Constant<value: tensor = int64 {0}>()
            all, turns = Loop("", yes, x, first) <
                body = b (int64 i, bool c, float[m,4] s, int64 k) => (bool again, float[] o,
                    int64 e) {
                    one = Constant<value: tensor = int64 {1}>()
                    most = Constant<value: tensor = int64 {5}>()
                    e = Add(k, one)
                    scaled = MatMul(s, c_w)
                    o = Concat<axis=0>(scaled, x)
                    again = Less(e, most)
                }>
        }""",
        {"c_w": (4, 4)},
        [{"x": (3, 4)}, {"x": (1, 4)}],
    ),
    "loop-if": (
        """g (float[n,6] x) => (float[n,6] y, float[t,n,6] all) {
            turns = Constant<value: tensor = int64 {6}>()
            yes = Constant<value: tensor = bool {1}>()
            y, all = Loop(turns, yes, x) <
                body = b (int64 i, bool c, float[n,6] s) => (bool again, float[n,6] o,
                    float[n,6] k) {
                    again = Identity(c)
                    zero = Constant<value: tensor = float {0}>()
                    sum = ReduceSum<keepdims=0>(s)
                    more = Greater(sum, zero)
                    o = If(more) <
                        then_branch = p () => (float[] u) {
                            a = Gemm(s, c_w, c_b)
                            u = Gelu(a)
                        },
                        else_branch = q () => (float[] u) {
                            a = Sub(s, c_b)
                            u = Elu(a)
                        }>
                    k = Identity(o)
                }>
        }""",
        {"c_w": (6, 6), "c_b": (6,)},
        [{"x": (3, 6)}, {"x": (1, 6)}],
    ),
    "scan": (
        """g (float[5] h0, float[t,5] x, float[t,3] v) => (float[5] h, float[t,5] all,
            float[t,2] w) {
            h, all, w = Scan(h0, x, v) <num_scan_inputs=2, scan_input_directions=[0,1],
                                        scan_output_directions=[1,0],
                body = b (float[5] s, float[5] a, float[3] e) => (float[5] o, float[5] p,
                    float[2] q) {
                    m = MatMul(s, c_w)
                    n = Add(m, a)
                    o = Tanh(n)
                    p = Mul(o, a)
                    q = MatMul(e, c_v)
                }>
        }""",
        {"c_w": (5, 5), "c_v": (3, 2)},
        [{"h0": (5,), "x": (9, 5), "v": (9, 3)}, {"h0": (5,), "x": (1, 5), "v": (1, 3)}],
    ),
    "found": (
        """g (float[n,c] x) => (float[k,2] at, float[k] there, float[m,5] rows, float s) {
            zero = Constant<value: tensor = float {0}>()
            more = Greater(x, zero)
            found = NonZero(more)
            pairs = Transpose<perm=[1,0]>(found)
            at = Cast<to=1>(pairs)
            there = GatherND(x, pairs)
            sums = ReduceSum(x, c_axis)
            over = Greater(sums, zero)
            flat = Squeeze(over, c_axis)
            kept = Compress<axis=0>(x, flat)
            rows = Gemm(kept, c_w)
            s = ReduceMean<keepdims=0>(there)
        }""",
        {"c_w": (6, 5)},
        [{"x": (7, 6)}, {"x": (1, 6)}],
    ),
    "boxes": (
        """g (float[1,n,4] b, float[1,2,n] s, float[1,3,h,w] x) => (float[k,3] kept,
            float[1,2,5] top,
            int64[1,2,5] where, float[] crops) {
            most = Constant<value: tensor = int64[1] {8}>()
            iou = Constant<value: tensor = float[1] {0.4}>()
            low = Constant<value: tensor = float[1] {0.1}>()
            k = Constant<value: tensor = int64[1] {5}>()
            found = NonMaxSuppression(b, s, most, iou, low)
            kept = Cast<to=1>(found)
            top, where = TopK(s, k)
            first = Squeeze(b, c_axis)
            count = Shape<start=0, end=1>(first)
            zeros = ConstantOfShape<value=int64[1] {0}>(count)
            crops = RoiAlign<output_height=3, output_width=2, sampling_ratio=2>(x, first, zeros)
        }""",
        {},
        [{"b": (1, 9, 4), "s": (1, 2, 9), "x": (1, 3, 10, 12)}],
    ),
    "sized": (
        """g (float[n,3,h,w] x) => (float[] y, float[] z, float[] up) {
            a = Conv<strides=[2,2], pads=[1,1,1,1]>(x, c_w, c_b)
            r = Relu(a)
            size = Shape<start=2>(r)
            two = Constant<value: tensor = int64[2] {2,3}>()
            twice = Mul(size, two)
            front = Shape<start=0, end=2>(r)
            whole = Concat<axis=0>(front, twice)
            up = Resize<mode="linear">(r, "", "", whole)
            minus = Constant<value: tensor = int64[1] {-1}>()
            lead = Shape<start=0, end=1>(r)
            form = Concat<axis=0>(lead, minus)
            flat = Reshape(r, form)
            y = LogSoftmax(flat)
            z = GlobalAveragePool(up)
        }""",
        {"c_w": (7, 3, 3, 3), "c_b": (7,)},
        [{"x": (1, 3, 13, 10)}, {"x": (3, 3, 4, 5)}],
    ),
}

FAMILIES = {
    "conv-1d-3d": (
        """g (float[n,4,l] x, float[n,2,d,h,w] v) => (float[] a, float[] b, float[] c, float[] e) {
            a = Conv<dilations=[2], pads=[2,1], strides=[2]>(x, c_a)
            b = ConvTranspose<strides=[3], output_padding=[1]>(x, c_b)
            c = Conv<group=2, pads=[1,0,1,1,1,0]>(v, c_c)
            e = ConvTranspose<strides=[2,1,2]>(v, c_e)
        }""",
        {"c_a": (6, 4, 3), "c_b": (4, 5, 4), "c_c": (4, 1, 3, 2, 2), "c_e": (2, 3, 2, 3, 1)},
        [{"x": (1, 4, 21), "v": (1, 2, 5, 6, 7)}, {"x": (3, 4, 8), "v": (3, 2, 3, 4, 3)}],
    ),
    "conv-2d": (
        """g (float[n,6,h,w] x) => (float[] a, float[] b, float[] c, float[] d, float[] e) {
            a = Conv<group=6, pads=[1,1,1,1]>(x, c_a)
            b = Conv<dilations=[2,3], auto_pad="SAME_LOWER">(x, c_b)
            c = ConvTranspose<strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]>(x, c_c)
            d = Conv<group=3, strides=[3,1]>(x, c_d)
            e = ConvTranspose<group=2, dilations=[2,1]>(x, c_e)
        }""",
        {"c_a": (6, 1, 3, 3), "c_b": (5, 6, 3, 2), "c_c": (6, 4, 3, 3), "c_d": (9, 2, 1, 5),
         "c_e": (6, 3, 2, 2)},
        [{"x": (1, 6, 12, 17)}, {"x": (3, 6, 9, 5)}],
    ),
    "pool": (
        """g (float[n,3,h,w] x, float[n,2,l] v, float[n,2,d,e,f] u) => (float[] a, float[] b,
            float[] c,
            float[] d, float[] e2, float[] f2, float[] l) {
            a = MaxPool<kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,1], ceil_mode=1>(x)
            b = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(x)
            c = LpPool<kernel_shape=[2,2], p=3>(x)
            d = MaxPool<kernel_shape=[3], dilations=[2]>(v)
            e2 = AveragePool<kernel_shape=[2,3,1], strides=[1,2,2]>(u)
            f2 = GlobalMaxPool(u)
            l = LRN<size=3>(x)
        }""",
        {},
        [{"x": (1, 3, 11, 14), "v": (1, 2, 9), "u": (1, 2, 4, 5, 6)},
         {"x": (3, 3, 5, 7), "v": (3, 2, 12), "u": (3, 2, 3, 3, 3)}],
    ),
    "resize": (
        """g (float[n,2,h,w] x, float[n,2,l] v) => (float[] a, float[] b, float[] c, float[] d,
            float[] e) {
            s = Constant<value: tensor = float[4] {1,1,2,1.7}>()
            t = Constant<value: tensor = float[4] {1,1,0.6,0.5}>()
            u = Constant<value: tensor = float[3] {1,1,2.5}>()
            a = Resize<mode="nearest", coordinate_transformation_mode="asymmetric",
                nearest_mode="floor">(x, "", s)
            b = Resize<mode="linear", coordinate_transformation_mode="align_corners">(x, "", s)
            c = Resize<mode="cubic">(x, "", s)
            d = Resize<mode="linear", antialias=1>(x, "", t)
            e = Resize<mode="linear">(v, "", u)
        }""",
        {},
        [{"x": (1, 2, 7, 10), "v": (1, 2, 9)}, {"x": (3, 2, 8, 5), "v": (3, 2, 4)}],
    ),
    "recurrent": (
        """g (float[t,n,5] x, float[2,n,6] h) => (float[] a, float[] b, float[] c, float[] d,
            float[] e,
            float[] f, float[] i) {
            a, b, c = LSTM<hidden_size=6, direction="bidirectional">(x, c_l, c_m, c_b, "", h, h)
            d, e = GRU<hidden_size=6, direction="bidirectional", linear_before_reset=1>(x, c_g,
                c_i, "", "", h)
            f, i = RNN<hidden_size=6, direction="reverse">(x, c_r, c_s)
        }""",
        {"c_l": (2, 24, 5), "c_m": (2, 24, 6), "c_b": (2, 48), "c_g": (2, 18, 5), "c_i": (2, 18, 6),
         "c_r": (1, 6, 5), "c_s": (1, 6, 6)},
        [{"x": (7, 1, 5), "h": (2, 1, 6)}, {"x": (4, 3, 5), "h": (2, 3, 6)}],
    ),
    "attention": (
        """g (float[n,t,12] x, float[n,k,12] m) => (float[] y, float[] z) {
            q = MatMul(x, c_q)
            k = MatMul(m, c_k)
            v = MatMul(m, c_v)
            heads = Constant<value: tensor = int64[4] {0,0,3,4}>()
            back = Constant<value: tensor = int64[3] {0,0,12}>()
            scale = Constant<value: tensor = float {0.5}>()
            q4 = Reshape(q, heads)
            k4 = Reshape(k, heads)
            v4 = Reshape(v, heads)
            qt = Transpose<perm=[0,2,1,3]>(q4)
            kt = Transpose<perm=[0,2,3,1]>(k4)
            vt = Transpose<perm=[0,2,1,3]>(v4)
            qk = MatMul(qt, kt)
            scaled = Mul(qk, scale)
            p = Softmax(scaled)
            pv = MatMul(p, vt)
            o = Transpose<perm=[0,2,1,3]>(pv)
            flat = Reshape(o, back)
            r = Add(flat, x)
            n = LayerNormalization(r, c_s, c_b)
            wide = MatMul(n, c_f)
            act = Gelu<approximate="tanh">(wide)
            small = MatMul(act, c_h)
            y = Add(small, n)
            z = Softmax<axis=1>(y)
        }""",
        {"c_q": (12, 12), "c_k": (12, 12), "c_v": (12, 12), "c_s": (12,), "c_b": (12,),
         "c_f": (12, 40), "c_h": (40, 12)},
        [{"x": (1, 10, 12), "m": (1, 7, 12)}, {"x": (3, 17, 12), "m": (3, 33, 12)}],
    ),
    "elementwise": (
        """g (float[n,5,w] x, float[5,1] y) => (float[] a, float[] b, float[] c, float[] d,
            float[] e,
            float[] f, float[] g2, float[] h) {
            s = Sub(x, y)
            a = Mul(s, x)
            q = Abs(x)
            one = Constant<value: tensor = float {1}>()
            more = Add(q, one)
            p = Pow(more, y)
            b = Div(p, more)
            c = Erf(x)
            m = Mish(x)
            d = HardSwish(m)
            o = Softplus(x)
            e = Log(o)
            f = Selu(x)
            r = Sin(x)
            g2 = Max(r, x, y)
            less = Less(x, y)
            h = Where(less, x, y)
        }""",
        {},
        [{"x": (1, 5, 33), "y": (5, 1)}, {"x": (3, 5, 4), "y": (5, 1)}],
    ),
    "norms": (
        """g (float[n,6,h,w] x) => (float[] a, float[] b, float[] c, float[] d, float[] e,
            float[] f) {
            a = InstanceNormalization(x, c_s, c_b)
            b = GroupNormalization<num_groups=3>(x, c_s, c_b)
            v = Abs(c_b)
            half = Constant<value: tensor = float {0.5}>()
            w2 = Add(v, half)
            c = BatchNormalization(x, c_s, c_b, c_b, w2)
            d = LpNormalization<axis=1, p=2>(x)
            e = MeanVarianceNormalization(x)
            f = ReduceLogSumExp<keepdims=0>(x, c_axes)
        }""",
        {"c_s": (6,), "c_b": (6,)},
        [{"x": (1, 6, 7, 9)}, {"x": (3, 6, 4, 4)}],
    ),
    "shapes": (
        """g (float[n,4,w] x) => (float[] a, float[] b, float[] c, float[] d, float[] e,
            float[] f) {
            pads = Constant<value: tensor = int64[6] {0,1,2,1,0,3}>()
            a = Pad<mode="reflect">(x, pads)
            start = Constant<value: tensor = int64[2] {-1,1}>()
            end = Constant<value: tensor = int64[2] {-5,100}>()
            axes = Constant<value: tensor = int64[2] {1,2}>()
            steps = Constant<value: tensor = int64[2] {-1,2}>()
            b = Slice(x, start, end, axes, steps)
            c, d = Split<axis=1, num_outputs=2>(x)
            t = Transpose<perm=[2,0,1]>(x)
            e = CumSum(t, c_axis)
            twice = Constant<value: tensor = int64[3] {1,2,2}>()
            f = Tile(x, twice)
        }""",
        {},
        [{"x": (1, 4, 9)}, {"x": (3, 4, 6)}],
    ),
}
AXES = {"c_axis": np.array([0], dtype=np.int64), "c_axes": np.array([1, 3], dtype=np.int64)}


def value(name, given, seed):
    if isinstance(given, int):
        return np.array(given, dtype=np.int64)
    if name == "b":  # boxes: corners near each other
        low = seeded.uniform((*given[:2], 2), seed, 0.0, 4.0)
        return np.concatenate([low, low + seeded.uniform(low.shape, seed + 1, 1.0, 5.0)], 2)
    return seeded.uniform(given, seed)


def all_graphs():
    """name, model, inputs."""
    for name, (text, constants, runs) in {**CONTROL, **FAMILIES}.items():
        model = parse(text, constants)
        for axis, array in AXES.items():
            if axis in text:
                if name == "found":
                    array = array + 1
                elif name == "shapes":
                    array = array.reshape(())
                model.graph.initializer.append(numpy_helper.from_array(array, axis))
        for i, shapes in enumerate(runs):
            inputs = {n: value(n, s, 10 * i + k) for k, (n, s) in enumerate(shapes.items())}
            yield f"{name}-{i + 1}", model, inputs
