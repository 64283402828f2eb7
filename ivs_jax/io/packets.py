"""Index of the packets of a video stream: which packet holds which frame, where to start."""

import logging
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from .errors import VideoError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PacketIndex:
    """Packets in demuxing order ("numbers") and the pictures in them ("positions", by time).

    Positions count every packet, shown or not; frames count the shown ones only. A packet is not
    shown when an edit list cuts it away, when it is a hidden reference of VP8, or when it comes
    before the first keyframe.

    Attributes:
      position: position of each packet.
      number: byte offset in the file -> packet number.
      frame: position -> frame, None if not shown.
      shown: frame -> position.
      keys: `(position, number, time to seek to)` of each usable keyframe, ascending.
    """

    position: list[int]
    number: dict[int | None, int]
    frame: list[int | None]
    shown: list[int]
    keys: list[tuple[int, int, int]]

    def key_before(self, position: int) -> tuple[int, int, int]:
        """The last keyframe at or before a position."""
        return self.keys[max(bisect_right(self.keys, position, key=lambda k: k[0]) - 1, 0)]


@dataclass(frozen=True)
class _Packet:
    pts: int | None
    dts: int | None
    pos: int | None
    key: bool
    hidden: bool


def index_packets(path: Path, container: InputContainer, stream: VideoStream) -> PacketIndex:
    """Reads all packets of the stream without decoding. Raises VideoError naming the frame."""
    packets = _read_packets(path, container, stream)
    if not packets:
        raise VideoError(f"{path}: no frames in the video stream")
    first = next((n for n, p in enumerate(packets) if p.key), None)
    if first is None:
        raise VideoError(
            f"{path}: no keyframe among {len(packets)} packets, nothing to decode from"
        )
    times = [p.pts for p in packets]
    # AVI stores no display times; FFmpeg's guess is wrong for these two when they have B-frames.
    guessed = container.format.name == "avi" and stream.codec_context.name in ("h264", "hevc")
    if guessed or None in times or len(set(times)) < len(times):
        order = _order_by_decoding(path, len(packets))
    else:
        order = sorted(range(len(packets)), key=lambda n: times[n] or 0)
    position = [-1] * len(packets)
    for place, n in enumerate(order):
        position[n] = place
    # A picture that is shown before the first keyframe refers to one that the file does not have.
    shown = [
        place
        for place, n in enumerate(order)
        if not packets[n].hidden and place >= position[first] and n >= first
    ]
    cut = sum(not p.hidden for p in packets) - len(shown)
    if cut:
        log.warning("%s: %d packets before the first keyframe are not frames", path, cut)
    if not shown:
        raise VideoError(f"{path}: no frames in the video stream")
    frame: list[int | None] = [None] * len(packets)
    for i, place in enumerate(shown):
        frame[place] = i
    keys = sorted((position[n], n, _seek_time(p)) for n, p in enumerate(packets) if p.key)
    return PacketIndex(position, {p.pos: n for n, p in enumerate(packets)}, frame, shown, keys)


def _read_packets(path: Path, container: InputContainer, stream: VideoStream) -> list[_Packet]:
    packets: list[_Packet] = []
    end = 0.0
    vp8 = stream.codec_context.name == "vp8"
    try:
        for packet in container.demux():
            time, base = packet.pts, packet.time_base
            if time is not None and base:
                end = max(end, float((time + (packet.duration or 0)) * base))
            if packet.stream_index != stream.index or packet.size == 0:
                continue  # empty packets end the stream or repeat a frame
            if packet.is_corrupt:
                raise VideoError(_truncated(path, len(packets), stream.frames))
            hidden = packet.is_discard or (vp8 and not bytes(packet)[0] & 0x10)  # show_frame bit
            key = packet.is_keyframe
            packets.append(_Packet(packet.pts, packet.dts, packet.pos, key, hidden))
    except av.FFmpegError as error:
        raise VideoError(_truncated(path, len(packets), stream.frames)) from error
    if "matroska" in container.format.name and container.duration:
        _check_duration(path, len(packets), container.duration / av.time_base, end)
    return packets


def _check_duration(path: Path, found: int, announced: float, end: float) -> None:
    """Matroska and WebM have no count of frames: only the duration tells of a cut file."""
    gap = f"it announces {announced:.2f} s and ends at {end:.2f} s"
    if announced - end > max(0.5, 0.05 * announced):
        raise VideoError(f"{_truncated(path, found, 0)}: {gap}")
    if announced - end > 0.5 * end / max(found, 1):  # half a frame; some writers round up
        log.warning("%s: perhaps truncated after frame %d: %s", path, found - 1, gap)


def _truncated(path: Path, found: int, announced: int) -> str:
    of = f" of {announced}" if announced else ""
    return f"{path}: truncated or damaged, frame {found}{of} cannot be read"


def _seek_time(packet: _Packet) -> int:
    times = [t for t in (packet.pts, packet.dts) if t is not None]
    return min(times, default=0)


def _order_by_decoding(path: Path, count: int) -> list[int]:
    """Packet numbers in the order of display, for files without usable time stamps.

    Such files (old AVI mostly) are decoded once when opened. Packets without a picture of their own
    are an error: which frame they would be cannot be said.
    """
    order: list[int] = []
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        assert isinstance(stream, VideoStream)
        number = 0
        for packet in container.demux(stream):
            if packet.size:
                packet.pts, packet.dts = number, None
                number += 1
            try:
                order += [f.pts for f in packet.decode() if f.pts is not None]
            except av.FFmpegError as error:
                raise VideoError(f"{path}: frame {len(order)} cannot be decoded") from error
    if sorted(order) != list(range(count)):
        raise VideoError(
            f"{path}: {count} packets give {len(order)} frames and have no time stamps; frame "
            f"{len(order)} is the first missing; convert the file to mp4"
        )
    return order
