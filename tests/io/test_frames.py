"""Every frame of every kind of source, in every order; and every way in which they break."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from ivs_jax.io import VideoError, open_video

# (name, codec, options): closed and open groups, B-frames, containers with and without pts.
CLIPS = [
    ("b.mp4", "libx264", {"bf": "3", "g": "12"}),
    ("open.mp4", "libx264", {"bf": "3", "x264-params": "open-gop=1:scenecut=0:keyint=12"}),
    ("one.mov", "libx264", {"bf": "2", "g": "250"}),
    ("b.mkv", "libx264", {"bf": "3", "g": "12"}),
    ("b.avi", "libx264", {"bf": "3", "g": "12"}),
    ("old.avi", "mpeg4", {"bf": "2", "g": "12"}),
    ("vp8.webm", "libvpx", {"g": "12", "deadline": "realtime"}),
    ("vp9.webm", "libvpx-vp9", {"g": "12", "deadline": "realtime", "cpu-used": "8"}),
]


def decode_plainly(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


@pytest.mark.parametrize(("name", "codec", "options"), CLIPS, ids=[c[0] for c in CLIPS])
def test_any_order_equals_plain_decoding(make_clip, name, codec, options):
    path = make_clip(name, codec, **options)
    expected = decode_plainly(path)
    with open_video(path, cache_frames=6) as video:
        n = len(video)
        assert (n, video.size, video.fps) == (len(expected), (48, 64), 25)
        assert video.names[:2] == ["00000", "00001"] and len(video.names) == n
        shuffled = np.random.default_rng(0).integers(0, n, 40).tolist()
        for order in (range(n), range(n - 1, -1, -1), shuffled, range(0, n, 5)):
            for i in order:
                np.testing.assert_array_equal(video[i], expected[i], err_msg=f"frame {i}")
                assert video.held <= 6


def test_cost_is_bounded_in_both_directions(make_clip):
    with open_video(make_clip("b.mp4", bf="3", g="12", sc_threshold="0"), cache_frames=12) as video:
        n = len(video)
        for i in range(n):
            video[i]
        assert video.decoded <= n + 4  # decoder delay
        before = video.decoded
        for i in range(n - 1, -1, -1):
            video[i]
        assert video.decoded - before <= 2 * n
        before = video.decoded
        video[0], video[5], video[0]
        assert video.decoded == before  # still held


def test_only_the_first_frame_is_decoded_at_opening(make_clip):
    with open_video(make_clip("b.mp4", bf="0")) as video:
        assert video.decoded == 1


def test_one_frame_in_the_cache_is_enough(make_clip):
    path = make_clip("b.mp4", bf="3", g="12")
    expected = decode_plainly(path)
    with open_video(path, cache_frames=1) as video:
        for i in (39, 38, 0, 1, 20):
            np.testing.assert_array_equal(video[i], expected[i])
            assert video.held == 1


def test_edit_list_hides_frames_before_the_start(make_clip):
    path = make_clip("cut.mp4", start=-5, g="40", container={"avoid_negative_ts": "disabled"})
    expected = decode_plainly(path)
    assert len(expected) == 35  # the file has 40 packets
    with open_video(path) as video:
        assert len(video) == 35
        for i in (34, 0, 17):
            np.testing.assert_array_equal(video[i], expected[i])


def test_packets_before_the_first_keyframe_are_no_frames(make_clip, tmp_path, caplog):
    whole = make_clip("whole.mkv", bf="0", g="10", sc_threshold="0")
    cut = tmp_path / "cut.mkv"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for i, packet in enumerate(source.demux(video=0)):
            if i >= 7 and packet.size:
                packet.stream = stream
                target.mux(packet)
    with open_video(cut) as video:
        assert len(video) == 30
        np.testing.assert_array_equal(video[0], decode_plainly(whole)[10])
    assert "3 packets before the first keyframe" in caplog.text


def test_rotation_is_honoured(make_clip):
    path = make_clip("phone.mp4", bf="0")
    upright = decode_plainly(path)[3]
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # flags, times and ids, reserved, volume
    turn = [0, 1, 0, -1, 0, 0, 0, 0, 1]  # 90 degrees clockwise, as phones write it
    fixed = [v << (30 if i % 3 == 2 else 16) for i, v in enumerate(turn)]
    data[matrix : matrix + 36] = struct.pack(">9i", *fixed)
    path.write_bytes(data)
    with open_video(path) as video:
        assert video.size == (64, 48)
        np.testing.assert_array_equal(video[3], np.rot90(upright, -1))


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv"])
def test_damage_names_the_frame_and_spares_the_others(make_clip, name):
    path = make_clip(name, frames=50, size=(240, 320), bf="0", g="20", sc_threshold="0", crf="10")
    expected = decode_plainly(path)
    with av.open(str(path)) as file:
        packet = [p for p in file.demux(video=0) if p.size][27]
        start, length = path.read_bytes().index(bytes(packet)), packet.size
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(1).integers(0, 256, length // 2, dtype=np.uint8).tobytes()
    data[start + length // 3 : start + length // 3 + len(noise)] = noise
    path.write_bytes(data)
    with open_video(path) as video:
        for i in [*range(27), *range(49, 39, -1)]:
            np.testing.assert_array_equal(video[i], expected[i])
        for _ in range(2):  # the error does not wear off
            with pytest.raises(VideoError, match=f"{name}: frame 27 .* damaged at frame 27"):
                video[27]
        with pytest.raises(VideoError, match="frame 30 .* damaged at frame 27"):
            video[30]
        np.testing.assert_array_equal(video[5], expected[5])


def test_truncated_mp4_names_the_first_missing_frame(make_clip):
    path = make_clip("fast.mp4", bf="0", container={"movflags": "faststart"})
    with av.open(str(path)) as file:
        starts = [p.pos for p in file.demux(video=0) if p.size]
    path.write_bytes(path.read_bytes()[: starts[29] + 9])
    with pytest.raises(VideoError, match=r"fast.mp4: truncated or damaged, frame 29 of 40"):
        open_video(path)


def test_truncated_mp4_without_its_header(make_clip):
    path = make_clip("slow.mp4")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(VideoError, match="slow.mp4: not a readable video"):
        open_video(path)


def test_truncated_mkv_is_noticed_by_its_duration(make_clip, caplog):
    path = make_clip("half.mkv", bf="0")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 9 // 10])
    with open_video(path) as video:
        assert 30 < len(video) < 40
    assert "perhaps truncated" in caplog.text
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match="half.mkv: truncated or damaged, frame"):
        open_video(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("note.mp4", b"some text", "note.mp4: not a readable video"),
        ("empty.mp4", b"", "empty.mp4: not a readable video"),
        ("note.txt", b"some text", "note.txt: unsupported kind '.txt', expected .*.mp4"),
        ("note.png", b"some text", "note.png: frame 0 is not a readable image"),
    ],
)
def test_wrong_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoError, match=message):
        open_video(tmp_path / name)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no video stream"):
        open_video(path)


def test_missing_and_empty(tmp_path):
    with pytest.raises(VideoError, match="nowhere.mp4: no such file"):
        open_video(tmp_path / "nowhere.mp4")
    with pytest.raises(VideoError, match="no frames, expected .*; it is empty"):
        open_video(tmp_path)
    (tmp_path / "notes.tif").touch()
    with pytest.raises(VideoError, match="found only .*notes.tif"):
        open_video(tmp_path)
    with pytest.raises(ValueError, match="cache_frames must be at least 1, found 0"):
        Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
        open_video(tmp_path, cache_frames=0)


def save(path: Path, value: int, size: tuple[int, int] = (8, 6)) -> None:
    Image.new("RGB", size, (value, value, value)).save(path)


def test_folder_is_in_natural_order_with_any_names(tmp_path):
    for value, name in enumerate(["img2.PNG", "img10.jpeg", "IMG1.jpg", "über.png"]):
        save(tmp_path / name, 10 * value)
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "Thumbs.db").write_bytes(b"")
    with open_video(tmp_path) as video:
        assert video.names == ["IMG1", "img2", "img10", "über"]
        assert (len(video), video.size, video.fps, video.decoded) == (4, (6, 8), None, 0)
        assert [int(video[i][0, 0, 0]) for i in (3, 2, 1, 0)] == [30, 10, 0, 20]
        assert [int(image[0, 0, 0]) for image in video] == [20, 0, 10, 30]  # plain iteration ends
        assert not video[0].flags.writeable
        assert int(video[-1][0, 0, 0]) == 30
        for index in (4, -5):
            with pytest.raises(VideoError, match=rf"frame {index} asked for, expected 0\.\.3"):
                video[index]
    with pytest.raises(VideoError, match="closed"):
        video[0]


def test_folder_cache_is_bounded(tmp_path):
    for i in range(10):
        save(tmp_path / f"{i}.png", i)
    with open_video(tmp_path, cache_frames=3) as video:
        for i in [*range(10), *range(9, -1, -1)]:
            assert video[i][0, 0, 0] == i
            assert video.held <= 3
        assert video.decoded == 10 + 7


def test_mixed_sizes_name_both_files(tmp_path):
    save(tmp_path / "a.png", 0)
    save(tmp_path / "b.png", 0)
    save(tmp_path / "c.png", 0, (9, 6))
    with pytest.raises(VideoError, match="c.png: frame 2 is 9x6 .*, but a.png is 8x6"):
        open_video(tmp_path)


def test_two_images_of_one_stem(tmp_path):
    save(tmp_path / "a.png", 0)
    save(tmp_path / "a.jpg", 0)
    with pytest.raises(VideoError, match="a.jpg and a.png have the same stem"):
        open_video(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_truncated_image_in_the_middle(tmp_path, suffix):
    for i in range(3):
        noise = np.random.default_rng(i).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.{suffix}")
    broken = tmp_path / f"1.{suffix}"
    broken.write_bytes(broken.read_bytes()[:2000])
    with open_video(tmp_path) as video:
        video[0], video[2]
        with pytest.raises(VideoError, match=f"1.{suffix}: frame 1 cannot be decoded"):
            video[1]


def test_image_header_damaged(tmp_path):
    save(tmp_path / "0.png", 0)
    (tmp_path / "1.png").write_bytes(b"not a picture")
    with pytest.raises(VideoError, match="1.png: frame 1 is not a readable image"):
        open_video(tmp_path)


def test_image_that_vanishes(tmp_path):
    save(tmp_path / "0.png", 0)
    save(tmp_path / "1.png", 0)
    with open_video(tmp_path) as video:
        (tmp_path / "1.png").unlink()
        with pytest.raises(VideoError, match="1.png: frame 1 cannot be decoded"):
            video[1]


def test_single_image_with_orientation(tmp_path):
    path = tmp_path / "photo.jpg"
    image = Image.new("RGB", (32, 16), (200, 0, 0))
    image.paste((0, 0, 200), (16, 0, 32, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    image.save(path, exif=exif, quality=95)
    with open_video(path) as video:
        assert (len(video), video.size, video.names) == (1, (32, 16), ["photo"])
        assert video[0].shape == (32, 16, 3)
        assert video[0][4, 8, 0] > 150 and video[0][28, 8, 2] > 150


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    pixels = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 50, np.ones((8, 8), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    with open_video(path) as video:
        assert video.size == expected.shape[:2]
        np.testing.assert_array_equal(video[0], expected)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (4, 3), 77), (77, 77, 77)),
        (Image.new("LA", (4, 3), (77, 10)), (77, 77, 77)),
        (Image.new("RGBA", (4, 3), (1, 2, 3, 40)), (1, 2, 3)),
        (Image.fromarray(np.full((3, 4), 0x4D80, np.uint16)), (0x4D, 0x4D, 0x4D)),
        (Image.new("1", (4, 3), 1), (255, 255, 255)),
        (Image.new("RGB", (4, 3), (9, 8, 7)).quantize(4), (9, 8, 7)),
    ],
    ids=["grey", "grey with alpha", "RGBA", "16 bit", "1 bit", "palette"],
)
def test_every_kind_of_png_becomes_rgb(tmp_path, image, expected):
    image.save(tmp_path / "a.png")
    with open_video(tmp_path / "a.png") as video:
        assert video[0].dtype == np.uint8 and video[0].shape == (3, 4, 3)
        assert tuple(video[0][1, 1].tolist()) == expected


def test_palette_with_transparency(tmp_path):
    image = Image.new("RGB", (4, 3), (9, 8, 7)).quantize(4)
    image.save(tmp_path / "a.png", transparency=bytes([10, 20, 30]))
    with open_video(tmp_path / "a.png") as video:
        assert tuple(video[0][0, 0].tolist()) == (9, 8, 7)
