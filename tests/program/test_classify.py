"""`run-model mobilenetv2` on image files: preprocessing, batches, labels, kinds of output."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import NETWORK_TOLERANCE, ROOT, json_lines
from reference import mobilenetv2

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES = 7


def picture(height, width, channels=3, seed=1):
    """Smooth colours with noise, (H,W,C), RGB."""
    g = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    planes = [0.5 + 0.4 * np.sin(x / (9 + 5 * c + seed % 7) + y / 13) for c in range(channels)]
    values = np.stack(planes, 2) + g.normal(0, 0.06, (height, width, channels))
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


def seen(image, side=224, shorter=256, stretch=False, values=None):
    """What torchvision's transforms make of a PIL image, (1,3,side,side)."""
    image = image.convert("RGB")
    if stretch:
        image = image.resize((side, side), Image.BILINEAR)
    else:
        w, h = image.size
        size = (shorter, int(shorter * h / w)) if w < h else (int(shorter * w / h), shorter)
        image = image.resize(size, Image.BILINEAR)
        left, top = (int(round((s - side) / 2.0)) for s in image.size)
        image = image.crop((left, top, left + side, top + side))
    levels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
    if values:
        mean, deviation = (torch.tensor(v, dtype=torch.float32).view(-1, 1, 1) for v in values)
        return ((levels - mean) / deviation)[None]
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, DEVIATION))
    return ((levels / 255 - mean) / deviation)[None]


@pytest.fixture(scope="module")
def small(mobilenetv2_network):
    return mobilenetv2_network(0.35, CLASSES)


@pytest.fixture
def classify(program, small):
    """classify(paths, options): the JSON objects."""

    def run(paths, *options, code=0):
        arguments = ["mobilenetv2", *paths, "-w", small.file("zip"), "--json", "-k", CLASSES]
        return json_lines(program.run(*arguments, *options, code=code).stdout)

    return run


def probabilities(line):
    """By class; told from the most probable on."""
    told = [entry["probability"] for entry in line["classes"]]
    assert told == sorted(told, reverse=True)
    return np.array([p for _, p in sorted((e["class"], e["probability"]) for e in line["classes"])])


def check(line, network, pixels):
    expected = network(pixels)[0].numpy()
    error = np.abs(probabilities(line) - expected).max() / expected.max()
    assert error <= NETWORK_TOLERANCE, error
    return expected


# ---- what the network sees ---------------------------------------------------------------------

# Both ways of rounding a half, upscaling, a square, and tall ones, of which Pillow shrinks the rows
# first.
SIZES = [(300, 401), (256, 343), (256, 341), (600, 512), (20, 31), (256, 256), (700, 90),
         (900, 260)]


@pytest.mark.parametrize("height, width", SIZES)
def test_preprocessing_of_torchvision(classify, small, tmp_path, height, width):
    image = Image.fromarray(picture(height, width))
    image.save(tmp_path / "a.png")
    line = classify([tmp_path / "a.png"])[0]
    assert (line["width"], line["height"]) == (width, height)
    expected = check(line, small, seen(image))
    # The test says something: another crop is not within the tolerance.
    shifted = small(seen(image, shorter=257))[0].numpy()
    assert np.abs(shifted - expected).max() > 4 * NETWORK_TOLERANCE * expected.max()


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1"])
def test_kinds_of_pictures(classify, small, tmp_path, mode):
    channels = {"L": 1, "LA": 2, "RGBA": 4}.get(mode, 3)
    image = Image.fromarray(picture(300, 280, channels).squeeze())
    image = image.convert(mode)
    image.save(tmp_path / "a.png")
    check(classify([tmp_path / "a.png"])[0], small, seen(Image.open(tmp_path / "a.png")))


