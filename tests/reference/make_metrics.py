"""Writes tests/reference/metrics.lua: what tests/metrics_test.lua compares with.

    python3 tests/reference/make_metrics.py

Needs numpy and scipy. Pairs of small masks, as digits in row-major order, with the distances
between their surfaces computed as MONAI does: mask & ~binary_erosion(mask),
distance_transform_edt(sampling=spacing), numpy.percentile.
"""
import os

import numpy as np
import scipy
from scipy import ndimage

rng = np.random.default_rng(7)


def surface(mask):
    return mask & ~ndimage.binary_erosion(mask)


def distances(a, b, spacing):
    """From a's surface to b's and back."""
    a, b = surface(a), surface(b)
    to_a = ndimage.distance_transform_edt(~a, sampling=spacing)
    to_b = ndimage.distance_transform_edt(~b, sampling=spacing)
    return to_b[a], to_a[b]


def ball(shape, center, radius, stretch=1.0):
    grid = np.indices(shape)
    return sum(((g - c) * (stretch if d == 0 else 1)) ** 2 for d, (g, c) in enumerate(zip(grid, center))) <= radius ** 2


def point(shape, at):
    mask = np.zeros(shape, bool)
    mask[at] = True
    return mask


def speckled(mask, share):
    return mask ^ (rng.random(mask.shape) < share)


full = np.ones
plane, volume = (16, 21), (6, 9, 11)
cases = [
    ("discs", ball(plane, (7, 8), 5), ball(plane, (8, 11), 4), None),
    ("the same disc", ball(plane, (7, 8), 5), ball(plane, (7, 8), 5), None),
    ("disc and ring", ball(plane, (7, 10), 6), ball(plane, (7, 10), 6) & ~ball(plane, (7, 10), 3), None),
    ("anisotropic plane", ball(plane, (7, 8), 5), ball(plane, (8, 11), 4), (0.5, 2.25)),
    ("one pixel each", point(plane, (0, 0)), point(plane, (15, 20)), None),
    ("a pixel and a disc", point(plane, (3, 3)), ball(plane, (9, 14), 4), (1.5, 1.5)),
    ("all and a disc", full(plane, bool), ball(plane, (7, 10), 3), None),
    ("touching all borders", full(plane, bool), ball(plane, (0, 0), 9), (3.0, 1.0)),
    ("two blobs and one", ball(plane, (4, 4), 3) | ball(plane, (11, 17), 3), ball(plane, (4, 4), 3), None),
    ("noise", speckled(np.zeros(plane, bool), 0.2), speckled(np.zeros(plane, bool), 0.1), None),
    ("noisy discs", speckled(ball(plane, (7, 8), 5), 0.03), speckled(ball(plane, (8, 11), 4), 0.03), (0.7, 1.1)),
    ("one row", full((1, 9), bool), point((1, 9), (0, 4)), None),
    ("a line", np.arange(30) % 11 < 6, np.arange(30) > 20, None),
    ("a line in millimetres", np.arange(30) % 11 < 6, np.arange(30) > 20, (0.25,)),
    ("balls", ball(volume, (2, 4, 4), 3), ball(volume, (3, 4, 6), 3), None),
    ("thick slices", ball(volume, (2, 4, 4), 3, 2.0), ball(volume, (3, 4, 6), 3, 2.0), (5.0, 0.75, 0.8)),
    ("a voxel and noise", point(volume, (0, 8, 0)), speckled(np.zeros(volume, bool), 0.05), (3.0, 1.0, 1.0)),
    ("noisy volume", speckled(ball(volume, (2, 4, 4), 3), 0.05), speckled(ball(volume, (3, 4, 6), 3), 0.05), None),
    ("one slice as a volume", ball((1, 9, 11), (0, 4, 4), 3), ball((1, 9, 11), (0, 4, 6), 3), (5.0, 1.0, 1.0)),
]


def lua_list(values):
    return "{ " + ", ".join("%.17g" % v for v in values) + " }"


def digits(mask):
    return "".join("1" if x else "0" for x in mask.ravel())


out = ["-- Made by make_metrics.py; scipy %s, numpy %s." % (scipy.__version__, np.__version__), "return {"]
for name, a, b, spacing in cases:
    there, back = distances(a, b, spacing)
    hd = {p: max(np.percentile(there, p), np.percentile(back, p)) for p in (0, 50, 95, 100)}
    out.append('  { name = "%s", shape = %s,%s' % (name, lua_list(a.shape),
                                                   "" if spacing is None else " spacing = %s," % lua_list(spacing)))
    out.append('    a = "%s",' % digits(a))
    out.append('    b = "%s",' % digits(b))
    out.append("    hd0 = %.17g, hd50 = %.17g, hd95 = %.17g, hausdorff = %.17g, assd = %.17g }," %
               (hd[0], hd[50], hd[95], hd[100], np.concatenate([there, back]).mean()))
out.append("}")
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "metrics.lua"), "w") as f:
    f.write("\n".join(out) + "\n")
