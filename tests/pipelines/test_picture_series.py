"""Pictures in files of their own, as face and as result: a folder, or a pattern of names."""

import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from conftest import Network
from reference import clips, wav2lip

WIDTH, HEIGHT, COUNT = 80, 64, 6
BOX = (16, 56, 24, 56)  # top bottom left right
KINDS = {"rgb24": (3, np.uint8), "rgba": (4, np.uint8), "rgb48be": (3, np.uint16),
         "rgba64be": (4, np.uint16), "gray": (1, np.uint8), "gray16be": (1, np.uint16),
         "ya8": (2, np.uint8)}


def picture(index, channels, dtype):
    yy, xx = np.mgrid[0:HEIGHT, 0:WIDTH]
    top = np.iinfo(dtype).max
    image = np.stack([0.45 + 0.3 * np.sin(xx / (7 + c) + index / 3) * np.cos(yy / (9 - c))
                      for c in range(channels)], axis=2)
    image[:4] = np.linspace(0, 1, WIDTH)[None, :, None]  # all there is
    return (image * top).round().astype(dtype)


def write(path, array, fmt):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", fmt, "-s",
                    f"{WIDTH}x{HEIGHT}", "-i", "-", "-frames:v", "1", "-update", "1", str(path)],
                   input=array.astype(array.dtype.newbyteorder(">")).tobytes(), check=True)


def read(path, fmt):
    channels, dtype = KINDS[fmt]
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt",
                          fmt, "-"], check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.dtype(dtype).newbyteorder(">")).reshape(HEIGHT, WIDTH, channels)


def make(folder, fmt, names):
    folder.mkdir()
    for i, name in enumerate(names):
        write(folder / name, picture(i, *KINDS[fmt]), fmt)
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return Network(wav2lip.Wav2Lip(1 / 16, least=4).eval(), tmp_path_factory.mktemp("network"))


@pytest.fixture
def run(program, voices, network):
    def go(face, out, *arguments, seconds=COUNT / 25, **settings):
        return program.run("wav2lip", "--face", face, "--audio", voices(seconds), "--outfile", out,
                           "--checkpoint_path", network.file("zip"), "--box", *BOX, *arguments,
                           **settings)

    return go


@pytest.mark.parametrize("fmt", KINDS)
def test_samples_outside_the_mask_are_those_of_the_files(run, tmp_path, fmt):
    face = make(tmp_path / "in", fmt, [f"{i}.png" for i in range(COUNT)])
    out = tmp_path / "out"
    said = run(face, f"{out}/", "--mask", "box")
    assert "hold neither the sound nor" in said.stderr
    assert sorted(p.name for p in out.iterdir()) == [f"{i:06}.png" for i in range(1, COUNT + 1)]
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[BOX[0]:BOX[1], BOX[2]:BOX[3]] = False
    stream = clips.stream(out / "000001.png", "video")
    assert stream["pix_fmt"] == fmt
    for i in range(COUNT):
        got, source = read(out / f"{i + 1:06}.png", fmt), picture(i, *KINDS[fmt])
        assert (got[outside] == source[outside]).all()
        assert (got[~outside] != source[~outside]).any()


def test_names_are_in_the_order_of_their_numbers(run, tmp_path):
    names = [f"shot{n}.png" for n in (1, 2, 9, 10, 11, 100)]
    face = make(tmp_path / "in", "rgb24", names)
    (face / "notes.txt").write_text("no picture")
    for path in (face, f"{face}/shot%d.png"):
        out = tmp_path / "out.mkv"
        run(path, out, "--codec", "ffv1", "--pix_fmt", "bgr0")
        for frame, name in zip(clips.read_video(out), names, strict=True):
            assert (frame[:12, :20] == np.array(Image.open(face / name))[:12, :20, ::-1]).all()


def test_a_pattern_takes_and_makes_its_own_names(run, tmp_path):
    face = make(tmp_path / "in", "rgb24", [f"{i:04}.png" for i in range(COUNT)])
    shutil.copy(face / "0000.png", face / "5.png")  # of another pattern
    out = tmp_path / "out"
    run(f"{face}/%04d.png", f"{out}/s%03d.png")
    assert sorted(p.name for p in out.iterdir()) == [f"s{i:03}.png" for i in range(1, COUNT + 1)]
    again = tmp_path / "again"
    again.mkdir()  # empty: it is taken
    run(f"{face}/%04d.png", f"{again}/s%03d.png")
    assert all((again / p.name).read_bytes() == p.read_bytes() for p in out.iterdir())


def test_the_rate_is_what_is_asked_for(run, tmp_path):
    face = make(tmp_path / "in", "rgb24", [f"{i}.png" for i in range(COUNT)])
    run(face, tmp_path / "out.mp4", "--fps", 12.5, seconds=2 * COUNT / 25)
    assert clips.frame_rate(tmp_path / "out.mp4") == 12.5
    assert len(clips.read_video(tmp_path / "out.mp4")) == COUNT