OPTIONS = [
    (["--size", 96], dict(side=96, shorter=110)),
    (["--size", 193, "--resize", 193], dict(side=193, shorter=193)),
    (["--resize", 232], dict(shorter=232)),
    (["--stretch"], dict(stretch=True)),
    (["--values", "raw"], dict(values=([0], [1]))),
    (["--values", "unit"], dict(values=([0], [255]))),
    (["--values", "signed", "--stretch"], dict(stretch=True, values=([128], [128]))),
    (["--values", "127.5/127.5"], dict(values=([127.5], [127.5]))),
    (["--values=123.5,116,103/58,57,57.5"], dict(values=([123.5, 116, 103], [58, 57, 57.5]))),
    (["--values", "imagenet"], {}),
]


@pytest.mark.parametrize("options, meaning", OPTIONS)
def test_other_preprocessing(classify, small, tmp_path, options, meaning):
    image = Image.fromarray(picture(333, 278))
    image.save(tmp_path / "a.png")
    check(classify([tmp_path / "a.png"], *options)[0], small, seen(image, **meaning))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_orientation_of_exif(classify, tmp_path, orientation):
    """A JPEG that says how it lies is answered as one whose pixels lie so."""
    ways = Image.Transpose
    undo = {2: ways.FLIP_LEFT_RIGHT, 3: ways.ROTATE_180, 4: ways.FLIP_TOP_BOTTOM,
            5: ways.TRANSPOSE, 6: ways.ROTATE_90, 7: ways.TRANSVERSE, 8: ways.ROTATE_270}
    # Whole blocks of 16 pixels, so that turning changes nothing in what JPEG keeps but roundings.
    image = Image.fromarray(picture(256, 320))
    image.save(tmp_path / "upright.jpg", quality=100, subsampling=0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = image.transpose(undo[orientation])
    turned.save(tmp_path / "turned.jpg", quality=100, subsampling=0, exif=exif)
    turned.save(tmp_path / "wrong.jpg", quality=100, subsampling=0)
    names = [tmp_path / f"{name}.jpg" for name in ("upright", "turned", "wrong")]
    upright, told, wrong = classify(names)
    assert (told["width"], told["height"]) == (320, 256)
    difference = np.abs(probabilities(told) - probabilities(upright)).max()
    assert difference < 0.1 * np.abs(probabilities(wrong) - probabilities(upright)).max()


# ---- many files --------------------------------------------------------------------------------


def test_batches_change_nothing(program, classify, small, tmp_path, cpu):
    for i in range(11):
        Image.fromarray(picture(60 + 7 * i, 80, seed=i)).save(tmp_path / f"{i:02}.png")
    (tmp_path / "03.png").write_text("<html>")
    alone = [classify([tmp_path / f"{i:02}.png"], "--cpu", cpu, code=int(i == 3))[0]
             for i in range(11)]
    assert "03.png: not a PNG" in alone[3]["error"]
    for options in (["--batch", 1], ["--batch", 4, "--threads", 3], ["--threads", 1], []):
        assert classify([tmp_path], "--cpu", cpu, *options, code=1) == alone


def test_folders(program, small, tmp_path):
    names = ["a.png", "b/c.bmp", "b/d/e.ppm", "b/d/UPPER.JPG"]
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(40, 50)).save(tmp_path / "in" / name)
    (tmp_path / "in/notes.txt").write_text("no image")
    shutil.copy(tmp_path / "in/a.png", tmp_path / "in/.hidden.png")
    shutil.copy(tmp_path / "in/a.png", tmp_path / "no_ending")
    (tmp_path / "empty").mkdir()
    arguments = ["mobilenetv2", "in/b", "no_ending", "in/a.png", "-w", small.file("zip")]
    lines = program.run(*arguments, cwd=tmp_path).stdout.splitlines()
    expected = ["in/b/c.bmp", "in/b/d/UPPER.JPG", "in/b/d/e.ppm", "no_ending", "in/a.png"]
    assert [line.split(": ")[0] for line in lines] == expected
    done = program.run(*arguments, "empty", cwd=tmp_path, code=1)
    assert len(done.stdout.splitlines()) == 5
    assert done.stderr == "run-model mobilenetv2: empty: there are no images in this folder\n"


