import numpy as np
import pytest
from PIL import Image

from ivs_jax.data.clips import DavisClips, FolderClips
from ivs_jax.data.sets import Mixture, Part, open_mixture, open_set
from ivs_jax.data.stills import FolderStills


@pytest.fixture
def data(tmp_path):
    """Two stills, and a sequence of four frames in DAVIS's layout."""
    image, mask = Image.new("RGB", (8, 6)), Image.new("L", (8, 6), 1)
    davis = tmp_path / "davis"
    for folder, kind, count in (
        (tmp_path / "stills/s/images", image, 2),
        (tmp_path / "stills/s/masks", mask, 2),
        (davis / "JPEGImages/480p/bear", image, 4),
        (davis / "Annotations/480p/bear", mask, 4),
    ):
        folder.mkdir(parents=True)
        for number in range(count):
            kind.save(folder / f"{number:05d}.png")
    (davis / "ImageSets/2017").mkdir(parents=True)
    (davis / "ImageSets/2017/train.txt").write_text("bear\n")
    return tmp_path


def test_folders_of_sequences_open(data):
    image, mask = Image.new("RGB", (8, 6)), Image.new("L", (8, 6), 255)
    for name, count in (("b", 3), ("a", 2)):
        for kind, picture in (("frames", image), ("masks", mask)):
            folder = data / "clips" / name / kind
            folder.mkdir(parents=True)
            for number in range(count):
                picture.save(folder / f"{number}.png")
    (data / "clips/b/masks/1.png").unlink()
    clips, binary = (FolderClips(data / "clips", binary=flag) for flag in (False, True))
    assert isinstance(open_set("clips:clips?binary=true&cached=true", data), FolderClips)
    assert [(clip.name, len(clip), clip.annotated) for clip in clips] == [
        ("a", 2, (0, 1)),
        ("b", 3, (0, 2)),
    ]
    for found, value in ((clips, 255), (binary, 1)):
        np.testing.assert_array_equal(found[0].labels(0), np.full((6, 8), value))
    with pytest.raises(ValueError, match="stills: no sequence there, expected <name>/frames"):
        open_set("clips:stills", data)
    for file in (data / "clips/a/masks").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match=r"a/masks: no mask 0.png \(2 of 2\)"):
        open_set("clips:clips", data)


def test_names_open_sets(data):
    stills, clips = open_set("stills:stills/s", data), open_set("davis:davis?split=train", data)
    assert isinstance(stills, FolderStills) and len(stills) == 2
    assert isinstance(clips, DavisClips) and len(clips[0]) == 4
    frames = open_set("davis:davis?split=train&every=3&cached=true", data)
    assert len(frames) == 2 and frames[0] is frames[0]
    assert open_set("stills:stills/s?cached=true", data)[0] is not stills[0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("stills/s", "unknown kind, expected stills:FOLDER .* or davis:F.* or tfds:NAME/SPLIT"),
        ("coco:x", "unknown kind"),
        ("davis:davis", r"no split, expected davis:FOLDER\?split"),
        ("davis:davis?split=train&size=3", "unknown option 'size', expected cached, every"),
        ("davis:davis?split=train&every=0", "every is '0', expected a number from 1"),
        ("davis:davis?split=train&sparse=yes", "sparse is 'yes', expected true or false"),
        ("stills:stills/s?every=2", "unknown option 'every'"),
        ("davis:davis?split=test", r"test\.txt: the list of sequences is missing"),
        ("stills:stills/none", "none/images: no JPEG or PNG image"),
        ("tfds:sbd", "no split, expected tfds:NAME/SPLIT"),
    ],
)
def test_bad_names_are_explained(data, spec, message):
    with pytest.raises(ValueError, match=message):
        open_set(spec, data)


def test_mixtures_draw_sets_by_their_share_and_elements_evenly():
    mixture = Mixture((["a", "b"], ["c"]), (1.0, 3.0), ("x", "y"))
    rng = np.random.default_rng(0)
    drawn = [mixture.draw(rng) for _ in range(800)]
    assert [drawn.count(x) / 800 for x in "abc"] == pytest.approx([1 / 8, 1 / 8, 3 / 4], abs=0.05)


def test_mixtures_hold_sets_of_one_kind(data):
    parts = (Part("stills:stills/s"), Part("davis:davis?split=train&every=1", 0.5))
    mixture = open_mixture(parts, data, "stills")
    assert mixture.shares == (1.0, 0.5) and [len(s) for s in mixture.sets] == [2, 4]
    with pytest.raises(ValueError, match="split=train: a set of clips, expected stills .every=8"):
        open_mixture((Part("davis:davis?split=train"),), data, "stills")
    with pytest.raises(ValueError, match="stills/s: a set of stills, expected clips"):
        open_mixture((Part("stills:stills/s"),), data, "clips")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), (), ()), "no set to draw from"),
        ((([1],), (0.0,), ("x",)), "x: share is 0.0, expected more than 0"),
        ((([1],), (float("nan"),), ("x",)), "x: share is nan"),
        ((([1], []), (1.0, 1.0), ("x", "y")), "y: the set is empty"),
    ],
)
def test_mixtures_of_nothing_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mixture(*arguments)
