"""Light face detectors: decoding against OpenCV and NumPy, and `wav2lip --detector` on files."""

import ctypes as C
import json
import shutil
import subprocess

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from conftest import ROOT, json_lines
from reference import clips

NAMES = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)]
SCORE, ULFD_SCORE = 0.6, 0.7


@pytest.fixture(scope="session")
def yunet(shared_data):
    path = shared_data / "onnx/yunet_n_dynamic.onnx"
    if not path.exists():
        pytest.skip("needs yunet_n_dynamic.onnx in the shared test data")
    return path


@pytest.fixture(scope="session")
def ulfd(shared_data):
    path = shared_data / "onnx/ulfd_rfb_320.onnx"
    if not path.exists():
        pytest.skip("needs ulfd_rfb_320.onnx in the shared test data")
    return path


@pytest.fixture(scope="session")
def faces(shared_data):
    """Pictures of one face, and one of four."""
    folder = shared_data / "media/faces"
    pictures = {path.stem: cv2.imread(str(path)) for path in sorted(folder.glob("*.[jp][pn]g"))}
    if "coral_face" not in pictures:
        pytest.skip("needs media/faces in the shared test data")
    return pictures


def quiet_session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options)


def padded(image, step=32):
    """As OpenCV does: black to the right and below."""
    height, width = (-side % step for side in image.shape[:2])
    return cv2.copyMakeBorder(image, 0, height, 0, width, cv2.BORDER_CONSTANT)


def opencv_faces(path, image, score=SCORE):
    detector = cv2.FaceDetectorYN.create(str(path), "", image.shape[1::-1], score, 0.3, 5000)
    found = detector.detect(image)[1]
    return np.zeros((0, 15), np.float32) if found is None else found


# ---- decoding ----------------------------------------------------------------------------------


class Face(C.Structure):
    _fields_ = [("box", C.c_float * 4), ("score", C.c_float), ("marks", C.c_float * 10)]


class Level(C.Structure):
    _fields_ = [(name, C.c_void_p) for name in ("cls", "obj", "box", "marks")]
    _fields_ += [("rows", C.c_int), ("columns", C.c_int)]


