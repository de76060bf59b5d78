"""Images in and out: every file becomes uint8 RGB by the rules below, or is refused with a one-line reason.

orientation    as EXIF says
transparency   composited over white (never dropped, which would show the colours under it)
16 bits        rescaled by 1/257 (Pillow's own conversion clips); float: [0,1] is scaled by 255, [0,255] is kept
CMYK, palette, grey, 1 bit, YCbCr, LAB    converted to RGB
colour profile ignored: the pixels count as sRGB, and a note says so of any other
animation      the first frame
refused        truncated or unreadable files, more than Pillow's limit of pixels (decompression bombs), sides below
               32 pixels
"""

from __future__ import annotations

import io
import stat
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from storage.atomic import write_bytes
from storage.file_identity import MACHINE_ERRORS
from storage.file_names import exists_with_other_bytes

MIN_SIDE = 32
"""Faces in smaller images are too small for features to match."""


JPEG: dict[str, Any] = {"quality": 95, "subsampling": 0}
TIFF: dict[str, Any] = {"compression": "tiff_deflate"}
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", JPEG),
    ".jpeg": ("JPEG", JPEG),
    ".webp": ("WEBP", {"quality": 95, "method": 6}),
    ".tif": ("TIFF", TIFF),
    ".tiff": ("TIFF", TIFF),
}
"""How a name ends -> Pillow's format and what it is saved with."""
LOSSY = tuple(suffix for suffix, (_, options) in FORMATS.items() if "quality" in options)
DESCRIPTION = 0x010E
"""EXIF's ImageDescription."""


class BadImage(ValueError):
    """An image that cannot be used; one line: the file, what is wrong, what to do."""


@dataclass(frozen=True)
class ReadImage:
    """An image as read, and what the rules changed.

    `pixels` is uint8 [H,W,3] RGB, both sides at least 32; `notes` are short sentences for the report.
    """

    pixels: np.ndarray
    notes: tuple[str, ...] = ()


