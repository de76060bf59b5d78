"""Films: MP4 by whichever encoder is there, WebP without one."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.report import movie

FRAMES = [np.full((33, 64, 3), (level, 128, 255 - level), np.uint8) for level in (20, 120, 220)]

STAND_IN = """#!/bin/sh
cat > "$(dirname "$0")/given"
echo "$@" > "$(dirname "$0")/asked"
for last; do :; done
printf 'film' > "$last"
"""


def boxes(data: bytes) -> Iterator[str]:
    """The top-level boxes of an MP4 file, in order."""
    while data:
        size, kind = struct.unpack(">I4s", data[:8])
        yield kind.decode()
        data = data[size or len(data) :]


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Neither encoder; returns a folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setitem(sys.modules, "av", None)
    return folder


def put(folder: Path, text: str) -> None:
    (folder / "ffmpeg").write_text(text.replace("cat", shutil.which("cat", path="/bin:/usr/bin") or "cat"))
    (folder / "ffmpeg").chmod(0o755)


def test_without_an_encoder_it_is_webp(nothing: Path) -> None:
    suffix, data = movie.film(FRAMES, 0.12, 1.5)
    assert suffix == ".webp" and not movie.writes_mp4()
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.n_frames == 3 and picture.size == (64, 33)


def test_ffmpeg_is_given_every_picture_for_its_time(nothing: Path) -> None:
    put(nothing, STAND_IN.replace("dirname", "/usr/bin/dirname"))
    assert movie.writes_mp4() and movie.film(FRAMES, 0.12, 1.5) == (".mp4", b"film")
    given = np.frombuffer((nothing / "given").read_bytes(), np.uint8).reshape(-1, 32, 64, 3)
    assert len(given) == 3 + 3 + 38  # of 25 a second
    for frame, place in zip(FRAMES, (0, 3, 6), strict=True):
        np.testing.assert_array_equal(given[place], frame[:32])
    asked = (nothing / "asked").read_text()
    assert "-s 64x32 -r 25" in asked and "-pix_fmt yuv420p -movflags +faststart" in asked and "libx264" in asked


def test_an_ffmpeg_without_h264_is_none(nothing: Path) -> None:
    put(nothing, "#!/bin/sh\ncat > /dev/null\necho 'Unknown encoder libx264' >&2\nexit 1\n")
    with pytest.raises(movie.NoEncoder, match=r"Unknown encoder libx264; no PyAV"):
        movie._mp4(np.stack([frame[:32] for frame in FRAMES]))
    assert movie.film(FRAMES, 0.12, 1.5)[0] == ".webp"


@pytest.mark.parametrize("name", ["ffmpeg", "av"])
def test_what_is_here_writes_what_was_given(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not (shutil.which("ffmpeg") if name == "ffmpeg" else find_spec("av")):
        pytest.skip(f"{name} is not installed")
    if name == "av":
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        monkeypatch.setitem(sys.modules, "av", None)
    suffix, data = movie.film(FRAMES, 0.12, 1.5)
    order = list(boxes(data))
    assert suffix == ".mp4" and order[0] == "ftyp" and order.index("moov") < order.index("mdat")
    (tmp_path / "film.mp4").write_bytes(data)
    shown = decoded(name, tmp_path / "film.mp4")
    assert shown.shape == (44, 32, 64, 3)
    for frame, place in zip(FRAMES, (1, 4, 20), strict=True):
        assert np.abs(shown[place].astype(int) - frame[:32]).mean() < 6


def decoded(name: str, path: Path) -> np.ndarray:
    if name == "av":
        import av

        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
            return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    raw = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    found = subprocess.run(raw, capture_output=True, check=True).stdout
    return np.frombuffer(found, np.uint8).reshape(-1, 32, 64, 3)