def test_what_cannot_be_read_is_told_and_the_rest_answered(program, small, tmp_path):
    Image.fromarray(picture(40, 50)).save(tmp_path / "good.png")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(picture(1, 200)).save(tmp_path / "thin.png")
    names = ["cut.png", "missing.png", "thin.png", "good.png"]
    arguments = ["mobilenetv2", *names, "-w", small.file("zip")]
    done = program.run(*arguments, cwd=tmp_path, code=1)
    assert done.stdout.startswith("good.png: class ") and done.stdout.count("\n") == 1
    told = done.stderr.splitlines()
    assert len(told) == 3 and all(line.startswith("run-model mobilenetv2: ") for line in told)
    assert "cut.png: " in told[0] and "missing.png: cannot open" in told[1]
    assert "thin.png: 200x1 pixels are too long and thin" in told[2]
    lines = json_lines(program.run(*arguments, "--json", cwd=tmp_path, code=1).stdout)
    assert ["error" in line for line in lines] == [True, True, True, False]


# ---- labels and kinds of output ----------------------------------------------------------------


def test_labels(program, small, tmp_path):
    Image.fromarray(picture(64, 64)).save(tmp_path / "a.png")
    weights = shutil.copy(small.file("zip"), tmp_path / "net.v1.pth")
    arguments = ["mobilenetv2", "a.png", "-w", weights]
    names = [f"name, {i}" for i in range(CLASSES)]

    def told(*options, code=0):
        done = program.run(*arguments, "--json", *options, cwd=tmp_path, code=code)
        return {e["class"]: e["label"] for e in json_lines(done.stdout)[0]["classes"]}

    assert set(told().values()) == {None}
    (tmp_path / "net.v1_labels.txt").write_text("\n".join(names))
    assert told("--top", 7) == dict(enumerate(names))
    upper = [name.upper() for name in names]
    (tmp_path / "up.json").write_text(json.dumps({str(i): ["n0", n] for i, n in enumerate(upper)}))
    assert told("--labels", "up.json", "--top", 7) == dict(enumerate(upper))
    # CSV quotes what needs it; K limits; human lines hold the same.
    table = program.run(*arguments, "--csv", "--top", 2, cwd=tmp_path).stdout
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["rank"] for row in rows] == ["1", "2"] and rows[0]["file"] == "a.png"
    assert rows[0]["label"] == names[int(rows[0]["class"])]
    line = program.run(*arguments, "--top", 1, cwd=tmp_path).stdout
    percent = 100 * float(rows[0]["probability"])
    assert line == f"a.png: {rows[0]['label']} {percent:.2f} %\n"
    (tmp_path / "few.txt").write_text("one\ntwo\n")
    done = program.run(*arguments, "--labels", "few.txt", cwd=tmp_path, code=1)
    assert "few.txt: names 2 classes, and the network has 7" in done.stderr
    assert done.stdout == ""


def test_shipped_network_knows_its_digits(program, tmp_path):
    sklearn = pytest.importorskip("sklearn.datasets")
    digits = sklearn.load_digits()
    for i in range(20):
        digit = Image.fromarray((digits.images[i] * 15.9).astype(np.uint8))
        canvas = Image.new("L", (160, 160))
        canvas.paste(digit.resize((128, 128), Image.BILINEAR), (16, 16))
        canvas.save(tmp_path / f"{i:02}.png")
    weights = ROOT / "data/weights/mobilenetv2.safetensors"
    arguments = ["mobilenetv2", tmp_path, "--weights", weights]
    lines = program.run(*arguments, "--top", 1).stdout.splitlines()
    words = "zero one two three four five six seven eight nine".split()
    right = sum(f": {words[digits.target[i]]} " in line for i, line in enumerate(lines))
    assert len(lines) == 20 and right >= 19


