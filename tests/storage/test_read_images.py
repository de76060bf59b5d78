"""Rules for reading, refusals and whole-or-absent PNGs."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms

from storage.images import BadImage, read_image, write_png

SIZE = (48, 40)  # width, height


def picture() -> np.ndarray:
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return np.stack([x * 5, y * 6, x + y], axis=-1).astype(np.uint8)


def save(path, image: Image.Image, **options):
    image.save(path, **options)
    return path


def test_plain_rgb_is_read_as_it_is(tmp_path):
    image = read_image(save(tmp_path / "a.png", Image.fromarray(picture())))
    assert image.pixels.dtype == np.uint8 and image.notes == ()
    assert np.array_equal(image.pixels, picture())
    image.pixels[0, 0] = 0  # writable, and not a view of Pillow's memory


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_modes_of_one_band_become_rgb(tmp_path, mode):
    original = Image.fromarray(picture()).convert(mode)
    image = read_image(save(tmp_path / "a.png", original))
    assert np.array_equal(image.pixels, np.asarray(original.convert("RGB")))
    assert image.notes == ()


def test_transparency_is_composited_over_white(tmp_path):
    rgba = np.dstack([picture(), np.full(SIZE[::-1], 255, np.uint8)])
    rgba[:20, :, 3] = 0
    rgba[20:25, :, 3] = 128
    image = read_image(save(tmp_path / "a.png", Image.fromarray(rgba)))
    assert (image.pixels[:20] == 255).all()
    assert np.array_equal(image.pixels[25:], picture()[25:])
    half = 255 - (255 - picture()[20:25].astype(float)) * 128 / 255
    assert np.abs(image.pixels[20:25] - half).max() <= 1
    assert image.notes == ("transparency composited over white",)


def test_an_opaque_alpha_band_is_no_news(tmp_path):
    image = read_image(save(tmp_path / "a.png", Image.fromarray(picture()).convert("RGBA")))
    assert np.array_equal(image.pixels, picture()) and image.notes == ()


@pytest.mark.parametrize("mode", ["LA", "P", "RGB"])
def test_transparency_of_other_modes(tmp_path, mode):
    if mode == "LA":
        image = Image.merge("LA", [Image.new("L", SIZE, 10), Image.new("L", SIZE, 0)])
        path = save(tmp_path / "a.png", image)
    elif mode == "P":
        path = save(tmp_path / "a.gif", Image.new("P", SIZE, 3), transparency=3)
    else:
        path = save(tmp_path / "a.png", Image.new("RGB", SIZE, (1, 2, 3)), transparency=(1, 2, 3))
    read = read_image(path)
    assert (read.pixels == 255).all()
    assert "transparency composited over white" in read.notes


def test_16_bits_are_rescaled_not_clipped(tmp_path):
    values = np.linspace(0, 65535, SIZE[0] * SIZE[1]).reshape(SIZE[::-1]).astype(np.uint16)
    for name in ("a.png", "a.tif"):
        image = read_image(save(tmp_path / name, Image.fromarray(values)))
        assert np.array_equal(image.pixels[:, :, 0], np.rint(values / 257).astype(np.uint8))
        assert image.notes == ("16-bit values rescaled to 8 bits",)


def test_float_images_have_two_known_scales(tmp_path):
    values = np.linspace(0, 1, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE[::-1])
    unit = read_image(save(tmp_path / "a.tif", Image.fromarray(values)))
    bytes_ = read_image(save(tmp_path / "b.tif", Image.fromarray(values * 255)))
    assert np.array_equal(unit.pixels, bytes_.pixels) and unit.pixels.max() == 255
    for bad in (values - 0.5, values * 1000, np.where(values > 0.5, np.nan, values).astype(np.float32)):
        with pytest.raises(BadImage, match="values"):
            read_image(save(tmp_path / "c.tif", Image.fromarray(bad)))


def test_cmyk_becomes_rgb_with_a_note(tmp_path):
    original = Image.fromarray(picture()).convert("CMYK")
    image = read_image(save(tmp_path / "a.tif", original))
    assert np.array_equal(image.pixels, np.asarray(original.convert("RGB")))
    assert image.notes == ("CMYK converted to RGB without a colour profile",)
    assert read_image(save(tmp_path / "a.jpg", original)).pixels.shape == (*SIZE[::-1], 3)


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to show
    image = read_image(save(tmp_path / "a.png", Image.fromarray(picture()), exif=exif))
    assert np.array_equal(image.pixels, np.rot90(picture(), -1))


def test_broken_exif_does_not_cost_the_pixels(tmp_path):
    image = read_image(save(tmp_path / "a.png", Image.fromarray(picture()), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"))
    assert np.array_equal(image.pixels, picture())


def test_a_colour_profile_is_ignored(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = read_image(save(tmp_path / "a.png", Image.fromarray(picture()), icc_profile=profile))
    assert np.array_equal(image.pixels, picture())


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animations_give_their_first_frame(tmp_path, name):
    frames = [Image.new("RGB", SIZE, color) for color in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    options = {"lossless": True} if name.endswith("webp") else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    image = read_image(tmp_path / name)
    assert image.pixels[0, 0].tolist() == [250, 0, 0]
    assert "first of 3 frames" in image.notes


def encoded(form: str) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, format=form)
    return buffer.getvalue()


BAD = {
    "missing.png": (None, "does not exist"),
    "empty.png": (b"", "is empty"),
    "text.png": (b"<html>not found</html>", "no known image format"),
    "truncated.jpg": (encoded("JPEG")[:-900], "truncated"),
    "truncated.png": (encoded("PNG")[:-900], "truncated"),
    "truncated.webp": (encoded("WEBP")[:-900], "cannot be"),
    "flipped.png": (encoded("PNG")[:60] + b"\0\0\0\0\0\0" + encoded("PNG")[66:], "cannot be"),
    "header_only.png": (encoded("PNG")[:33], "is damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_one_line(tmp_path, name):
    content, reason = BAD[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadImage) as error:
        read_image(tmp_path / name)
    assert str(tmp_path / name) in str(error.value) and reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_is_not_an_image(tmp_path):
    with pytest.raises(BadImage, match="is not a file"):
        read_image(tmp_path)


def test_bombs_are_refused_and_warnings_stay_inside(tmp_path, monkeypatch):
    path = save(tmp_path / "bomb.png", Image.new("L", (2000, 2000)))
    for limit in (3_000_000, 1_000_000):  # between once and twice the limit Pillow warns, above it raises
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with warnings.catch_warnings(record=True) as seen, pytest.raises(BadImage, match="million pixels"):
            warnings.simplefilter("always")
            read_image(path)
        assert not seen


@pytest.mark.parametrize("size", [(31, 400), (400, 31)])
def test_small_images_are_refused(tmp_path, size):
    with pytest.raises(BadImage, match="at least 32"):
        read_image(save(tmp_path / "a.png", Image.new("RGB", size)))


def test_faults_of_the_machine_are_not_blamed_on_the_image(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", Image.fromarray(picture()))

    def too_many(*args, **kwargs):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Image, "open", too_many)
    with pytest.raises(OSError, match="Too many open files"):
        read_image(path)


def test_png_bytes_depend_on_pixels_and_metadata_only(tmp_path):
    write_png(tmp_path / "new" / "a.png", picture(), {"b": "2", "a": "1"})
    write_png(tmp_path / "b.png", np.asfortranarray(picture()), {"a": "1", "b": "2"})
    write_png(tmp_path / "c.png", picture(), {"a": "1", "b": "ü →"})
    assert (tmp_path / "new" / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "b.png").read_bytes() != (tmp_path / "c.png").read_bytes()
    with Image.open(tmp_path / "c.png") as image:
        image.load()
        assert image.text == {"a": "1", "b": "ü →"}
    assert np.array_equal(read_image(tmp_path / "b.png").pixels, picture())


@pytest.mark.parametrize("pixels", [picture().astype(float), picture()[:, :, 0], np.zeros((4, 4, 4), np.uint8)])
def test_other_arrays_are_not_written(tmp_path, pixels):
    with pytest.raises(ValueError, match="expected uint8"):
        write_png(tmp_path / "a.png", pixels)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    write_png(tmp_path / "a.png", picture())
    before = (tmp_path / "a.png").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("storage.atomic.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_png(tmp_path / "a.png", picture()[::-1])
    assert (tmp_path / "a.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_profile_that_is_ignored_is_noted(tmp_path):
    image = Image.new("RGB", (40, 40), (200, 30, 30))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    wide = srgb.replace("sRGB built-in".encode("utf-16-be"), "Wide built-in".encode("utf-16-be"))
    wide = wide.replace(b"sRGB built-in", b"Wide built-in")
    noted = []
    for name, profile in (("srgb", srgb), ("wide", wide), ("broken", b"no profile")):
        image.save(tmp_path / f"{name}.png", icc_profile=profile)
        noted.append(read_image(tmp_path / f"{name}.png").notes)
    assert noted[0] == ()
    assert noted[1] == ("colour profile Wide built-in ignored, pixels taken as sRGB",)
    assert noted[2] == ("colour profile that cannot be read ignored, pixels taken as sRGB",)