class Decoder:
    def __init__(self, path):
        self.lib = C.CDLL(str(path))
        self.lib.rml_allocator_default.restype = C.c_void_p
        self.allocator = C.c_void_p(self.lib.rml_allocator_default())

    def faces(self, function, *arguments, capacity=1000):
        found, count = (Face * capacity)(), C.c_int()
        assert getattr(self.lib, function)(*arguments, found, C.c_int(capacity), C.byref(count),
                                           self.allocator, None) == 0
        return np.array([[*f.box, *f.marks, f.score] for f in found[: count.value]],
                        np.float32).reshape(-1, 15)

    def yunet(self, outputs, height, width, score):
        levels, kept = (Level * 3)(), []
        for i, stride in enumerate((8, 16, 32)):
            arrays = [np.ascontiguousarray(outputs[f"{kind}_{stride}"], np.float32)
                      for kind in ("cls", "obj", "bbox", "kps")]
            kept.append(arrays)
            levels[i] = Level(*(a.ctypes.data for a in arrays), height // stride, width // stride)
        return self.faces("rml_yunet_decode", levels, C.c_float(score))

    def ulfd(self, scores, corners, height, width, score):
        scores, corners = (np.ascontiguousarray(a, np.float32) for a in (scores, corners))
        return self.faces("rml_ulfd_decode", C.c_void_p(scores.ctypes.data),
                          C.c_void_p(corners.ctypes.data), C.c_int(scores.shape[-2]),
                          C.c_int(width), C.c_int(height), C.c_float(score))


@pytest.fixture(scope="session")
def decoder(tmp_path_factory):
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler")
    target = tmp_path_factory.mktemp("decoder") / "decode.so"
    # All of tensor/, so that no list here tells which of its files the decoder needs.
    sources = [ROOT / "pipelines/faces/light_decode.c", *sorted((ROOT / "tensor").glob("*.c"))]
    subprocess.run(["cc", "-O1", "-std=c11", "-ffp-contract=off", "-fPIC", "-shared", f"-I{ROOT}",
                    f"-I{ROOT / 'include'}", *map(str, sources), "-o", str(target), "-lm",
                    "-lpthread"], check=True)
    return Decoder(target)


@pytest.mark.parametrize("score", [0.9, 0.6, 0.02])
def test_yunet_decodes_as_opencv(decoder, yunet, faces, score):
    """All faces with their landmarks, in order; at a low score suppression has much to do."""
    session, total = quiet_session(yunet), 0
    for name, image in faces.items():
        image = image[: image.shape[0] // 4 * 4, :]
        large = padded(image)
        blob = large.astype(np.float32).transpose(2, 0, 1)[None]
        outputs = dict(zip(NAMES, session.run(NAMES, {"input": blob})))
        ours = decoder.yunet(outputs, *large.shape[:2], score)
        expected = opencv_faces(yunet, image, score)
        assert len(ours) == len(expected), name
        total += len(ours)
        # Two runtimes: faces of nearly equal scores may change places.
        for face in expected:
            near = ours[np.abs(ours - face).max(1).argmin()]
            assert np.abs(near - face).max() <= 2e-3, name
        assert (np.diff(ours[:, 14]) <= 0).all()
    assert total >= {0.9: 7, 0.6: 7, 0.02: 9}[score]


def test_yunet_ignores_what_is_no_number(decoder):
    wild = np.random.default_rng(1).choice([np.nan, np.inf, -np.inf, 1e30, 90.0, 0.5],
                                           (1, 4 * 4 + 2 * 2 + 1, 16)).astype(np.float32)
    outputs, at = {}, 0
    for stride, cells in ((8, 16), (16, 4), (32, 1)):
        for kind, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{kind}_{stride}"] = np.roll(wild, width, 2)[0, at : at + cells, :width]
        at += cells
    ours = decoder.yunet(outputs, 32, 32, 0.1)
    assert np.isfinite(ours[:, :4]).all() and np.abs(ours[:, :4]).max(initial=0) < 1e6


def numpy_ulfd(scores, corners, height, width, score):
    """Greedy suppression on boxes in whole pixels, best first."""
    boxes = corners * [width, height, width, height]
    order = [i for i in np.argsort(-scores[:, 1], kind="stable") if scores[i, 1] >= score]
    kept = []

    def overlap(a, b):
        a, b = (np.trunc([v[0], v[1], v[2] - v[0], v[3] - v[1]]) for v in (a, b))
        both = [max(0, min(a[k] + a[k + 2], b[k] + b[k + 2]) - max(a[k], b[k])) for k in (0, 1)]
        return np.prod(both) / (a[2] * a[3] + b[2] * b[3] - np.prod(both))

    for i in order:
        if all(overlap(boxes[i], boxes[k]) <= 0.3 for k in kept):
            kept.append(i)
    return np.array([[*boxes[i], scores[i, 1]] for i in kept])


@pytest.mark.parametrize("score", [0.7, 0.2])
def test_ulfd_decodes_as_numpy(decoder, ulfd, faces, score):
    session = quiet_session(ulfd)
    for name, image in faces.items():
        rgb = cv2.resize(image, (320, 240))[..., ::-1].astype(np.float32)
        blob = ((rgb - 127) / 128).transpose(2, 0, 1)[None]
        scores, corners = session.run(["scores", "boxes"], {"input": blob})
        ours = decoder.ulfd(scores, corners, 240, 320, score)
        expected = numpy_ulfd(scores[0], corners[0], 240, 320, score)
        assert len(ours) == len(expected) >= 1, name
        ours = np.hstack([ours[:, :2], ours[:, :2] + ours[:, 2:4], ours[:, 14:]])
        assert np.abs(ours - expected).max() <= 1e-3, name


# ---- files -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def voice(tmp_path_factory):
    return clips.write_voice(tmp_path_factory.mktemp("voice") / "a.wav", 0.9)


@pytest.fixture
def found(program, wav2lip_network, voice, tmp_path):
    """found(face, options): the records of the faces file."""

    def run(face, *options, code=0):
        record = tmp_path / "faces.json"
        record.unlink(missing_ok=True)
        weights = wav2lip_network(1 / 16, seed=2).file("zip")
        done = program.run("wav2lip", "--face", face, "--audio", voice, "--outfile",
                           tmp_path / "out.mkv", "--checkpoint_path", weights, "--faces", record,
                           "--codec", "ffv1", *options, code=code)
        return done if code != 0 else json.loads(record.read_text())["faces"]

    return run


def overlap(a, b):
    w, h = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    both = max(0, w) * max(0, h)
    areas = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    return both / (areas - both)


def corners(face, back=1):
    x, y, w, h = face[:4] * back
    return [x, y, x + w, y + h]


def check_best(record, expected, back=1):
    """The best face, to half a pixel of rounding and what two runtimes differ by."""
    best = expected[expected[:, 14].argmax()]
    assert record["source"] == "detected"
    assert np.abs(np.array(record["box"]) - np.maximum(0, corners(best, back))).max() < 0.55
    assert record["score"] == pytest.approx(best[14], abs=1e-4)
    assert np.abs(np.array(record["marks"]) - best[4:14] * back).max() < 0.1 * back


def test_yunet_finds_the_best_face_as_opencv(found, yunet, faces, tmp_path, cpu):
    for name, image in faces.items():
        cv2.imwrite(str(tmp_path / "a.png"), image)
        record = found(tmp_path / "a.png", "--detector", yunet, "--cpu", cpu)[0]
        back = max(1, max(image.shape[:2]) / 480)
        size = [int(side / back) for side in image.shape[1::-1]]
        check_best(record, opencv_faces(yunet, cv2.resize(image, size)), back)


def test_large_pictures_are_scaled_down_and_searched_again(found, yunet, faces, tmp_path):
    """A face of a fortieth of the picture is only found at the second size."""
    for side, height in ((96, 1080), (700, 1080)):
        image = np.full((height, 1920, 3), 90, np.uint8)
        face = cv2.resize(faces["face_02"], (side, side), interpolation=cv2.INTER_AREA)
        image[200 : 200 + side, 900 : 900 + side] = face
        cv2.imwrite(str(tmp_path / "a.png"), image)
        record = found(tmp_path / "a.png", "--detector", yunet)[0]
        scale = side / 291
        wanted = np.array([59, 52, 231, 278]) * scale + [900, 200, 900, 200]
        assert record["source"] == "detected" and overlap(record["box"], wanted) > 0.7, side


def test_a_file_that_fixes_its_size(found, yunet, faces, tmp_path):
    model = onnx.load(yunet)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    for dim, size in zip(dims, (1, 3, 320, 320)):
        dim.dim_value = size
    onnx.save(model, tmp_path / "fixed.onnx")
    image = faces["coral_face"]  # wider than 320
    cv2.imwrite(str(tmp_path / "a.png"), image)
    record = found(tmp_path / "a.png", "--detector", tmp_path / "fixed.onnx")[0]
    back = image.shape[1] / 320
    small = cv2.resize(image, (320, int(image.shape[0] / back)))
    canvas = np.zeros((320, 320, 3), np.uint8)
    canvas[: small.shape[0]] = small
    check_best(record, opencv_faces(yunet, canvas), back)


def test_ulfd_on_a_picture(found, ulfd, faces, tmp_path):
    image = faces["face_02"]
    cv2.imwrite(str(tmp_path / "a.png"), image)
    record = found(tmp_path / "a.png", "--detector", ulfd)[0]
    back = image.shape[0] / 240
    small = cv2.resize(image, (240, 240))
    blob = np.full((1, 3, 240, 320), -127 / 128, np.float32)
    blob[0, :, :, :240] = ((small[..., ::-1].astype(np.float32) - 127) / 128).transpose(2, 0, 1)
    scores, boxes = quiet_session(ulfd).run(["scores", "boxes"], {"input": blob})
    best = numpy_ulfd(scores[0], boxes[0], 240, 320, ULFD_SCORE)[0]
    assert np.abs(np.array(record["box"]) - np.maximum(0, best[:4] * back)).max() < 0.55
    assert record["score"] == pytest.approx(best[4], abs=1e-4)


# ---- clips -------------------------------------------------------------------------------------


def walk(faces, count, width=480, height=360):
    """A picture with two faces that move; (frames, where the left one and the right one are)."""
    small = [cv2.resize(faces[name], (110, 110), interpolation=cv2.INTER_AREA)
             for name in ("face_01", "face_02")]
    frames, places = [], ([], [])
    for i in range(count):
        frame = np.full((height, width, 3), 90, np.uint8)
        for k, face in enumerate(small):
            x, y = 20 + 200 * k + 5 * i, 60 + 100 * k + (3 - 6 * k) * i
            frame[y : y + 110, x : x + 110] = face
            places[k].append([x, y, x + 110, y + 110])
        frames.append(frame)
    return frames, places


def inside(box, place):
    return all(place[k] - 6 <= (box[k] + box[k + 2]) / 2 <= place[k + 2] + 6 for k in (0, 1))


def of_number(records, number):
    return [face for face in records if face.get("number", 1) == number]


@pytest.mark.parametrize("every", [1, 3, 100])
def test_one_of_two_faces_is_followed(found, yunet, faces, tmp_path, every):
    frames, places = walk(faces, 20)
    # Their scores change places: first one of them fades, then the other.
    for i, frame in enumerate(frames):
        x1, y1, x2, y2 = places[0 if i < 8 else 1][i]
        part = frame[y1:y2, x1:x2]
        part[:] = cv2.GaussianBlur(part, (0, 0), 1.5)
    clip = clips.write_video(tmp_path / "in.mkv", frames, 25)
    records = found(clip, "--detector", yunet, "--detect-every", every)
    assert len(records) == 40 and all(r["source"] == "detected" for r in records)
    best = [opencv_faces(yunet, frame) for frame in frames]
    first = int(inside(corners(best[0][best[0][:, 14].argmax()]), places[1][0]))
    switched = [not inside(corners(f[f[:, 14].argmax()]), places[first][i])
                for i, f in enumerate(best)]
    assert any(switched)  # or the test says nothing
    for number in (1, 2):  # from left to right
        for i, record in enumerate(of_number(records, number)):
            assert record["frame"] == i and inside(record["box"], places[number - 1][i]), i
    # What changes is the face that was the best one in the first frame.
    changed = [np.abs(a.astype(int) - b).max(2) > 8
               for a, b in zip(clips.read_video(tmp_path / "out.mkv"), frames)]
    for i, where in enumerate(changed[:20]):
        y, x = np.argwhere(where).mean(0)
        assert inside([x, y, x, y], places[first][i]), i
    for i, record in enumerate(of_number(records, first + 1)):
        known = [corners(face) for face in best[i]]
        assert max(overlap(record["box"], box) for box in known) > 0.8, i
        marks = np.array(record["marks"]).reshape(5, 2)  # not where the surroundings have them
        assert all(inside([*at, *at], places[first][i]) for at in marks), i


def test_a_cut_is_searched_at_once(found, yunet, faces, tmp_path):
    def scene(name, x, y, level):
        frame = np.full((360, 480, 3), level, np.uint8)
        frame[y : y + 110, x : x + 110] = cv2.resize(faces[name], (110, 110))
        return [frame] * 8

    frames = scene("face_01", 10, 10, 220) + scene("face_02", 300, 200, 30)
    clip = clips.write_video(tmp_path / "in.mkv", frames, 25)
    records = found(clip, "--detector", yunet, "--detect-every", 100)
    assert [r["source"] for r in records] == ["detected"] * 16
    assert all(inside(r["box"], [10, 10, 120, 120]) for r in records[:8])
    assert all(inside(r["box"], [300, 200, 410, 310]) for r in records[8:])


def test_a_face_that_is_lost_is_looked_for_everywhere(found, yunet, faces, tmp_path):
    """It leaves, comes back elsewhere, and the grey in between is no face."""
    frames, places = walk(faces, 9)
    x1, y1, x2, y2 = places[1][0]
    for i, frame in enumerate(frames):
        if i >= 3:
            frame[:] = 90
        if i >= 6:
            frame[230:340, 350:460] = cv2.resize(faces["face_02"], (110, 110))
    clip = clips.write_video(tmp_path / "in.mkv", frames, 25)
    records = found(clip, "--detector", yunet, "--detect-every", 50)
    assert [r["frame"] for r in records] == [0, 0, 1, 1, 2, 2, *range(3, 9)]
    assert [r["source"] for r in records] == ["detected"] * 6 + ["none"] * 3 + ["detected"] * 3
    assert all(inside(r["box"], [350, 230, 460, 340]) for r in records[9:])
    assert all(r["number"] == 2 for r in records[9:])  # by its looks


def test_detect_every_with_s3fd(found):
    """The shipped weights on the head of the demo: the same face, up to what a cut-out's border
    does to the network."""
    clip, weights = ROOT / "data/demo/face.mp4", ROOT / "data/weights/s3fd.safetensors"
    each = found(clip, "--s3fd", weights)
    some = found(clip, "--s3fd", weights, "--detect-every", 4)
    assert len(each) == len(some) > 15 and each[0] == some[0] and each != some
    for a, b in zip(each, some):
        assert a["source"] == b["source"] == "detected" and overlap(a["box"], b["box"]) > 0.8


@pytest.mark.parametrize("options", [[], ["--detect-every", 10]], ids=["each", "every-10"])
def test_the_real_clip_has_a_face_in_each_frame(program, yunet, shared_data, tmp_path, options):
    clip = shared_data / "media/talking_head_1080x1920_hevc.mp4"
    if not clip.exists():
        pytest.skip("needs the talking head in the shared test data")
    record = tmp_path / "faces.json"
    done = program.run("wav2lip", "--face", clip, "--audio",
                       shared_data / "media/talking_head_16k.wav", "--outfile",
                       tmp_path / "out.avi", "--codec", "mjpeg", "--detector", yunet, "--faces",
                       record, "--json", *options)
    (line,) = json_lines(done.stdout)
    assert line["frames_without_face"] == 0 and line["source_frames"] >= 240
    # A hand that is found as a face for a moment has a number of its own.
    boxes = [face["box"] for face in of_number(json.loads(record.read_text())["faces"], 1)]
    # One woman who sits: nothing jumps.
    assert all(overlap(a, b) > 0.7 for a, b in zip(boxes, boxes[1:]))
    frames = cv2.VideoCapture(str(clip))
    for i in range(0, 240, 40):
        frames.set(cv2.CAP_PROP_POS_FRAMES, i)
        known = opencv_faces(yunet, cv2.resize(frames.read()[1], (270, 480)))
        best = known[known[:, 14].argmax()]
        assert overlap(boxes[i], corners(best, 4)) > 0.85, i


def test_a_light_detector_among_the_weights(found, yunet, blob_detector, tmp_path, monkeypatch):
    """It is taken before S3FD, unless S3FD is named or upstream's frames are wanted."""
    home = tmp_path / "home"
    home.mkdir()
    for name, file in [("yunet.onnx", yunet), ("s3fd.pth", blob_detector.file("zip"))]:
        (home / name).symlink_to(file)
    monkeypatch.setenv("RUN_MODEL_HOME", str(home))
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), clips.picture(0))
    light, heavy = f"detector: {home}/yunet.onnx", f"s3fd weights: {home}/s3fd.pth"
    for options, told, not_told in [
        (["--strict"], light, heavy),
        (["--compat", "--box", "-1", "-1", "-1", "-1"], heavy, light),
        (["--s3fd", blob_detector.file("zip"), "--strict"], "", light),
    ]:
        stderr = found(picture, *options, code=None).stderr
        assert told in stderr and not_told not in stderr


def test_refusals(found, program, yunet, shared_data, blob_detector, voice, tmp_path):
    s3fd = blob_detector.file("zip")
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), clips.picture(0))
    for options, part in [
        (["--s3fd", s3fd, "--detector", yunet], "--s3fd and --detector both find the face"),
        (["--compat", "--detector", yunet], "--compat finds faces as the original does"),
        (["--compat", "--s3fd", s3fd, "--detect-every", 2], "--compat finds faces as the original"),
        (["--detector", yunet, "--detect-every", 0], "--detect_every must be from 1"),
    ]:
        assert part in found(picture, *options, code=2).stderr
    mnist = shared_data / "onnx/mnist_zoo.onnx"
    for file, part in [
        (mnist, "not a known face detector: it gives Plus214_Output_0, while YuNet gives"),
        (picture, "a.png: "),
        (tmp_path / "gone.onnx", "gone.onnx: "),
    ]:
        done = found(picture, "--detector", file, code=1)
        assert part in done.stderr and done.stderr.count("\n") <= 2, done.stderr
        assert not list(tmp_path.glob("out*"))
