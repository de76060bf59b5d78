"""Pictures as one film: MP4 that every player and browser shows, by ffmpeg or PyAV, or WebP where neither is there."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

MP4, WEBP = ".mp4", ".webp"
RATE = 25
"""Pictures per second of MP4."""
QUALITY = "18"
"""Constant rate factor of H.264: hardly any loss to be seen."""
ADVICE = "for MP4 install ffmpeg, or PyAV by `pip install av`"


class NoEncoder(RuntimeError):
    """This machine cannot write MP4; the message says why."""


def film(frames: Sequence[np.ndarray], seconds: float, last: float) -> tuple[str, bytes]:
    """A film of some frames: its suffix and its bytes.

    Args:
        frames: uint8 [H, W, 3], all of one size; an odd last row or column is left out of MP4, which cannot have it.
        seconds: how long each is shown.
        last: how long the last one is.
    """
    try:
        return MP4, _mp4(_repeated(frames, seconds, last))
    except NoEncoder:
        return WEBP, _webp(frames, seconds, last)


def writes_mp4() -> bool:
    """Whether there is something that writes MP4."""
    return shutil.which("ffmpeg") is not None or find_spec("av") is not None


def _repeated(frames: Sequence[np.ndarray], seconds: float, last: float) -> np.ndarray:
    """Frames at `RATE`, cut to even sizes, uint8 [T, H, W, 3]."""
    shown = [round(RATE * seconds)] * (len(frames) - 1) + [round(RATE * last)]
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    return np.repeat(np.stack([frame[:height, :width] for frame in frames]), shown, axis=0)


def _mp4(frames: np.ndarray) -> bytes:
    reasons = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"film{MP4}"  # its index goes to the front, so it cannot be a pipe
        for write in (_by_ffmpeg, _by_pyav):
            try:
                write(frames, path)
                return path.read_bytes()
            except NoEncoder as error:
                reasons.append(str(error))
    raise NoEncoder("; ".join(reasons))


def _by_ffmpeg(frames: np.ndarray, path: Path) -> None:
    program = shutil.which("ffmpeg")
    if program is None:
        raise NoEncoder("no ffmpeg on the PATH")
    size = f"{frames.shape[2]}x{frames.shape[1]}"
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(RATE), "-i", "-"]
    coded = ["-c:v", "libx264", "-crf", QUALITY, "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    command = [program, "-v", "error", "-y", *given, *coded, str(path)]
    done = subprocess.run(command, input=frames.tobytes(), capture_output=True, check=False)
    if done.returncode or not path.is_file():  # builds without H.264 exist
        raise NoEncoder(f"ffmpeg: {' '.join(done.stderr.decode(errors='replace').split())[-200:]}")


def _by_pyav(frames: np.ndarray, path: Path) -> None:
    try:
        import av
    except ImportError as error:
        raise NoEncoder(f"no PyAV ({error})") from None
    try:
        with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=RATE, options={"crf": QUALITY})
            stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
            for pixels in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
    except (av.error.FFmpegError, ValueError) as error:
        raise NoEncoder(f"PyAV: {error}") from None


def _webp(frames: Sequence[np.ndarray], seconds: float, last: float) -> bytes:
    pictures, buffer = [Image.fromarray(frame) for frame in frames], io.BytesIO()
    durations = [round(1000 * seconds)] * (len(pictures) - 1) + [round(1000 * last)]
    pictures[0].save(buffer, "WEBP", save_all=True, append_images=pictures[1:], duration=durations, loop=0, quality=85)
    return buffer.getvalue()
