"""Synthetic speech with the times of its phonemes, and the mouth that says it.

espeak-ng (Debian: libespeak-ng1, espeak-ng-data) speaks; while it does, it reports every phoneme it
begins. `mouths` turns those into two curves, how far the mouth is open and how far its corners are
drawn apart, by the rules of articulation below. Nothing here is measured from people.
"""

import ctypes
import re
from collections import namedtuple

import numpy as np
from scipy import ndimage, signal

RATE = 16000

# samples: float32 mono at RATE; phonemes: (start seconds, end seconds, espeak's name)
Speech = namedtuple("Speech", "samples phonemes")
Voice = namedtuple("Voice", "name pitch speed")

_LANGUAGES = {
    "train": "en en-us en-029 en-us-nyc en-gb-scotland en-gb-x-gbclan".split(),
    "held-out": "en-gb-x-rp en-gb-x-gbcwmd".split(),
}
_VARIANTS = {
    "train": "m1 m2 m3 m5 m6 m8 f1 f2 f4 adam Alicia Annie benjamin edward linda paul".split(),
    "held-out": "m4 m7 f3 f5".split(),
}

# ---------------------------------------------------------------------------------- what is said

# Every fifth word of these lists is kept for the held-out sentences.
_NOUNS = """apple boat bridge butter captain chair cherry church cloud coffee daughter doctor dragon
engine evening father feather fiddle flower forest friend garden ghost giant glove guitar hammer
harbour honey horse house island jacket journey judge kettle kitchen ladder lemon letter library
lizard market meadow mirror monkey moon morning mother mountain mouse neighbour oil onion orange
owl painter paper parrot pepper picture pillow pilot pocket potato puddle queen rabbit radio river
robin sailor school shadow sheep ship shoe shoulder singer soup spider spoon stable station stone
story summer sword table teacher thief thumb thunder ticket tiger tower toy train treasure turtle
uncle valley village violin voice wagon water weather wheel window winter wolf woman wool yard year
zebra baby bottle box bubble farm book foot cousin beach measure vision pleasure garage""".split()
_VERBS = """asked beat bought broke brought built buried called carried caught chased chose climbed
counted covered dropped enjoyed examined fed followed forgot found gathered gave guarded hated
heard helped hid hoped imagined invited joined judged kept kicked kissed knew lifted liked lost
loved made mended moved needed noticed opened owned painted passed picked praised pulled pushed
raised reached remembered repaired sang saved saw shared showed shut sold stole taught thanked
threw took touched used viewed wanted warned washed watched wore""".split()
_ADJECTIVES = """awful beautiful big blue brave bright broad calm cheap clever cold cool curious
dark deep dusty early empty fair famous fast foolish funny gentle golden great green happy heavy
hollow huge hungry icy jolly joyful kind large lazy lonely loud lucky merry narrow noisy odd old
patient pink poor proud purple quiet rough round royal sharp shiny short shy silver simple sleepy
slow small smooth soft strange strong sweet tall thick thin tiny ugly useful vague warm weary white
wide wild wooden yellow young""".split()
_ADVERBS = """again alone already always at_home at_noon before_breakfast by_mistake early every_day
for_fun in_May in_public in_the_fog last_week never_mind often on_foot on_purpose outside
over_there quietly rather_badly slowly somehow this_morning today together tomorrow twice
under_the_roof upstairs very_well with_pleasure without_a_word yesterday""".split()
_OPENINGS = """Perhaps Maybe Somehow Yesterday Of_course, Well, At_last, Believe_me: You_know,
They_say Usually Oh_no! Look: Five_times Therefore Between_us, Whoever_asks, Now""".split()
_TEMPLATES = """the A N V the N B|my N V your A N B|O the N V a A A N|who V the A N
|why have you V this N B|B we V the N and the A N|this A N and that N V me B
|O somebody V her N, but the A N V mine|no N was ever so A or so A|I V the N, you V the A N
|how A the N is B|a N, a N and a A N V them B|his N V it B|O nobody V their A N""".split("|")


def sentence(rng, split):
    """One sentence out of a grammar; but for small words the two splits share none."""
    slots = {"N": _NOUNS, "V": _VERBS, "A": _ADJECTIVES, "B": _ADVERBS, "O": _OPENINGS}

    def word(match):
        words = slots[match[0]]
        kept = [w for i, w in enumerate(words) if (i % 5 == 4) == (split == "held-out")]
        return str(rng.choice(kept)).replace("_", " ")

    template = _TEMPLATES[rng.integers(len(_TEMPLATES))].strip()
    text = re.sub(r"\b[NVABO]\b", word, template)
    return text[0].upper() + text[1:] + "."