def read_image(path: str | Path) -> ReadImage:
    """Read one image file completely.

    Raises:
        BadImage: it is missing, damaged, too large, too small or of a kind that cannot be converted.
        OSError: the machine is out of file handles or memory.
    """
    path = Path(path)
    if _size(path) == 0:
        raise BadImage(f"{path} is empty (0 bytes); bring it again or remove it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about odd metadata; pixels are all that is wanted
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.load()  # verify() lets truncated files pass
                pixels, notes = _to_rgb(image)
    except BadImage as error:
        raise BadImage(f"{path} {error}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise BadImage(f"{path} has more than {limit} million pixels; scale it down or remove it") from None
    except UnidentifiedImageError:
        raise BadImage(f"{path} is damaged or of no known image format; bring it as PNG or remove it") from None
    except OSError as error:
        if error.errno in MACHINE_ERRORS:
            raise
        raise BadImage(f"{path} cannot be read ({_reason(error)}); bring it again or remove it") from None
    except Exception as error:  # a damaged file can make a decoder fail in any way
        raise BadImage(f"{path} cannot be decoded ({_reason(error)}); bring it again or remove it") from None
    if min(pixels.shape[:2]) < MIN_SIDE:
        height, width = pixels.shape[:2]
        raise BadImage(f"{path} has {width} x {height} pixels; expected at least {MIN_SIDE} on each side")
    return ReadImage(pixels, tuple(notes))


def write_png(path: str | Path, pixels: np.ndarray, metadata: Mapping[str, str] | None = None) -> None:
    """Write uint8 [H,W,3] as PNG: whole or not at all, and the same bytes for the same pixels and metadata.

    Args:
        path: final name; folders are made.
        pixels: uint8 [H,W,3] RGB.
        metadata: text chunks, written in the order of their keys.

    Raises:
        ValueError: another shape or dtype.
        OSError: the file cannot be written; an older one under this name is then untouched.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"expected uint8 [H,W,3], found {pixels.dtype} {list(pixels.shape)}")
    info = PngInfo()
    for key, text in sorted((metadata or {}).items()):
        info.add_text(key, text)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", pnginfo=info, compress_level=6)
    write_bytes(path, buffer.getvalue())


def write_picture(
    path: str | Path, pixels: np.ndarray, metadata: Mapping[str, str] | None = None, quality: int | None = None
) -> None:
    """Write uint8 [H,W,3] in the format that the name ends in: whole or not at all.

    Args:
        path: ends in one of `FORMATS`.
        pixels: uint8 [H,W,3] RGB.
        metadata: text chunks of a PNG; the description of the others, one line per key.
        quality: 1 to 100 of formats that lose something (`LOSSY`), else without effect; None: 95.

    Raises:
        BadImage: the name ends otherwise.
        OSError: the file cannot be written; an older one under this name is then untouched.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise BadImage(f"{path}: expected a name that ends in {', '.join(FORMATS)}; rename it")
    if suffix == ".png":
        write_png(path, pixels, metadata)
        return
    exif = Image.Exif()
    exif[DESCRIPTION] = "\n".join(f"{key}: {text}" for key, text in sorted((metadata or {}).items()))
    buffer = io.BytesIO()
    kind, options = FORMATS[suffix]
    if quality is not None and suffix in LOSSY:
        options = {**options, "quality": quality}
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format=kind, exif=exif, **options)
    write_bytes(path, buffer.getvalue())


def _size(path: Path) -> int:
    """Bytes of a file that is there. Raises BadImage if it is not, or if nothing can be said about it."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if exists_with_other_bytes(str(path)):
            raise BadImage(f"{path} has a name that is not UTF-8; rename it") from None
        raise BadImage(f"{path} does not exist; bring it or remove it from the pairs") from None
    except (OSError, ValueError) as error:  # a name that no file can have, a folder that cannot be entered
        if isinstance(error, OSError) and error.errno in MACHINE_ERRORS:
            raise
        raise BadImage(f"{path} cannot be read ({_reason(error)}); bring it again or remove it") from None
    if not stat.S_ISREG(found.st_mode):
        raise BadImage(f"{path} is not a file; bring it or remove it from the pairs")
    return found.st_size


def _to_rgb(image: Image.Image) -> tuple[np.ndarray, list[str]]:
    """Pixels of the loaded first frame by the rules above, and notes on the rules that applied."""
    notes: list[str] = []
    other = _other_profile(image)
    if other:
        notes.append(f"colour profile {other} ignored, pixels taken as sRGB")
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notes.append(f"first of {frames} frames")
    try:
        turned = ImageOps.exif_transpose(image)
    except Exception:  # the pixels are fine, only the metadata is broken
        turned = image
        notes.append("EXIF data unreadable, orientation left as stored")
    if turned.mode.startswith(("I", "F")):
        notes.append(f"{'float' if turned.mode == 'F' else '16-bit'} values rescaled to 8 bits")
        grey = _to_8_bits(np.asarray(turned), turned.mode)
        return np.repeat(grey[:, :, None], 3, axis=2), notes
    if turned.has_transparency_data:
        rgba = turned.convert("RGBA")
        if np.asarray(rgba)[:, :, 3].min() < 255:
            notes.append("transparency composited over white")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return np.array(Image.alpha_composite(white, rgba).convert("RGB")), notes
    if turned.mode in ("CMYK", "LAB"):
        notes.append(f"{turned.mode} converted to RGB without a colour profile")
    return np.array(turned.convert("RGB")), notes


def _other_profile(image: Image.Image) -> str:
    """The name of an RGB picture's embedded profile; empty if there is none, or if it is sRGB."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA"):
        return ""
    from PIL import ImageCms

    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except Exception:  # the pixels are fine, only the profile is broken
        name = ""
    name = " ".join("".join(c if c.isprintable() else " " for c in name).split())[:60] or "that cannot be read"
    return "" if "srgb" in name.casefold() else name


def _to_8_bits(values: np.ndarray, mode: str) -> np.ndarray:
    """Grey values of more than 8 bits, [H,W] of any real dtype, as uint8 [H,W]."""
    if not np.isfinite(values).all():
        raise BadImage("holds values that are not finite; convert it to an 8-bit image")
    low, high = float(values.min()), float(values.max())
    if mode == "F":
        scale, limit = (255.0, 1.0) if high <= 1 else (1.0, 255.0)
    else:
        scale, limit = 1 / 257, 65535.0
    if low < 0 or high > limit:
        raise BadImage(f"holds values from {low:g} to {high:g}, which have no known scale; convert it to 8 bits")
    return np.rint(values.astype(np.float64) * scale).astype(np.uint8)


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:120] or type(error).__name__
