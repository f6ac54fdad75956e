"""Numbers that Lua and Python both compute: a hash of (name, index). tests/hashed.lua is
the twin of this file; together they save storing weights and batches."""
import numpy as np

M = 0xFFFFFFFF


def seed_of(name):
    """FNV-1a, 32 bits."""
    h = 0x811C9DC5
    for byte in name.encode():
        h = ((h ^ byte) * 0x01000193) & M
    return h


def words(name, count, start=0):
    """Element i: murmur3's finalizer of seed + (start + i) * 0x9E3779B9, as uint32."""
    x = (np.arange(start, start + count, dtype=np.uint64) * 0x9E3779B9 + seed_of(name)) & M
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & M
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & M
    return (x ^ (x >> 16)).astype(np.uint32)


def symmetric(name, count, start=0):
    """In [-1, 1), a multiple of 2^-23: exact in f32."""
    return (words(name, count, start) >> 8).astype(np.float64) * 2.0 ** -23 - 1


def choose(name, count, n):
    """count indices below n."""
    return (words(name, count).astype(np.uint64) * n >> np.uint64(32)).astype(np.int64)


def signs(name, count, start=0):
    return np.where(words(name, count, start) & 1, 1.0, -1.0)


def weight(name, shape):
    """He-like: uniform within +-sqrt(6 / fan_in) for weights, within 0.1 for biases; the bound
    is rounded to f32 first and the product once more, so that both sides get the same bits."""
    count = int(np.prod(shape))
    bound = np.float32(np.sqrt(6.0 / np.prod(shape[1:])) if len(shape) > 1 else 0.1)
    return (symmetric(name, count) * np.float64(bound)).astype(np.float32).reshape(shape)


def batch(name, shape):
    """Images in [0, 1): 8x8 blocks of a common level plus noise; masks: where that level is high."""
    n, _, h, w = shape
    level = symmetric(name + ".level", n * (h // 8) * (w // 8)).reshape(n, 1, h // 8, w // 8) * 0.25 + 0.5
    level = level.repeat(8, axis=2).repeat(8, axis=3)
    noise = symmetric(name + ".noise", int(np.prod(shape))).reshape(shape) * 0.25
    return (level + noise).astype(np.float32), (level > 0.625).astype(np.float32)
