/* split.h: the random splits of scikit-learn and PyTorch, index for index, and the
 * loaders' own shuffle. Indices are 0-based here; vm/ adds one.
 */
#ifndef LN_DATA_SPLIT_H
#define LN_DATA_SPLIT_H

#include <stddef.h>
#include <stdint.h>

#include "../base/status.h"

/* MT19937 (Matsumoto and Nishimura 1998) as numpy's legacy RandomState(seed) and torch's
 * CPU generator seed it. */
typedef struct ln_mt19937 {
  uint32_t state[624];
  int at;
} ln_mt19937;

void ln_mt19937_seed(ln_mt19937 *mt, uint32_t seed);
uint32_t ln_mt19937_next(ln_mt19937 *mt);

/* A permutation of 0..n-1: numpy's RandomState.permutation and torch.randperm. n is below
 * 2^32 and 2^32 / 20; above, the originals draw 64-bit words. */
enum { LN_PERMUTATION_MAX = 200000000 };
void ln_permutation_numpy(ln_mt19937 *mt, size_t *list, size_t n);
void ln_permutation_torch(ln_mt19937 *mt, size_t *list, size_t n);

/* How many of n go where. A size below 1 is a share, else a count, negative: not given;
 * as scikit-learn rounds: the test part up, the train part down. */
ln_code ln_split_sizes(size_t n, double test_size, double train_size, size_t *train, size_t *test, ln_error *err);
/* torch.random_split's lengths: shares that add up to 1 (rounded down, what is left over
 * dealt out one by one from the first), or counts that add up to n. */
ln_code ln_split_lengths(size_t n, const double *parts, size_t count, size_t *lengths, ln_error *err);

/* The loaders' shuffle: Philox, a function of (seed, epoch). Shuffles list in place. */
void ln_shuffle(size_t *list, size_t n, uint64_t seed, uint64_t epoch);

#endif
