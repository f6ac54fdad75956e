"""Writes tests/reference/data.lua: what tests/data_test.lua compares with.

    python3 tests/reference/make_data.py [DATA]

Needs pillow<13, numpy, scikit-learn and torch. Small image files of every kind are made
here and stored as base64 with the CRC-32 of what Pillow makes of them; splits are stored
as the CRC-32 of their indices (as decimal text joined by spaces, counted from 0). DATA is
a folder of real data sets; for those only CRCs are stored, for every 25th file and
for all.
"""
import base64, io, os, struct, sys, warnings, zlib

import numpy as np
import torch
from PIL import Image
from sklearn.model_selection import train_test_split
from torch.utils.data import random_split

warnings.simplefilter("ignore")
BILINEAR, NEAREST = Image.BILINEAR, Image.NEAREST


def sample(x, y, c, top):
    """A value of the formula that all test images follow."""
    return (x * x * 7 + y * 13 + x * y * 3 + c * 89 + (x * 2654435761 + y * 40503 + c * 977 >> 7)) % (top + 1)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def pack_row(values, depth):
    if depth == 16:
        return struct.pack(">%dH" % len(values), *values)
    if depth == 8:
        return bytes(values)
    bits = "".join(format(v, "0%db" % depth) for v in values)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(width, height, depth, color, palette=None, alpha=None, interlaced=False, top=None):
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    top = (1 << depth) - 1 if top is None else top
    raw = b""
    for x0, y0, dx, dy in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        if x0 >= width:
            continue
        for y in range(y0, height, dy):
            row = [sample(x, y, c, top) for x in range(x0, width, dx) for c in range(channels)]
            raw += b"\0" + pack_row(row, depth)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced)))
    if palette is not None:
        out += chunk(b"PLTE", bytes(palette))
    if alpha is not None:
        out += chunk(b"tRNS", bytes(alpha))
    return out + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def jpeg(mode, width, height, **options):
    bands = len(mode)
    pixels = bytes(sample(x // 3, y // 2, c, 255) for y in range(height) for x in range(width) for c in range(bands))
    out = io.BytesIO()
    Image.frombytes(mode, (width, height), pixels).save(out, "JPEG", optimize=True, **options)
    return out.getvalue()


def image_files():
    colors = [(i * 37 + k * 101) % 256 for i in range(256) for k in range(3)]
    files = {}
    for depth in (1, 2, 4, 8, 16):
        files["grey%d" % depth] = png(23, 11, depth, 0)
        files["grey%d_interlaced" % depth] = png(19, 13, depth, 0, interlaced=True)
    for depth in (1, 2, 4, 8):
        entries = 1 << depth
        files["palette%d" % depth] = png(23, 11, depth, 3, palette=colors[:3 * entries])
        files["palette%d_interlaced" % depth] = png(3, 2, depth, 3, palette=colors[:3 * entries], interlaced=True)
    files["palette_short"] = png(23, 11, 8, 3, palette=colors[:30], top=12)
    files["palette_clear"] = png(23, 11, 8, 3, palette=colors, alpha=range(0, 250, 3))
    files["grey_clear"] = png(23, 11, 8, 0, alpha=[0, 17])
    files["grey16_dark"] = png(23, 11, 16, 0, top=255)
    for name, color in (("grey_alpha", 4), ("rgb", 2), ("rgba", 6)):
        for depth in (8, 16):
            files["%s%d" % (name, depth)] = png(23, 11, depth, color)
            files["%s%d_interlaced" % (name, depth)] = png(9, 7, depth, color, interlaced=True)
    files["one_pixel"] = png(1, 1, 8, 2)
    files["resize"] = png(61, 47, 8, 0)
    files["resize_tall"] = png(2, 301, 8, 0)
    files["jpeg_grey"] = jpeg("L", 21, 17, quality=70)
    files["jpeg_444"] = jpeg("RGB", 21, 17, quality=70, subsampling=0)
    files["jpeg_422"] = jpeg("RGB", 21, 17, quality=70, subsampling=1)
    files["jpeg_420"] = jpeg("RGB", 21, 17, quality=70, subsampling=2)
    files["jpeg_progressive"] = jpeg("RGB", 21, 17, quality=70, progressive=True)
    files["jpeg_rgb"] = jpeg("RGB", 21, 17, quality=70, keep_rgb=True)
    files["jpeg_cmyk"] = jpeg("CMYK", 21, 17, quality=70)
    # The same coefficients declared as YCCK: the transform byte of the Adobe marker.
    at = files["jpeg_cmyk"].index(b"Adobe") + 11
    files["jpeg_ycck"] = files["jpeg_cmyk"][:at] + b"\x02" + files["jpeg_cmyk"][at + 1:]
    return files


def grey(source):
    return np.array(Image.open(source).convert("L"))


def resized(pixels, size, how):
    return np.array(Image.fromarray(pixels).resize((size[1], size[0]), how))


def crc(*arrays):
    value = 0
    for a in arrays:
        value = zlib.crc32(np.ascontiguousarray(a).tobytes(), value)
    return value


def to_tensor(pixels):
    return torch.from_numpy(pixels).to(torch.float32).div(255).numpy()


RESIZES = {
    "resize": [(256, 256), (128, 128), (240, 240), (64, 64), (600, 512), (47, 30), (20, 61), (47, 61), (1, 1), (2, 300)],
    "resize_tall": [(100, 5), (40, 1), (400, 7)],  # Pillow takes the passes the other way round here
}


def write_images(out):
    out.write("  images = {\n")
    for name, content in image_files().items():
        pixels = grey(io.BytesIO(content))
        out.write('    { name = "%s", height = %d, width = %d, crc = 0x%08x,\n      file = "%s" },\n'
                  % (name, *pixels.shape, crc(pixels), base64.b64encode(content).decode()))
    out.write("  },\n  -- name of an image, { height, width }, bilinear, nearest\n  resizes = {\n")
    for name, sizes in RESIZES.items():
        pixels = grey(io.BytesIO(image_files()[name]))
        for size in sizes:
            out.write('    { "%s", { %d, %d }, 0x%08x, 0x%08x },\n'
                      % (name, *size, crc(resized(pixels, size, BILINEAR)), crc(resized(pixels, size, NEAREST))))
    out.write("  },\n  -- every level, divided as ToTensor divides\n  to_tensor = 0x%08x,\n"
              % crc(to_tensor(np.arange(256, dtype=np.uint8))))


def text_crc(indices):
    return zlib.crc32(" ".join(map(str, indices)).encode())


def write_splits(out):
    out.write("  -- n, then test, train of the first stage and test, val of the second: first, last, count, crc\n  sklearn = {\n")
    for n in (10, 73, 999, 5002):
        train, held = train_test_split(list(range(n)), test_size=0.2, random_state=42)
        val, test = train_test_split(held, test_size=0.5, random_state=42)
        parts = ", ".join("{ %d, %d, %d, 0x%08x }" % (p[0], p[-1], len(p), text_crc(p)) for p in (train, held, val, test))
        out.write("    { %d, %s },\n" % (n, parts))
    out.write("  },\n  -- Claude's two random_splits from one generator: trainval, test, train, val\n  torch = {\n")
    for n in (10, 73, 999, 5002):
        generator = torch.Generator().manual_seed(42)
        most, test = random_split(range(n), [int(0.9 * n), n - int(0.9 * n)], generator=generator)
        a = int(0.8 * len(most))
        train, val = random_split(most, [a, len(most) - a], generator=generator)
        parts = ", ".join("{ %d, %d, %d, 0x%08x }" % (p[0], p[-1], len(p), text_crc(p))
                          for p in (list(most), list(test), list(train), list(val)))
        out.write("    { %d, %s },\n" % (n, parts))
    out.write("  },\n  -- random_split(range(n), fractions): the lengths\n  fractions = {\n")
    for n, shares in ((10, (0.7, 0.2, 0.1)), (1, (0.5, 0.5)), (999, (0.8, 0.1, 0.1)), (7, (0.3, 0.3, 0.4))):
        lengths = [len(p) for p in random_split(range(n), shares)]
        out.write("    { %d, { %s }, { %s } },\n" % (n, ", ".join(map(str, shares)), ", ".join(map(str, lengths))))
    out.write("  },\n")


def bytewise(names):
    return sorted(names, key=lambda name: name.encode())


def find_pairs(root, images, masks, suffix):
    names = bytewise(os.listdir(os.path.join(root, images)))
    for name in names:
        stem, extension = os.path.splitext(name)
        if extension.lower() not in (".png", ".jpg", ".jpeg") or (suffix and stem.endswith(suffix)):
            continue
        mask = os.path.join(root, masks, stem + suffix)
        found = [mask + e for e in (extension, ".png", ".jpg", ".jpeg") if os.path.exists(mask + e)]
        if found:  # CHASE_DB1 has a second observer's masks beside the images
            yield os.path.join(root, images, name), found[0]


SETS = [("bagls/test", "bagls/test", "_seg"), ("brain_tumor_figshare", "brain_tumor_figshare", "_mask"),
        ("chase_db1/CHASEDB1", "chase_db1/CHASEDB1", "_1stHO"), ("montgomery_lung/cxr", "montgomery_lung/masks", ""),
        ("isbi2012_membrane/data/membrane/train/image", "isbi2012_membrane/data/membrane/train/label", "")]
# What each file is turned into; the tests do the same in this order.
SIZES = [(256, 256), (128, 128), (240, 240), (64, 64), (512, 600)]


def set_crc(pairs):
    values = [0] * (1 + 2 * len(SIZES))
    for pair in pairs:
        for path in pair:
            pixels = grey(path)
            outputs = [pixels] + [resized(pixels, s, how) for s in SIZES for how in (BILINEAR, NEAREST)]
            values = [zlib.crc32(o.tobytes(), v) for o, v in zip(outputs, values)]
    return ", ".join("0x%08x" % v for v in values)


def write_sets(out, root):
    out.write("  -- real data sets: files as they are, then bilinear and nearest at each of sizes\n  sizes = { %s },\n  sets = {\n"
              % ", ".join("{ %d, %d }" % s for s in SIZES))
    for images, masks, suffix in SETS:
        pairs = list(find_pairs(root, images, masks, suffix))
        out.write('    { images = "%s", masks = "%s", suffix = "%s", count = %d,\n      some = { %s },\n      all = { %s } },\n'
                  % (images, masks, suffix, len(pairs), set_crc(pairs[::25]), set_crc(pairs)))
    out.write("  },\n")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "..", "..", "shared", "data")
    with open(os.path.join(here, "data.lua"), "w") as out:
        out.write("-- Made by make_data.py; Pillow %s, numpy %s, torch %s.\nreturn {\n"
                  % (Image.__version__, np.__version__, torch.__version__.split("+")[0]))
        write_images(out)
        write_splits(out)
        if os.path.isdir(root):
            write_sets(out, root)
        out.write("}\n")


main()
