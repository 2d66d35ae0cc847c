"""The real bytes of pictures that were made to hurt."""

import io
import struct
import zlib

from PIL import Image, PngImagePlugin


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, *chunks: bytes, bits: int = 8, colours: int = 0) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def claims_400_megapixels() -> bytes:
    """74 bytes."""
    return _png(20_000, 20_000, chunk(b"IDAT", bytes(17)))


def grey_plain(width: int, height: int) -> bytes:
    """A whole PNG of one grey: few bytes, many pixels."""
    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return _png(width, height, chunk(b"IDAT", body))


def text_bomb(size: int = 200_000_000) -> bytes:
    """A small picture with a zTXt chunk that inflates to `size` bytes."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1_000_000)) for _ in range(size // 1_000_000))
    body = b"Comment\0\0" + packed + packer.flush()
    return _png(1, 1, chunk(b"zTXt", body), chunk(b"IDAT", zlib.compress(b"\0\0")))


def gif_of(frames: int) -> bytes:
    """An animation of 4 x 4 pixels."""
    out = io.BytesIO()
    Image.new("P", (4, 4), 1).save(out, "GIF")
    data = out.getvalue()
    at = data.index(b"\x2c\0\0\0\0")
    return data[:at] + data[at:-1] * frames + b";"


def apng_of(frames: int) -> bytes:
    """An APNG whose header claims so many frames, with as many tiny frames of data."""
    picture = zlib.compress(b"\0\0")
    control = struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 100, 0, 0)
    chunks = [chunk(b"acTL", struct.pack(">II", frames, 0)), chunk(b"fcTL", control)]
    chunks.append(chunk(b"IDAT", picture))
    for number in range(1, frames):
        later = struct.pack(">I", 2 * number - 1) + control[4:]
        chunks.append(chunk(b"fcTL", later))
        chunks.append(chunk(b"fdAT", struct.pack(">I", 2 * number) + picture))
    return _png(1, 1, *chunks)


def tiff_of(pages: int) -> bytes:
    """A TIFF of 1 x 1 pixel with so many pages, all the same."""
    tags = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
            (273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 1), (279, 4, 1, 1)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    size = 2 + len(entries) + 4
    out = [struct.pack("<2sHI", b"II", 42, 10), b"\x80\0"]
    for page in range(pages):
        later = 10 + (page + 1) * size if page + 1 < pages else 0
        out.append(struct.pack("<H", len(tags)) + entries + struct.pack("<I", later))
    return b"".join(out)


def as_kind(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image as a file of some format."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def commented(image: Image.Image, comment: str) -> bytes:
    """A PNG with a text chunk."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", comment, zip=True)
    return as_kind(image, "PNG", pnginfo=info)
