"""Built sets, read back from a folder without the class that built them."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ivs_jax.data.sets import Built

tfds: Any = pytest.importorskip("tensorflow_datasets", reason="the extra `data` is not installed")


def _png(value, mode="L", size=(8, 6)):
    file = BytesIO()
    Image.new(mode, size, value).save(file, "PNG")
    return file.getvalue()


def _build(folder, name, features, examples):
    """A set of one record a dict of `examples`, in array_record files."""

    class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
        VERSION = tfds.core.Version("1.0.0")
        url_infos: dict = {}  # nothing is downloaded

        def _info(self):
            kinds = {k: tfds.features.Text() for k in features}
            for key in features & {"frames"}:
                kinds |= {k: tfds.features.Sequence(tfds.features.Text()) for k in (key, "labels")}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(kinds))

        def _split_generators(self, manager):
            return {"train": enumerate(examples)}

        def _generate_examples(self):
            raise AssertionError

    Tiny.name = name
    builder = Tiny(data_dir=str(folder), file_format="array_record")
    builder.download_and_prepare()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    still = {"name": "one", "image": _png(0, "RGB"), "labels": _png(5)}
    odd = {"name": "odd", "image": _png(0, "RGB"), "labels": _png(5, size=(4, 4))}
    clip = {"name": "bear", "frames": [_png(i, "RGB") for i in range(3)]}
    clip["labels"] = [_png(1), b"", _png(2)]
    _build(folder / "tfds", "photos", {"name", "image", "labels"}, [still, odd])
    _build(folder / "tfds", "videos", {"name", "frames", "labels"}, [clip])
    _build(folder / "tfds", "others", {"name", "text"}, [{"name": "a", "text": "b"}])
    return folder


@pytest.mark.parametrize("cached", [False, True])
def test_stills_come_decoded_and_errors_name_set_and_record(data, cached):
    stills: Any = Built("photos/train", cached=cached).open(data)
    assert len(stills) == 2
    good = next(i for i in range(2) if _readable(stills, i))  # builders shuffle
    assert stills[good].image.shape == (6, 8, 3) and (stills[good].labels == 5).all()
    with pytest.raises(ValueError, match=r"photos/train, record \d \(odd\): mask is \(4, 4\), its"):
        stills[1 - good]


def _readable(stills, index):
    try:
        return bool(stills[index])
    except ValueError:
        return False


@pytest.mark.parametrize("cached", [False, True])
def test_clips_know_which_frames_are_annotated(data, cached):
    clips: Any = Built("videos/train", cached=cached).open(data)
    clip = clips[0]
    assert (clip is clips[0]) == cached
    assert (len(clips), len(clip), clip.size, clip.annotated) == (1, 3, (6, 8), (0, 2))
    assert (clip.labels(2) == 2).all() and clip.labels(1) is None and "bear" in clip.name
    stills: Any = Built("videos/train", every=1).open(data)
    assert [int(np.max(still.labels)) for still in stills] == [1, 2]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (Built("nothing/train"), "tfds/nothing: no built set, expected the folder of ivs data"),
        (Built("photos/test"), "photos.*: no split 'test', expected one of train"),
        (Built("others/train"), r"others: features \['name', 'text'\], expected image or frames"),
        (Built("photos/train", every=2), "every is for clips, these are stills"),
    ],
)
def test_what_cannot_be_opened_is_named(data, named, message):
    with pytest.raises(ValueError, match=message):
        named.open(data)