def test_wrong_usage(program, small, tmp_path):
    Image.fromarray(picture(64, 64)).save(tmp_path / "a.png")
    for options, part in [
        ([], "no image or folder is named"),
        (["a.png", "--csv", "--json"], "exclude each other"),
        (["a.png", "--stretch", "--resize", 300], "exclude each other"),
        (["a.png", "--values", "bgr"], "MEAN/DEVIATION, not 'bgr'"),
        (["a.png", "--values", "1/0"], "not '1/0'"),
        (["a.png", "--values", "1,2/3"], "not '1,2/3'"),
        (["a.png", "--top", 0], "--top must be from 1"),
    ]:
        done = program.run("mobilenetv2", *options, "-w", small.file("zip"), cwd=tmp_path, code=2)
        assert part in done.stderr and done.stderr.count("\n") == 1, options
    done = program.run("mobilenetv2", "a.png", "-w", small.file("zip"), "--resize", 100,
                       cwd=tmp_path, code=1)
    assert "a square of 224 pixels cannot be cut out" in done.stderr


def test_weights_of_another_network(program, lstm_network, tmp_path):
    Image.fromarray(picture(64, 64)).save(tmp_path / "a.png")
    done = program.run("mobilenetv2", tmp_path / "a.png", "-w", lstm_network().file("zip"), code=1)
    assert "not weights of mobilenetv2" in done.stderr


# ---- ImageNet ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def imagenet(shared_data):
    """(weights, labels) of the network on ImageNet in an ONNX file."""
    found = shared_data / "onnx/mobilenet_v2_imagenet.onnx"
    labels = shared_data / "labels/imagenet_class_index.json"
    if not found.exists() or not labels.exists():
        pytest.skip("needs the ImageNet network in the shared test data")
    return found, labels


@pytest.mark.parametrize("stretch", [False, True])
def test_photographs_as_in_onnxruntime(program, imagenet, shared_data, stretch):
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(str(imagenet[0]))
    photos = sorted((shared_data / "media/photos").glob("*.[bj][mp][pg]"))
    assert len(photos) == 3
    arguments = ["mobilenetv2", *photos, "-w", imagenet[0], "--labels", imagenet[1]]
    arguments += ["--values", "signed", *(["--stretch"] if stretch else []), "--json"]
    lines = json_lines(program.run(*arguments).stdout)
    for path, line in zip(photos, lines):
        pixels = seen(Image.open(path), stretch=stretch, values=([128], [128])).numpy()
        expected = session.run(["probs"], {"input": pixels})[0][0]
        best = np.argsort(-expected)[:5]
        assert [e["class"] for e in line["classes"]] == best.tolist(), path.name
        told = [e["probability"] for e in line["classes"]]
        error = np.abs(told - expected[best]).max()
        assert error <= NETWORK_TOLERANCE * expected.max(), path.name
    if stretch:
        labels = [line["classes"][0]["label"] for line in lines]
        assert labels[:2] == ["Egyptian_cat", "military_uniform"]


def test_weights_of_torchvision_on_photographs(program, imagenet, shared_data):
    path = shared_data / "weights/mobilenet_v2_imagenet.pth"
    if not path.exists():
        pytest.skip("needs mobilenet_v2_imagenet.pth in the shared test data")
    model = mobilenetv2.loaded(path)
    photos = sorted((shared_data / "media/photos").glob("*.bmp"))
    lines = json_lines(program.run("mobilenetv2", *photos, "-w", path, "--labels", imagenet[1],
                                   "--values", "signed", "--top", 1000, "--json").stdout)
    for photo, line in zip(photos, lines):
        with torch.no_grad():
            expected = model(seen(Image.open(photo), values=([128], [128])))[0].numpy()
        assert np.abs(probabilities(line) - expected).max() <= NETWORK_TOLERANCE * expected.max()
    assert lines[0]["classes"][0]["label"] == "Egyptian_cat"


def test_an_onnx_file_that_fixes_its_size(program, imagenet, tmp_path):
    Image.fromarray(picture(64, 64)).save(tmp_path / "a.png")
    done = program.run("mobilenetv2", tmp_path / "a.png", "-w", imagenet[0], "--size", 192, code=1)
    assert "the network takes 224 pixels a side, not 192" in done.stderr
