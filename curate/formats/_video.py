"""Frames from a recording, picked by presentation time or by number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from curate.errors import ConfigError
from curate.formats._items import JPEG_QUALITY, MAX_PIXELS, MediaItem, Rejected
from curate.formats.images import encode_jpeg
from curate.formats.times import time_from_name

__all__ = ["read_video"]

_SLACK = Fraction(1, 1000)
"""Containers round times to a millisecond: a frame may be that early and still be "at" its time."""
_ALWAYS, _NEVER = -(2**62), 2**62
"""Time stamps before and after all others."""


def read_video(
    path: str | Path,
    *,
    every_seconds: float | None = None,
    every_n: int | None = None,
    max_pixels: int = MAX_PIXELS,
    quality: int = JPEG_QUALITY,
) -> Iterator[MediaItem | Rejected]:
    """Read frames of a video, each as JPEG.

    The clock is the frames' presentation time, so that recordings with a changing frame rate come out right:
    with `every_seconds` the first frame at or after each multiple of it is taken, once. A time in the file
    name is the start of the recording (then `wall_time` is True).

    Frames that the decoder marks as damaged, and those that build on them up to the next key frame, are left
    out. Damage that a decoder paints over without a word cannot be seen here. A file that is cut short gives
    its good frames, then one `Rejected` that names the last of them.

    Args:
        path: The video file.
        every_seconds: Seconds between frames; None takes all of them.
        every_n: Every n-th frame instead; goes before `every_seconds`.
        max_pixels: Larger pictures are rejected before they are decoded.
        quality: JPEG quality.

    Yields:
        `MediaItem`s in presentation order, and at the end at most one `Rejected`.

    Raises:
        ConfigError: `every_seconds` or `every_n` is not positive.
    """
    if every_n is not None and every_n < 1:
        raise ConfigError(f"every_n must be at least 1, got {every_n}")
    # Written so that NaN is refused as well.
    if every_seconds is not None and not 0 < every_seconds < float("inf"):
        raise ConfigError(f"every_seconds must be a positive number of seconds, got {every_seconds}")
    return _read(Path(path), _Picker(every_n, every_seconds), max_pixels, quality)


class _Picker:
    """Decides which frames are taken."""

    def __init__(self, every_n: int | None, every_seconds: float | None) -> None:
        self._every_n = every_n or (None if every_seconds else 1)
        # 0.1 as a binary float lies above 1/10, and a frame at exactly 1/10 would come too early.
        self._step = Fraction(every_seconds or 1).limit_denominator(1_000_000) or Fraction(1, 1_000_000)
        self._due = Fraction(0)

    def takes(self, index: int, time: Fraction) -> bool:
        if self._every_n is not None:
            return index % self._every_n == 0
        if time + _SLACK < self._due:
            return False
        self._due = self._step * ((time + _SLACK) // self._step + 1)
        return True


@dataclass
class _Clock:
    """Presentation time of each frame, from 0 and never backwards."""

    period: Fraction
    origin: Fraction | None = None
    last: Fraction | None = None

    def time(self, frame: VideoFrame) -> Fraction:
        if frame.pts is None or frame.time_base is None:
            time = Fraction(0) if self.last is None else self.last + self.period
        else:
            stamp = frame.pts * frame.time_base
            if self.origin is None or (self.last is None and stamp < self.origin):
                self.origin = stamp
            time = stamp - self.origin
            if self.last is not None and time <= self.last:
                # The recorder's clock was set back: go on from where it was.
                time = self.last + self.period
                self.origin = stamp - time
        self.last = time
        return time


@dataclass(frozen=True)
class _Lost:
    """A packet that gave no frame: its time stamp, and 1 as `counts` when a frame is gone with it."""

    stamp: int
    error: str
    counts: int


@dataclass
class _Damage:
    """Which frames cannot be trusted, and how many are missing before each of those that can."""

    lost: list[_Lost] = field(default_factory=list)
    damaged: int = 0
    since: int | None = None

    def packet_lost(self, lost: _Lost) -> None:
        self.since = lost.stamp if self.since is None else min(self.since, lost.stamp)
        self.lost.append(lost)

    def missing_before(self, frame: VideoFrame) -> int:
        """Frames that the packets lost so far would have given before this one.

        By time stamp, not by order of arrival: a decoder hands frames out later than it takes packets in.
        """
        return sum(lost.counts for lost in self.lost if frame.pts is None or lost.stamp < frame.pts)

    def hits(self, frame: VideoFrame) -> bool:
        """Whether the frame is damaged or built on a damaged one."""
        if frame.is_corrupt:
            self.since = frame.pts if frame.pts is not None else _ALWAYS
        elif self.since is not None and frame.key_frame and (frame.pts is None or frame.pts > self.since):
            self.since = None
        if self.since is None or (frame.pts is not None and frame.pts < self.since):
            return False
        self.damaged += 1
        return True

    def text(self) -> str:
        """What is wrong, or ""."""
        count = self.damaged + sum(lost.counts for lost in self.lost)
        error = next((lost.error for lost in self.lost), "")
        parts = [f"{count} damaged frame{'s are' if count != 1 else ' is'} left out"] if count else []
        return ": ".join(parts + [error] * bool(error))


def _read(path: Path, picker: _Picker, max_pixels: int, quality: int) -> Iterator[MediaItem | Rejected]:
    source = str(path)
    problem = _file_problem(path)
    if problem:
        yield Rejected(source, "", problem)
        return
    try:
        container = av.open(source)
    except (av.FFmpegError, OSError, ValueError) as error:
        yield Rejected(source, "", f"not a video that can be read, or cut short: {_text(error)}")
        return
    with container:
        if not container.streams.video:
            yield Rejected(source, "", "the file holds no video stream")
            return
        stream = container.streams.video[0]
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > max_pixels:
            yield Rejected(source, "", f"{width} x {height} is more than the allowed {max_pixels:,} pixels")
            return
        yield from _decode(container, stream, path, picker, quality)


def _decode(
    container: InputContainer,
    stream: VideoStream,
    path: Path,
    picker: _Picker,
    quality: int,
) -> Iterator[MediaItem | Rejected]:
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    clock, damage = _Clock(1 / Fraction(rate)), _Damage()
    if stream.start_time is not None and stream.time_base is not None:
        clock.origin = stream.start_time * stream.time_base
    start = time_from_name(path.stem)
    packets = seen = good = last = 0
    size: tuple[int, int] | None = None
    for frame in _frames(container, stream):
        if not isinstance(frame, VideoFrame):
            packets += 1
            if frame is not None:
                damage.packet_lost(frame)
            continue
        number, time = seen + damage.missing_before(frame), clock.time(frame)
        seen += 1
        if damage.hits(frame):
            continue
        good, last = good + 1, number
        size = size or (frame.width, frame.height)
        if (frame.width, frame.height) != size:
            yield Rejected(
                str(path),
                f"frame {number}",
                f"the picture changes from {size[0]} x {size[1]} to {frame.width} x {frame.height}; "
                "the rest of the recording is left out",
            )
            return
        if picker.takes(number, time):
            yield _item(frame, path, number, time, start, quality)
    reason = _shortfall(container, stream, packets, good, clock, damage)
    if reason:
        yield Rejected(str(path), f"frame {last}" if good else "", reason)


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame | _Lost | None]:
    """Frames in presentation order; and after each packet None, or what was lost with it."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError as error:
            # Nothing behind this place can be reached: the damage is at the end.
            yield _Lost(_NEVER, _text(error), 0)
            return
        stamp = packet.pts if packet.pts is not None else packet.dts
        flush = packet.size == 0 and stamp is None
        if packet.is_corrupt:
            yield _Lost(_ALWAYS if stamp is None else stamp, "a packet is broken or cut short", 1)
            continue
        try:
            decoded = packet.decode()
        except av.FFmpegError as error:
            yield _Lost(_ALWAYS if stamp is None else stamp, _text(error), 1)
            continue
        for frame in decoded:
            if isinstance(frame, VideoFrame):
                yield frame
        if not flush:
            yield None


