/* loader.h: batches of a data set, made ahead of the step by worker threads.
 *
 * The order of an epoch is a function of (seed, epoch) and does not depend on the number
 * of workers. One consumer thread calls everything below; it may stop at any batch.
 */
#ifndef LN_DATA_LOADER_H
#define LN_DATA_LOADER_H

#include "dataset.h"

enum { LN_LOADER_MAX_WORKERS = 64 };

typedef struct ln_loader_options {
  size_t batch_size;
  int workers;      /* threads; 0: the consumer decodes by itself */
  bool shuffle, drop_last;
  uint64_t seed;
  bool cache;       /* keep decoded pairs in memory... */
  size_t cache_cap; /* ...up to so many bytes of the data set's cache */
  const atomic_int *interrupt; /* waiting ends with LN_EINTR when it is not 0; NULL: never */
} ln_loader_options;

/* The next batch, ready to be written into tensors. items stay the loader's. */
typedef struct ln_batch {
  size_t count;          /* 0: the epoch is over */
  const size_t *indices; /* into the data set */
  ln_item *const *items; /* all of one size */
} ln_batch;

/* Of all epochs so far. A step that never waits shows waits of about one an epoch: its
 * first batch, unless everything was in the cache. */
typedef struct ln_loader_stats {
  uint64_t batches; /* handed out */
  uint64_t waits;   /* of them not ready when asked for, or decoded by the consumer itself */
  double seconds;   /* that the consumer lost by it */
} ln_loader_stats;

typedef struct ln_loader ln_loader;

/* indices: which items, in this order (copied). The loader keeps the data set. */
ln_code ln_loader_open(ln_mem *mem, ln_dataset *ds, const size_t *indices, size_t count,
                       const ln_loader_options *options, ln_loader **out, ln_error *err);
void ln_loader_close(ln_loader *loader); /* stops and joins; NULL is fine */

size_t ln_loader_samples(const ln_loader *loader); /* an epoch's, without what drop_last drops */
size_t ln_loader_batches(const ln_loader *loader);
ln_dataset *ln_loader_dataset(const ln_loader *loader);
ln_loader_stats ln_loader_get_stats(const ln_loader *loader);

/* Begins an epoch; one that is under way is abandoned. */
ln_code ln_loader_start(ln_loader *loader, uint64_t epoch, ln_error *err);
/* Waits for the next batch. Until ln_loader_advance the same batch is given again, so a
 * caller that fails halfway loses nothing. */
ln_code ln_loader_wait(ln_loader *loader, ln_batch *batch, ln_error *err);
/* The batch's numbers are taken: image f32, mask as the data set's target says. */
void ln_loader_fill(const ln_loader *loader, const ln_batch *batch, float *image, void *mask);
void ln_loader_advance(ln_loader *loader, const ln_batch *batch);
void ln_loader_stop(ln_loader *loader); /* abandons the epoch, joins the threads */

#endif
