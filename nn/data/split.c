/* split.c: see split.h. The paper's pipelines split with scikit-learn at random_state 42,
 * one with torch's random_split; equal indices make equal test sets.
 */
#include "split.h"

#include <math.h>
#include <stdbool.h>

#include "../base/rng.h"

enum { N = 624, M = 397 };

void ln_mt19937_seed(ln_mt19937 *mt, uint32_t seed) {
  mt->state[0] = seed;
  for (uint32_t i = 1; i < N; i++) {
    uint32_t before = mt->state[i - 1];
    mt->state[i] = 1812433253u * (before ^ before >> 30) + i;
  }
  mt->at = N;
}

static void refill(ln_mt19937 *mt) {
  uint32_t *s = mt->state;
  for (int i = 0; i < N; i++) {
    uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % N] & 0x7fffffffu);
    s[i] = s[(i + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0u);
  }
  mt->at = 0;
}

uint32_t ln_mt19937_next(ln_mt19937 *mt) {
  if (mt->at >= N) refill(mt);
  uint32_t y = mt->state[mt->at++];
  y ^= y >> 11;
  y ^= y << 7 & 0x9d2c5680u;
  y ^= y << 15 & 0xefc60000u;
  return y ^ y >> 18;
}

static void swap(size_t *list, size_t a, size_t b) {
  size_t kept = list[a];
  list[a] = list[b];
  list[b] = kept;
}

/* Words masked to the bit length of i until one is at most i; from the end down. */
void ln_permutation_numpy(ln_mt19937 *mt, size_t *list, size_t n) {
  for (size_t i = 0; i < n; i++) list[i] = i;
  for (size_t i = n; i-- > 1;) {
    uint32_t mask = UINT32_MAX >> __builtin_clz((uint32_t)i), word;
    do word = ln_mt19937_next(mt) & mask;
    while (word > i);
    swap(list, i, word);
  }
}

void ln_permutation_torch(ln_mt19937 *mt, size_t *list, size_t n) {
  for (size_t i = 0; i < n; i++) list[i] = i;
  for (size_t i = 0; i + 1 < n; i++) swap(list, i, i + ln_mt19937_next(mt) % (n - i));
}

/* A share (given as items, rounded) or a count as a number of items. */
static ln_code part_size(size_t n, const char *name, double size, double rounded, size_t *out, ln_error *err) {
  bool count = size >= 1 && size == floor(size);
  if (!(size > 0) || (count ? size >= (double)n : size >= 1))
    return ln_fail(err, LN_EINVAL, "%s is %g; for %zu items it must be a share between 0 and 1 or a count from 1 to %zu",
                   name, size, n, n > 1 ? n - 1 : 0);
  *out = (size_t)(count ? size : rounded);
  return LN_OK;
}

ln_code ln_split_sizes(size_t n, double test_size, double train_size, size_t *train, size_t *test, ln_error *err) {
  bool has_test = !(test_size < 0), has_train = !(train_size < 0);
  if (!has_test && !has_train) test_size = 0.25, has_test = true;
  ln_code code = LN_OK;
  if (has_test) code = part_size(n, "test_size", test_size, ceil(test_size * (double)n), test, err);
  if (code == LN_OK && has_train)
    code = part_size(n, "train_size", train_size, floor(train_size * (double)n), train, err);
  if (code != LN_OK) return code;
  if (!has_train) *train = n - *test;
  if (!has_test) *test = n - *train;
  if (*train > n || *test > n - *train)
    return ln_fail(err, LN_EINVAL, "%zu items for training and %zu for the test are more than the %zu there are",
                   *train, *test, n);
  if (*train == 0)
    return ln_fail(err, LN_EINVAL, "with %zu items and test_size %g nothing is left for training", n, test_size);
  return LN_OK;
}

static ln_code lengths_of_shares(size_t n, const double *parts, size_t count, size_t *lengths, ln_error *err) {
  size_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    if (!(parts[i] >= 0 && parts[i] <= 1))
      return ln_fail(err, LN_EINVAL, "share %zu is %g; shares lie between 0 and 1", i + 1, parts[i]);
    lengths[i] = (size_t)floor((double)n * parts[i]);
    sum += lengths[i];
  }
  for (size_t i = 0; sum < n; i++, sum++) lengths[i % count]++;
  if (sum == n) return LN_OK;
  return ln_fail(err, LN_EINVAL, "the shares add up to more than 1");
}

ln_code ln_split_lengths(size_t n, const double *parts, size_t count, size_t *lengths, ln_error *err) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += parts[i];
  /* torch asks whether the sum is close to 1, and only then takes parts as shares. */
  if (count > 0 && fabs(sum - 1) <= 1e-9)
    return lengths_of_shares(n, parts, count, lengths, err);
  for (size_t i = 0; i < count; i++) {
    if (!(parts[i] >= 0 && parts[i] <= (double)n && parts[i] == floor(parts[i])))
      return ln_fail(err, LN_EINVAL, "length %zu is %g; lengths are whole numbers that add up to %zu, or shares that add up to 1",
                     i + 1, parts[i], n);
    lengths[i] = (size_t)parts[i];
  }
  if (sum == (double)n && count > 0) return LN_OK;
  return ln_fail(err, LN_EINVAL, "the lengths add up to %g, but there are %zu items", sum, n);
}

void ln_shuffle(size_t *list, size_t n, uint64_t seed, uint64_t epoch) {
  /* Its own stream: the same seed also feeds initialisation and dropout. */
  uint64_t stream = seed ^ 0x73687566666c6531u;
  for (size_t i = 0; i + 1 < n; i++) swap(list, i, i + (size_t)ln_below_at(stream, epoch, i, n - i));
}
