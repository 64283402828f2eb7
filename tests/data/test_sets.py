from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ivs_jax.data.clips import FileClips
from ivs_jax.data.sets import Built, Clips, Davis, Mixture, Stills, open_mixture
from ivs_jax.data.stills import FileStills

TRAIN = Davis("davis", split="train")


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
    image, mask = Image.new("RGB", (8, 6)), Image.new("L", (8, 6), 7)
    for name, count in (("b", 3), ("a", 2)):
        for kind, picture in (("frames", image), ("masks", mask)):
            folder = data / "clips" / name / kind
            folder.mkdir(parents=True)
            for number in range(count):
                picture.save(folder / f"{number}.png")
    (data / "clips/b/masks/1.png").unlink()
    clips: Any = Clips("clips").open(data)
    joined: Any = Clips("clips", joined=True, cached=True).open(data)
    assert [(clip.name, len(clip), clip.annotated) for clip in clips] == [
        ("a", 2, (0, 1)),
        ("b", 3, (0, 2)),
    ]
    for found, value in ((clips, 7), (joined, 1)):
        np.testing.assert_array_equal(found[0].labels(0), np.full((6, 8), value))
    with pytest.raises(ValueError, match="stills: no sequence there, expected <name>/frames"):
        Clips("stills").open(data)
    for file in (data / "clips/a/masks").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match=r"a/masks: no 0.png \(2 of 2 missing\)"):
        Clips("clips").open(data)


def test_sets_open(data):
    stills, clips = Stills("stills/s").open(data), TRAIN.open(data)
    assert isinstance(stills, FileStills) and len(stills) == 2
    assert isinstance(clips, FileClips) and len(clips[0]) == 4
    frames = replace(TRAIN, every=3, cached=True).open(data)
    assert len(frames) == 2 and frames[0] is frames[0]
    assert Stills("stills/s", cached=True).open(data)[0] is not stills[0]


def test_a_set_shows_itself_as_a_recipe_writes_it():
    assert str(Stills("stills/s")) == "Stills('stills/s')"
    assert str(replace(TRAIN, every=8, share=0.5)) == (
        "Davis('davis', share=0.5, every=8, split='train')"
    )


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (replace(TRAIN, every=0), "every is 0, expected a number from 1"),
        (replace(TRAIN, split="test"), r"no list of the split 'test', expected .*test\.txt"),
        (Stills("stills/none"), "none/images: no such folder"),
        (Built("sbd"), r"Built\('sbd'\): no split, expected NAME/SPLIT"),
    ],
)
def test_what_cannot_be_opened_is_explained(data, named, message):
    with pytest.raises(ValueError, match=message):
        named.open(data)


def test_mixtures_draw_sets_by_their_share_and_elements_evenly():
    mixture = Mixture((["a", "b"], ["c"]), (1.0, 3.0), ("x", "y"))
    rng = np.random.default_rng(0)
    drawn = [mixture.draw(rng) for _ in range(800)]
    assert [drawn.count(x) / 800 for x in "abc"] == pytest.approx([1 / 8, 1 / 8, 3 / 4], abs=0.05)


def test_mixtures_hold_sets_of_one_kind(data):
    parts = (Stills("stills/s"), replace(TRAIN, every=1, share=0.5))
    mixture = open_mixture(parts, data, "stills")
    assert mixture.shares == (1.0, 0.5) and [len(s) for s in mixture.sets] == [2, 4]
    with pytest.raises(
        ValueError, match="split='train'.: a set of clips, expected stills .every=8"
    ):
        open_mixture((TRAIN,), data, "stills")
    with pytest.raises(ValueError, match="stills/s'.: a set of stills, expected clips"):
        open_mixture((Stills("stills/s"),), data, "clips")


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
