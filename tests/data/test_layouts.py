"""A published tree reads the same in training, in evaluation and when it is built."""

from typing import Any

import numpy as np
import pytest

from ivs_jax.data.builders.build import build
from ivs_jax.data.layouts.davis import davis_sequences
from ivs_jax.data.layouts.published import TREES
from ivs_jax.data.layouts.tree import ClipTree
from ivs_jax.data.sets import Built, Davis, Stills
from ivs_jax.evaluation.click_dataset import open_click_dataset
from ivs_jax.evaluation.davis import open_davis
from tests.data import trees
from tests.data.trees import TWO


def opened(name, data) -> Any:
    return Built(name).open(data)


@pytest.mark.parametrize("year", [None, "2016", "2017"])
@pytest.mark.parametrize("edition", ["davis2016", "davis2017"])
def test_a_davis_tree_that_evaluation_opens_training_opens_too(tmp_path, edition, year):
    root = getattr(trees, edition)(tmp_path / "DAVIS").relative_to(tmp_path)
    split = "train" if edition == "davis2016" else "val"
    named = Davis(str(root), split=split, year=year)
    if edition[-4:] != (year or edition[-4:]):  # neither tree has a list of the other edition
        for read in (named.open, lambda data: open_davis(data / root, split=split, year=year)):
            with pytest.raises(ValueError, match=f"no list of the split '{split}'"):
                read(tmp_path)
        return
    evaluated = open_davis(tmp_path / root, split=split, year=year)
    trained: Any = named.open(tmp_path)
    assert [clip.name for clip in trained] == [sequence.name for sequence in evaluated]
    for clip, sequence in zip(trained, evaluated, strict=True):
        assert len(clip) == len(sequence.annotations) == 3 and clip.annotated == (0, 1, 2)
        for frame in range(3):
            assert (clip.labels(frame) == sequence.truth(frame)).all()
    assert max(trained[0].labels(frame).max() for frame in range(3)) == (2 if split == "val" else 1)


@pytest.mark.parametrize("edition", ["davis2016", "davis2017"])
def test_a_built_davis_tree_has_the_masks_of_the_tree(tmp_path, edition):
    root = getattr(trees, edition)(tmp_path / "DAVIS")
    build(edition, root, tmp_path)
    year: Any = edition[-4:]
    built = opened(f"{edition}/train", tmp_path)
    read: Any = Davis(str(root.relative_to(tmp_path)), split="train", year=year).open(tmp_path)
    for one, other in zip(built, read, strict=True):
        assert len(one) == len(other)
        assert all((one.labels(i) == other.labels(i)).all() for i in range(len(one)))


def test_the_first_release_of_davis_has_its_lists_at_480p_for_every_resolution(tmp_path):
    trees.davis2016(tmp_path)
    (bear,) = davis_sequences(tmp_path, split="train", resolution="1080p")
    assert bear.frames == tmp_path / "JPEGImages/1080p/bear" and len(bear.files().frames) == 2


def test_a_binary_mask_is_an_object_in_training_as_in_a_built_set(tmp_path):
    root = trees.images(tmp_path / "own")
    build("images", root, tmp_path)
    read, built = Stills("own").open(tmp_path), opened("images/train", tmp_path)
    for one, other in zip(read, built, strict=True):
        assert (one.labels == other.labels).all() and (one.labels == 1).any()


@pytest.mark.parametrize("kind", ["grabcut", "berkeley"])
def test_a_click_benchmark_is_built_as_it_is_clicked(tmp_path, kind):
    root = getattr(trees, kind)(tmp_path / "Berkeley")
    build(kind, root, tmp_path)
    clicked, built = open_click_dataset(root), opened(f"{kind}/test", tmp_path)
    assert len(clicked) == len(built)
    for sample, still in zip(clicked, built, strict=True):
        assert (sample.mask == (still.labels == 1)).all()
        void = np.zeros_like(sample.mask) if sample.ignore is None else sample.ignore
        assert (void == (still.labels == 255)).all()


def test_the_trees_are_named_and_say_where_they_are_from():
    for name, tree in TREES.items():
        assert tree.name == name and tree.source.endswith(".")
        if isinstance(tree, ClipTree) and tree.resolution:
            assert f"/{tree.resolution}/" in tree.source


def test_a_frame_in_two_files_is_refused(tmp_path):
    trees.clip(tmp_path, "bear", [TWO, TWO, TWO])
    trees.write(tmp_path / "JPEGImages/480p/bear/00005.png", trees.PHOTO)
    (bear,) = davis_sequences(tmp_path, names=["bear"])
    with pytest.raises(ValueError, match="00005.jpg and 00005.png have the same stem"):
        bear.files()