def voice(rng, split):
    """A voice with its pitch and its speed; no accent and no timbre is in both splits."""
    name = f"{rng.choice(_LANGUAGES[split])}+{rng.choice(_VARIANTS[split])}"
    return Voice(name, int(rng.integers(20, 81)), int(rng.integers(130, 211)))


# ------------------------------------------------------------------------------------- espeak-ng

_SYNCHRONOUS, _PHONEME_EVENTS, _UTF8 = 2, 1, 1
_SPEED, _PITCH = 1, 3
_EVENT_END, _EVENT_PHONEME = 0, 7
_LEAD = 0.16  # seconds


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),  # a union; phoneme names lie in it, not behind a pointer
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)
_engine = None  # the library holds one engine for each process, and so do we


def _start_engine():
    global _engine
    if _engine is None:
        library = ctypes.CDLL("libespeak-ng.so.1")
        rate = library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS)
        if rate <= 0:
            raise RuntimeError("espeak-ng does not start; is espeak-ng-data installed?")
        _engine = library, rate
    return _engine


def say(text, voice, pitch, speed):
    """`voice` as espeak-ng names it, "en-us+f2"; pitch 0..99; speed in words a minute.

    A moment of silence comes first: a clip must not begin in the middle of a vowel.
    """
    library, rate = _start_engine()
    pieces, begins = [], []

    def receive(samples, count, events):
        if samples and count:
            pieces.append(ctypes.string_at(samples, 2 * count))
        i = 0
        while events[i].type != _EVENT_END:
            if events[i].type == _EVENT_PHONEME:
                begins.append((events[i].sample / rate, events[i].name.decode()))
            i += 1
        return 0

    callback = _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(f"espeak-ng has no voice {voice}")
    library.espeak_SetParameter(_PITCH, pitch, 0)
    library.espeak_SetParameter(_SPEED, speed, 0)
    raw = text.encode()
    library.espeak_Synth(raw, len(raw) + 1, 0, 0, 0, _UTF8, None, None)

    samples = np.frombuffer(b"".join(pieces), np.int16) / np.float32(32768)
    samples = np.pad(samples, (int(_LEAD * rate), 0))
    end = len(samples) / rate
    samples = signal.resample_poly(samples, RATE, rate, window=("kaiser", 10.0))
    samples /= max(1.0, np.abs(samples).max())
    begins = [(0.0, "_")] + [(start + _LEAD, name) for start, name in begins]
    ends = [start for start, _ in begins[1:]] + [end]
    phonemes = [(start, stop, name) for (start, name), stop in zip(begins, ends)]
    return Speech(samples.astype(np.float32), phonemes)


# ------------------------------------------------------------------------------------- the mouth

# Targets (open, spread); names as espeak-ng gives them, without the marks of length and variety.
# Two targets: a diphthong, from the first to the second.
_VOWELS = {
    "a": [(0.85, 0.35)], "a#": [(0.4, 0.1)],
    "A": [(1.0, 0.05)], "A@": [(1.0, 0.0)], "aa": [(0.9, 0.3)],
    "aI": [(0.95, 0.2), (0.35, 0.6)], "aU": [(0.95, 0.1), (0.3, -0.7)],
    "E": [(0.6, 0.5)], "e": [(0.5, 0.6)], "e@": [(0.55, 0.45)], "eI": [(0.5, 0.6), (0.3, 0.75)],
    "I": [(0.32, 0.55)], "i": [(0.22, 0.9)], "i@": [(0.28, 0.65)], "I@": [(0.28, 0.65)],
    "O": [(0.65, -0.5)], "0": [(0.75, -0.25)], "O@": [(0.6, -0.5)], "o@": [(0.6, -0.5)],
    "o": [(0.45, -0.7)], "oU": [(0.5, -0.5), (0.25, -0.85)], "OI": [(0.6, -0.55), (0.32, 0.55)],
    "u": [(0.2, -0.95)], "U": [(0.28, -0.65)], "U@": [(0.3, -0.6)],
    "V": [(0.65, 0.1)], "VR": [(0.5, -0.1)], "3": [(0.42, -0.2)], "@": [(0.35, 0.0)],
    "@L": [(0.3, 0.0)], "aI@": [(0.9, 0.2), (0.4, 0.2)], "aU@": [(0.9, 0.0), (0.4, -0.3)],
}  # fmt: skip
_CONSONANTS = {  # open, spread, firmness of open, firmness of spread
    "p": (0.0, 0.0, 3.0, 0.2), "b": (0.0, 0.0, 3.0, 0.2), "m": (0.0, 0.0, 3.0, 0.2),
    "f": (0.08, 0.2, 2.0, 0.4), "v": (0.08, 0.2, 2.0, 0.4), "w": (0.14, -1.0, 2.0, 2.0),
    "r": (0.22, -0.45, 0.8, 0.8), "s": (0.1, 0.4, 1.5, 0.5), "z": (0.1, 0.4, 1.5, 0.5),
    "S": (0.15, -0.6, 1.5, 1.2), "Z": (0.15, -0.6, 1.5, 1.2), "tS": (0.15, -0.6, 1.5, 1.2),
    "dZ": (0.15, -0.6, 1.5, 1.2), "t": (0.1, 0.15, 1.0, 0.2), "d": (0.1, 0.15, 1.0, 0.2),
    "n": (0.12, 0.15, 1.0, 0.2), "T": (0.2, 0.1, 1.2, 0.3), "D": (0.2, 0.1, 1.2, 0.3),
    "l": (0.2, 0.1, 0.8, 0.2), "k": (0.2, 0.0, 0.7, 0.1), "g": (0.2, 0.0, 0.7, 0.1),
    "N": (0.2, 0.0, 0.7, 0.1), "h": (0.35, 0.0, 0.2, 0.1), "j": (0.22, 0.7, 1.0, 0.8),
    "x": (0.2, 0.0, 0.7, 0.1),
    ";": (0.22, 0.7, 1.0, 0.8), "?": (0.3, 0.0, 0.2, 0.1), "ts": (0.1, 0.4, 1.5, 0.5),
}  # fmt: skip
_CLOSED = ("p", "b", "m")
_PAUSE = (0.0, 0.0, 2.0, 0.4)
_FINE = 200.0  # points a second of the curves before they are sampled
_REACH = 0.028  # seconds, standard deviation of what a phoneme does to its neighbours
_PARTING = 0.11  # seconds from lips closed to mouth wide open


