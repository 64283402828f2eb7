"""Video files through PyAV with exact access to any frame.

At opening, all packets are read without decoding: that gives the number of frames, their order and
the keyframes. A frame is reached by seeking to the keyframe before it and decoding forward. Each
packet is stamped with its own position before it goes into the decoder, so a picture says which
frame it is, whatever time stamps the container makes up after a seek. The decoder runs with
`err_detect=explode`: it would otherwise hide damage by painting over it. (Damage that still is a
valid bit stream cannot be noticed; HEVC and VP8 have little redundancy.)
"""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .errors import VideoError
from .packets import PacketIndex, index_packets


class StreamFrames:
    """Frames of the best video stream of a file.

    Attributes:
      names: 00000, 00001, ...
      size: `(H, W)` as shown, after rotation. Pixels are taken as square.
      fps: mean frames a second, None if the file does not say.
      decoded: number of pictures decoded so far.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.decoded = 0
        self._container, self._stream = _open(path)
        try:
            self._index: PacketIndex = index_packets(path, self._container, self._stream)
            rate = self._stream.average_rate or self._stream.guessed_rate
            self.fps = float(rate) if rate else None
            self.names = [f"{i:05d}" for i in range(len(self))]
            self._pictures: Iterator[tuple[int, VideoFrame]] | None = None
            self._last = -1  # position of the last picture that came out
            self._coded: tuple[int, int] | None = None
            self.size = self.read(0, 0)[0].shape[:2]
        except BaseException:
            self._container.close()
            raise

    def __len__(self) -> int:
        return len(self._index.shown)

    def close(self) -> None:
        """Closes the file."""
        self._pictures = None
        self._container.close()

    def read(self, frame: int, first: int) -> dict[int, np.ndarray]:
        """`frame`, and those of `first..frame` decoded on the way, as uint8 `[H, W, 3]` RGB.

        Decoding never starts before the keyframe of `frame`: damage there is no concern of it.
        """
        target = self._index.shown[frame]
        key = self._index.key_before(target)
        start = max(self._index.shown[first], key[0])
        near = self._pictures is not None and key[0] <= self._last + 1 <= start
        try:
            return self._forward(frame, first, None if near else key)
        except VideoError as error:
            self._pictures = None
            earliest = self._index.keys[0]
            if key == earliest:
                raise
            try:  # some "keyframes" still need earlier pictures
                return self._forward(frame, first, earliest)
            except VideoError:
                self._pictures = None
                raise error from error.__cause__

    def _forward(
        self, frame: int, first: int, key: tuple[int, int, int] | None
    ) -> dict[int, np.ndarray]:
        if key is not None:
            self._pictures = self._decode_from(key)
        assert self._pictures is not None
        images: dict[int, np.ndarray] = {}
        try:
            for position, picture in self._pictures:
                self._last = position
                found = self._index.frame[position]
                if found is not None and first <= found <= frame:
                    images[found] = self._convert(picture, found)
                if position >= self._index.shown[frame]:
                    break
        except _Broken as broken:
            raise VideoError(
                f"{self._path}: frame {frame} cannot be decoded, the video is damaged at frame "
                f"{broken.frame} ({broken.reason})"
            ) from broken
        if frame not in images:
            raise VideoError(
                f"{self._path}: the decoder gives no picture for frame {frame} (damaged?), "
                f"expected {len(self)} frames by the container's index"
            )
        return images

    def _decode_from(self, key: tuple[int, int, int]) -> Iterator[tuple[int, VideoFrame]]:
        """Pictures with their positions, from a keyframe to the end of the file."""
        position_of = self._index.position
        for number, packet in self._packets_from(key):
            position = position_of[number] if number is not None else -1
            if number is not None:
                if position < key[0]:
                    continue  # leading pictures of an open group refer to the group before
                packet.pts, packet.dts = position, None
            try:
                pictures = self._stream.codec_context.decode(packet if packet.size else None)
            except av.FFmpegError as error:
                yield from self._drain(position)
                damaged = position if number is not None else self._last + 1
                raise _Broken(self._frame_near(damaged), error.strerror) from error
            for picture in pictures:
                self.decoded += 1
                if picture.pts is not None:
                    yield picture.pts, picture

    def _packets_from(
        self, key: tuple[int, int, int]
    ) -> Iterator[tuple[int | None, "av.Packet[VideoStream]"]]:
        """Packets with their numbers from a keyframe on; the last one is empty, number None."""
        packets = self._seek(key)
        for number, packet in packets:
            if number is None or number >= key[1]:
                yield number, packet

    def _seek(
        self, key: tuple[int, int, int]
    ) -> Iterator[tuple[int | None, "av.Packet[VideoStream]"]]:
        """Packets from a place at or before the keyframe; from the start if seeking misses."""
        try:
            self._container.seek(key[2], stream=self._stream, backward=True)
            packets = self._demux(None)
            head = next(packets)
            landed = head[0] is not None and head[0] <= key[1]
        except (av.FFmpegError, StopIteration, _Lost):
            landed = False
        if landed:
            yield head
            yield from packets
        else:
            self._container.close()
            self._container, self._stream = _open(self._path)
            yield from self._demux(0)

    def _demux(self, number: int | None) -> Iterator[tuple[int | None, "av.Packet[VideoStream]"]]:
        """Numbers packets by counting from `number`, or from the first one's place in the file."""
        try:
            for packet in self._container.demux(self._stream):
                if packet.size == 0:
                    if packet.pts is None:
                        yield None, packet
                    continue
                if number is None:
                    if packet.pos not in self._index.number:
                        raise _Lost
                    number = self._index.number[packet.pos]
                yield number, packet
                number += 1
        except av.FFmpegError as error:
            place = self._index.position[number] if number else 0
            raise _Broken(self._frame_near(place), error.strerror) from error

    def _drain(self, damaged: int) -> Iterator[tuple[int, VideoFrame]]:
        """Pictures that were complete before the damaged one."""
        try:
            for picture in self._stream.codec_context.decode(None):
                self.decoded += 1
                if picture.pts is not None and picture.pts != damaged:
                    yield picture.pts, picture
        except av.FFmpegError:
            return

    def _frame_near(self, position: int) -> int:
        """The frame at a position; the next shown one if it is not shown itself."""
        later = (f for f in self._index.frame[max(position, 0) :] if f is not None)
        return next(later, len(self) - 1)

    def _convert(self, picture: VideoFrame, frame: int) -> np.ndarray:
        coded = (picture.height, picture.width)
        self._coded = self._coded or coded
        if coded != self._coded:
            raise VideoError(
                f"{self._path}: frame {frame} is {coded[1]}x{coded[0]}, earlier ones are "
                f"{self._coded[1]}x{self._coded[0]}; all frames must have the same size"
            )
        image = picture.to_ndarray(format="rgb24")
        quarters = round(picture.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(image, quarters))


class _Lost(Exception):
    """A packet after a seek is none of the index."""


class _Broken(Exception):
    def __init__(self, frame: int, reason: str | None) -> None:
        super().__init__(reason)
        self.frame, self.reason = frame, reason


def _open(path: Path) -> tuple[InputContainer, VideoStream]:
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: not a readable video ({error.strerror})") from error
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        container.close()
        raise VideoError(f"{path}: no video stream, expected one")
    stream.codec_context.options = {"err_detect": "explode"}
    return container, stream