def test_a_deep_video_becomes_deep_pictures(run, tmp_path):
    clips.write_video(tmp_path / "in.mkv", [picture(i, 3, np.uint8) for i in range(COUNT)], 25,
                      ["-c:v", "ffv1", "-pix_fmt", "yuv420p10le"])
    run(tmp_path / "in.mkv", f"{tmp_path}/out/")
    assert clips.stream(tmp_path / "out" / "000001.png", "video")["pix_fmt"] == "rgb48be"


def test_hostile_series_are_one_sentence_and_leave_nothing(run, tmp_path):
    small = make(tmp_path / "sizes", "rgb24", [f"{i}.png" for i in range(COUNT)])
    Image.new("RGB", (40, 64)).save(small / "3.png")
    cut = make(tmp_path / "cut", "rgb24", [f"{i}.png" for i in range(COUNT)])
    (cut / "2.png").write_bytes((cut / "2.png").read_bytes()[:30])
    mixed = make(tmp_path / "mixed", "rgb24", ["0.png"])
    Image.new("RGB", (WIDTH, HEIGHT)).save(mixed / "1.jpg")
    good = make(tmp_path / "good", "rgb24", [f"{i}.png" for i in range(COUNT)])
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for face, out, words in [
        (small, "out/", "3.png: is 40x64, and the first picture"),
        (cut, "out/", "2.png: the picture cannot be decoded"),
        (mixed, "out/", "1.jpg is not of the kind"),
        (empty, "out/", "there is no picture in the folder"),
        (f"{good}/%04d.png", "out/", "no file has such a name"),
        (good, "full/", "holds something already"),
        (good, "full/%04d.png", "holds something already"),
        (good, "none/out/", "does not exist"),
        (good, "out/%04d.jpg", "a pattern of PNG pictures"),
    ]:
        said = run(face, f"{tmp_path}/{out}", code=1)
        assert words in said.stderr and said.stderr.strip().count("\n") == 0, said.stderr
        assert sorted(tmp_path.rglob("*")) == before
    for out, codec, words in [("out/", "h264", "holds png, not h264"),
                              ("out.mkv", "png", "png is for a folder of pictures")]:
        assert words in run(good, f"{tmp_path}/{out}", "--codec", codec, code=1).stderr


ANIMATIONS = {"gif": {}, "webp": {"lossless": True, "exact": True}}


def animation(path, durations, alpha=False):
    frames = [Image.fromarray(picture(i, 4 if alpha else 3, np.uint8)) for i in range(COUNT)]
    if path.suffix == ".gif":
        frames = [f.convert("P", palette=Image.Palette.ADAPTIVE) for f in frames]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0,
                   **ANIMATIONS[path.suffix[1:]])
    with Image.open(path) as image:
        assert image.n_frames == COUNT
        for i in range(COUNT):
            image.seek(i)
            yield np.array(image.convert("RGBA" if alpha else "RGB"))


@pytest.mark.parametrize("kind", ANIMATIONS)
def test_animations_are_videos(run, tmp_path, kind):
    """Read as PIL reads them; with twice the voice they go back, and so are read again."""
    face = tmp_path / f"in.{kind}"
    frames = list(animation(face, 40))
    out = tmp_path / "out.mkv"
    run(face, out, "--codec", "ffv1", "--pix_fmt", "bgr0", seconds=2 * COUNT / 25)
    got = clips.read_video(out)
    assert len(got) == 2 * COUNT and clips.frame_rate(out) == 25
    order = [*range(COUNT), *range(COUNT - 2, -1, -1), 1]
    for frame, index in zip(got, order, strict=True):
        assert (frame[:, :20] == frames[index][:, :20, ::-1]).all()


def test_times_and_transparency_of_webp_are_kept(run, tmp_path):
    face, out = tmp_path / "in.webp", tmp_path / "out.mkv"
    durations = [40, 80, 40, 40, 120, 40]
    frames = list(animation(face, durations, alpha=True))
    run(face, out, "--codec", "ffv1", seconds=sum(durations) / 1000)
    times = [round(1000 * float(t)) for t in clips.frame_times(out)]
    starts = np.cumsum([0, *durations[:-1]]).tolist()
    assert set(starts) <= set(times)
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", out, "-fps_mode", "passthrough", "-f",
                          "rawvideo", "-pix_fmt", "rgba", "-"], check=True, capture_output=True)
    got = np.frombuffer(raw.stdout, np.uint8).reshape(-1, HEIGHT, WIDTH, 4)
    for start, frame in zip(starts, frames):
        assert (got[times.index(start)][:, :20] == frame[:, :20]).all()


def test_a_damaged_webp_is_one_sentence(run, tmp_path):
    face = tmp_path / "in.webp"
    list(animation(face, 40))
    face.write_bytes(face.read_bytes()[:len(face.read_bytes()) // 2])
    said = run(face, tmp_path / "out.mkv", code=1)
    assert "in.webp: " in said.stderr and said.stderr.strip().count("\n") == 0
    assert not (tmp_path / "out.mkv").exists()