def _plain_name(name):
    """espeak's name without the marks of length, stress and variety: "3:" "aI2" "t#" "n-"."""
    if name in _VOWELS:
        return name
    name = re.sub(r"[^@A-Za-z0-9?;]", "", name)
    return name[:1] + re.sub(r"[0-9]", "", name[1:])


def targets(name):
    """[(open, spread), ...] from begin to end, firmness of open, firmness of spread."""
    plain = _plain_name(name)
    if name.startswith("_") or not plain:
        return [_PAUSE[:2]], _PAUSE[2], _PAUSE[3]
    if plain in _VOWELS:
        return _VOWELS[plain], 1.4, 1.0
    if plain in _CONSONANTS:
        open_, spread, firm_open, firm_spread = _CONSONANTS[plain]
        return [(open_, spread)], firm_open, firm_spread
    raise ValueError(f"no mouth is known for the phoneme {name}")


def mouths(sound, fps=25):
    """(T, 2) float32, open 0..1 and spread -1..1, at the CENTRE of each frame, (i + 0.5) / fps.

    The pipeline gives frame i the mel columns of i / fps to i / fps + 0.2 s, and players show it
    from i / fps to (i + 1) / fps, so the centre is what both agree with.
    """
    seconds = len(sound.samples) / RATE
    points = int(np.ceil(seconds * _FINE)) + 1
    time = np.arange(points) / _FINE
    curves = np.tile(np.array(_PAUSE[:2]), (points, 1))
    firm = np.tile(np.array(_PAUSE[2:]), (points, 1))
    limit = np.ones(points)
    for start, stop, name in sound.phonemes:
        path, firm_open, firm_spread = targets(name)
        inside = (time >= start) & (time < stop)
        progress = (time[inside] - start) / max(stop - start, 1e-6)
        progress = np.clip(progress * 1.6 - 0.3, 0, 1)[:, None]
        curves[inside] = np.array(path[0]) * (1 - progress) + np.array(path[-1]) * progress
        firm[inside] = firm_open, firm_spread
        if _plain_name(name) in _CLOSED:
            away = np.maximum(np.maximum(start - time, time - stop), 0)
            limit = np.minimum(limit, np.clip(away / _PARTING, 0, 1) ** 0.8)

    sigma = (_REACH * _FINE, 0)
    weight = ndimage.gaussian_filter(firm, sigma, mode="nearest")
    blended = ndimage.gaussian_filter(curves * firm, sigma, mode="nearest") / weight
    blended[:, 0] = np.minimum(blended[:, 0], limit)
    blended = ndimage.gaussian_filter1d(blended, 0.008 * _FINE, axis=0, mode="nearest")

    centres = (np.arange(int(seconds * fps)) + 0.5) / fps
    tracks = [np.interp(centres, time, column) for column in blended.T]
    return np.clip(np.stack(tracks, 1), (0, -1), (1, 1)).astype(np.float32)
