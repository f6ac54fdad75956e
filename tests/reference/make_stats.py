"""Writes tests/reference/stats.lua: what tests/stats_test.lua compares with.

    python3 tests/reference/make_stats.py

Needs numpy and scipy. The lists are not stored: lists(seed, ...) makes them, there as here.
"""
import os, warnings

import numpy as np
import scipy
from scipy import stats

warnings.simplefilter("ignore")


def numbers(seed, n, levels, shift):
    """n multiples of 1/8 below levels / 8, moved by shift: few levels make ties. Lehmer's generator."""
    x, out = seed * 48271 + 1, []
    for _ in range(n):
        x = x * 16807 % 2147483647
        out.append(x % levels / 8 + shift)
    return out


def philox(seed, counter, block):
    m32 = 0xFFFFFFFF
    k0, k1 = seed & m32, seed >> 32
    c = [block & m32, block >> 32, counter & m32, counter >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [p1 >> 32 ^ c[1] ^ k0, p1 & m32, p0 >> 32 ^ c[3] ^ k1, p0 & m32]
        k0, k1 = k0 + 0x9E3779B9 & m32, k1 + 0xBB67AE85 & m32
    return c


def bootstrap(values, statistic, level, resamples, seed):
    n, found = len(values), []
    for r in range(resamples):
        words = [philox(seed, r, i) for i in range(n)]
        found.append(statistic([values[(w[0] << 32 | w[1]) * n >> 64] for w in words]))
    return np.quantile(found, [(1 - level) / 2, (1 + level) / 2])


def row(*values):
    return "    { " + ", ".join(v if isinstance(v, str) else "%.17g" % v for v in values) + " },"


sides = ("two-sided", "less", "greater")
many = 1 << 30
out = ["-- Made by make_stats.py; scipy %s, numpy %s." % (scipy.__version__, np.__version__), "return {"]

out.append("  -- seed, n1, n2, levels, shift; U; p two-sided, less, greater")
out.append("  mann_whitney = {")
sizes = [(1, 1), (1, 2), (1, 9), (2, 2), (3, 5), (5, 3), (7, 8), (8, 8), (8, 9), (9, 8), (8, 60), (60, 8), (9, 9), (10, 12), (25, 25),
         (25, 60), (60, 60), (2, 40), (12, 33), (45, 17)]
for k, (n1, n2) in enumerate(sizes):
    for levels, shift in ((many, 0), (many, many / 32), (many, -many / 16), (4, 0), (4, 0.125), (20, -0.5), (1, 0)):
        seed = 2 * len(out)
        a, b = numbers(seed, n1, levels, shift), numbers(seed + 1, n2, levels, 0)
        results = [stats.mannwhitneyu(a, b, alternative=side) for side in sides]
        ps = [1 if np.isnan(r.pvalue) else r.pvalue for r in results]
        out.append(row(seed, n1, n2, levels, shift, results[0].statistic, *ps))
out.append("  },")

out.append("  -- seed, n, levels, shift; two-sided statistic, sum of positive ranks; p two-sided, less, greater")
out.append("  wilcoxon = {")
for n in list(range(1, 17)) + [20, 25, 33, 49, 50, 51, 52, 60]:
    for levels, shift in ((many, 0), (many, many / 40), (many, -many / 16), (6, 0), (6, 0.25), (40, -0.5), (1, 0)):
        seed = 2 * len(out)
        a, b = numbers(seed, n, levels, shift), numbers(seed + 1, n, levels, 0)
        if a == b:  # where SciPy refuses, or gives nan or 1, by their number
            out.append(row(seed, n, levels, shift, 0, 0, 1, 1, 1))
            continue
        results = [stats.wilcoxon(a, b, alternative=side) for side in sides]
        out.append(row(seed, n, levels, shift, results[0].statistic, results[1].statistic, *[r.pvalue for r in results]))
out.append("  },")

out.append("  -- seed, n, levels, shift; mean, median, std with correction 1 and 0, quantiles 0, 0.025, 0.3, 0.975, 1")
out.append("  describe = {")
for n in (1, 2, 3, 4, 10, 41, 60):
    for levels, shift in ((many, -1e7), (5, 0)):
        seed = 2 * len(out)
        a = numbers(seed, n, levels, shift)
        out.append(row(seed, n, levels, shift, np.mean(a), np.median(a),
                       "0 / 0" if n == 1 else np.std(a, ddof=1), np.std(a), *np.quantile(a, [0, 0.025, 0.3, 0.975, 1])))
out.append("  },")

out.append("  -- seed of the list, n, levels; statistic, level, resamples, seed; low, high")
out.append("  bootstrap = {")
for n, levels, name, level, resamples, seed in ((12, 1000, "mean", 0.95, 400, 0), (25, 50, "median", 0.9, 300, 3),
                                                (1, 9, "mean", 0.95, 10, 1), (9, 1000, "mean", 0.5, 1, 2 ** 40 + 5)):
    a = numbers(n, n, levels, 0)
    low, high = bootstrap(a, getattr(np, name), level, resamples, seed)
    out.append(row(n, n, levels, '"%s"' % name, level, resamples, seed, low, high))
out.append("  },")
out.append("}")
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "stats.lua"), "w") as f:
    f.write("\n".join(out) + "\n")