def _item(
    frame: VideoFrame, path: Path, number: int, time: Fraction, start: float | None, quality: int
) -> MediaItem:
    seconds = round(float(time), 6)
    return MediaItem(
        name=f"{path.stem}_{number:06d}.jpg",
        clip=path.stem,
        index=number,
        captured_at=seconds if start is None else round(start + seconds, 6),
        wall_time=start is not None,
        width=frame.width,
        height=frame.height,
        data=encode_jpeg(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), quality=quality),
        extension="jpg",
        source=str(path),
    )


def _shortfall(
    container: InputContainer, stream: VideoStream, packets: int, good: int, clock: _Clock, damage: _Damage
) -> str:
    """Why the recording is not whole, or ""."""
    parts = []
    last = clock.last or Fraction(0)
    step = last / (packets - 1) if packets > 1 and last else clock.period
    end = last + step
    if stream.frames - packets > 1:
        # An AVI counts dropped frames, which nobody gets: its time is filled all the same.
        if stream.frames * clock.period - end > step * 3 / 2:
            parts.append(f"the file is cut short: it ends after {packets} of {stream.frames} frames")
    elif not stream.frames and container.duration:
        told = Fraction(container.duration, 1_000_000)
        # Sound may outlast the picture a little; a whole second and a twentieth is no such thing.
        if told - end > max(Fraction(1), told / 20):
            parts.append(f"the file is cut short: it ends after {float(end):.1f} of {float(told):.1f} s")
    if damage.text():
        parts.append(damage.text())
    if parts or not good:
        parts.append(f"{good} good frames were read" if good else "the video holds no good frame")
    return "; ".join(parts)


def _file_problem(path: Path) -> str:
    try:
        if not path.exists():
            return "there is no such file"
        if not path.is_file():
            return "expected a video file, this is " + ("a folder" if path.is_dir() else "not a regular file")
        if path.stat().st_size == 0:
            return "the file is empty (0 bytes)"
        with path.open("rb"):
            return ""
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _text(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error)
