/* loader.c: see loader.h.
 *
 * Work is handed out by position in the epoch's order. A ring of slots, position p in
 * slot p % window, holds what is decoded and not yet taken; workers stay less than a
 * window ahead of the consumer. Under the lock: next, taken, stop, the slots' states and
 * the failure. A slot's item belongs to its worker until the state says ready.
 *
 * Threads live for one epoch and are not started at all when the cache holds everything.
 */
#include "loader.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "split.h"

typedef enum slot_state { SLOT_EMPTY = 0, SLOT_READY, SLOT_FAILED } slot_state;

struct ln_loader {
  ln_mem *mem;
  ln_dataset *ds;
  ln_loader_options options;
  size_t count, *indices, *order; /* order: the epoch's; count of each */

  size_t window;
  slot_state *state; /* window of them */
  ln_item **items;   /* the slots' */
  ln_item **batch;   /* the current batch's, in order; batch_size of them */
  ln_loader_stats stats; /* the consumer's */
  bool waited;           /* for the current batch */

  pthread_mutex_t lock;
  pthread_cond_t work, ready; /* a slot became free; a slot was filled */
  pthread_t threads[LN_LOADER_MAX_WORKERS];
  int running;
  size_t next;  /* the first position that no worker has taken on */
  size_t taken; /* positions the consumer is done with */
  bool stop;
  size_t failed_at; /* the first position that failed; SIZE_MAX: none */
  ln_error failure;
};

/* -- opening and closing */

static ln_code check_options(const ln_loader_options *o, size_t count, ln_error *err) {
  if (o->batch_size < 1) return ln_fail(err, LN_EINVAL, "batch_size must be at least 1");
  if (o->workers < 0 || o->workers > LN_LOADER_MAX_WORKERS)
    return ln_fail(err, LN_EINVAL, "workers is %d; it must be 0 to %d", o->workers, LN_LOADER_MAX_WORKERS);
  if (count == 0) return ln_fail(err, LN_EINVAL, "a loader over no items");
  return LN_OK;
}

static void free_memory(ln_loader *l) {
  ln_mem *mem = l->mem;
  ln_free(mem, l->indices);
  ln_free(mem, l->order);
  ln_free(mem, l->state);
  ln_free(mem, l->items);
  ln_free(mem, l->batch);
  ln_free(mem, l);
}

static bool allocate(ln_loader *l, const size_t *indices, size_t count) {
  size_t bytes = ln_mul(count, sizeof *indices), batch = l->options.batch_size;
  l->count = count;
  if (batch > count) batch = count;
  l->window = 2 * batch + (size_t)l->options.workers;
  l->indices = ln_alloc(l->mem, bytes);
  l->order = ln_alloc(l->mem, bytes);
  l->state = ln_calloc(l->mem, l->window, sizeof *l->state);
  l->items = ln_calloc(l->mem, l->window, sizeof *l->items);
  l->batch = ln_calloc(l->mem, batch, sizeof *l->batch);
  if (!l->indices || !l->order || !l->state || !l->items || !l->batch) return false;
  memcpy(l->indices, indices, bytes);
  memcpy(l->order, indices, bytes);
  return true;
}

static void init_locks(ln_loader *l) {
  pthread_condattr_t monotonic;
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->work, NULL);
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&l->ready, &monotonic);
  pthread_condattr_destroy(&monotonic);
}

ln_code ln_loader_open(ln_mem *mem, ln_dataset *ds, const size_t *indices, size_t count,
                       const ln_loader_options *options, ln_loader **out, ln_error *err) {
  ln_code code = check_options(options, count, err);
  for (size_t i = 0; i < count && code == LN_OK; i++)
    if (indices[i] >= ln_dataset_source(ds)->count)
      code = ln_fail(err, LN_EINVAL, "item %zu of the loader is number %zu, but there are %zu pairs", i + 1,
                     indices[i] + 1, ln_dataset_source(ds)->count);
  if (code != LN_OK) return code;
  ln_loader *l = ln_calloc(mem, 1, sizeof *l);
  if (l == NULL) return ln_fail(err, LN_ENOMEM, "no memory for a loader");
  l->mem = mem;
  l->options = *options;
  l->failed_at = SIZE_MAX;
  l->taken = l->next = count; /* before the first start the epoch is over */
  if (!allocate(l, indices, count)) {
    free_memory(l);
    return ln_fail(err, LN_ENOMEM, "no memory for a loader over %zu items", count);
  }
  init_locks(l);
  l->ds = ds;
  ln_dataset_retain(ds);
  *out = l;
  return LN_OK;
}

void ln_loader_close(ln_loader *l) {
  if (l == NULL) return;
  ln_loader_stop(l);
  pthread_mutex_destroy(&l->lock);
  pthread_cond_destroy(&l->work);
  pthread_cond_destroy(&l->ready);
  ln_dataset_release(l->ds);
  free_memory(l);
}

size_t ln_loader_samples(const ln_loader *l) {
  return l->options.drop_last ? l->count - l->count % l->options.batch_size : l->count;
}

size_t ln_loader_batches(const ln_loader *l) {
  size_t samples = ln_loader_samples(l);
  return samples / l->options.batch_size + (samples % l->options.batch_size != 0);
}

ln_dataset *ln_loader_dataset(const ln_loader *l) { return l->ds; }
ln_loader_stats ln_loader_get_stats(const ln_loader *l) { return l->stats; }

/* -- workers */

static ln_code load(ln_loader *l, size_t position, ln_item **item, ln_error *err) {
  return ln_dataset_item(l->ds, l->order[position], l->options.cache, l->options.cache_cap, item, err);
}

/* Under the lock: what became of a position. */
static void settle(ln_loader *l, size_t position, ln_code code, ln_item *item, const ln_error *err) {
  size_t slot = position % l->window;
  l->items[slot] = item;
  l->state[slot] = code == LN_OK ? SLOT_READY : SLOT_FAILED;
  if (code != LN_OK && position < l->failed_at) {
    l->failed_at = position;
    l->failure = *err;
  }
}

static bool may_work(const ln_loader *l) {
  return l->next < ln_loader_samples(l) && l->next < l->taken + l->window && l->failed_at == SIZE_MAX;
}

static void *worker(void *argument) {
  ln_loader *l = argument;
  pthread_mutex_lock(&l->lock);
  for (;;) {
    while (!l->stop && !may_work(l)) pthread_cond_wait(&l->work, &l->lock);
    if (l->stop) break;
    size_t position = l->next++;
    pthread_mutex_unlock(&l->lock);
    ln_error err;
    ln_item *item = NULL;
    ln_code code = load(l, position, &item, &err);
    pthread_mutex_lock(&l->lock);
    settle(l, position, code, item, &err);
    pthread_cond_signal(&l->ready);
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

/* Signals are the main thread's: Ctrl-C and the profile timer of the script's hook must
 * not land here. Faults stay deliverable. */
static ln_code start_threads(ln_loader *l, ln_error *err) {
  sigset_t blocked, before;
  sigfillset(&blocked);
  sigdelset(&blocked, SIGSEGV);
  sigdelset(&blocked, SIGBUS);
  sigdelset(&blocked, SIGFPE);
  sigdelset(&blocked, SIGILL);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  int failed = 0;
  while (l->running < l->options.workers && failed == 0) {
    failed = pthread_create(&l->threads[l->running], NULL, worker, l);
    if (failed == 0) l->running++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (failed == 0) return LN_OK;
  ln_loader_stop(l);
  return ln_fail(err, LN_EIO, "cannot start loader thread %d of %d: %s", l->running + 1, l->options.workers,
                 strerror(failed));
}

/* -- the consumer */

void ln_loader_stop(ln_loader *l) {
  pthread_mutex_lock(&l->lock);
  l->stop = true;
  pthread_cond_broadcast(&l->work);
  pthread_mutex_unlock(&l->lock);
  while (l->running > 0) pthread_join(l->threads[--l->running], NULL);
  for (size_t i = 0; i < l->window; i++) {
    if (l->state[i] == SLOT_READY) ln_dataset_done(l->ds, l->items[i]);
    l->state[i] = SLOT_EMPTY;
    l->items[i] = NULL;
  }
  l->taken = l->next = l->count;
  l->failed_at = SIZE_MAX;
  l->waited = false;
}

static bool all_cached(const ln_loader *l) {
  for (size_t i = 0; i < l->count; i++)
    if (!ln_dataset_has(l->ds, l->indices[i])) return false;
  return true;
}

ln_code ln_loader_start(ln_loader *l, uint64_t epoch, ln_error *err) {
  ln_loader_stop(l);
  memcpy(l->order, l->indices, l->count * sizeof *l->order);
  if (l->options.shuffle) ln_shuffle(l->order, l->count, l->options.seed, epoch);
  l->taken = l->next = 0;
  l->stop = false;
  return l->options.workers > 0 && !all_cached(l) ? start_threads(l, err) : LN_OK;
}

/* Under the lock: until the slot is settled, looking at the interrupt flag now and then. */
static bool wait_settled(ln_loader *l, size_t position) {
  enum { POLL_NS = 50000000 };
  while (l->state[position % l->window] == SLOT_EMPTY) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += POLL_NS;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&l->ready, &l->lock, &until);
    if (l->options.interrupt != NULL && atomic_load(l->options.interrupt)) return false;
  }
  return true;
}

/* Under the lock: the item at a position, from a worker, or decoded here without workers. */
static ln_code take(ln_loader *l, size_t position, ln_item **item, ln_error *err) {
  size_t slot = position % l->window;
  if (l->state[slot] == SLOT_EMPTY && (l->running > 0 || !ln_dataset_has(l->ds, l->order[position]))) l->waited = true;
  if (l->running == 0 && l->state[slot] == SLOT_EMPTY) {
    if (l->options.interrupt != NULL && atomic_load(l->options.interrupt))
      return ln_fail(err, LN_EINTR, "interrupted");
    ln_error reason;
    ln_code code = load(l, position, item, &reason);
    settle(l, position, code, *item, &reason);
    l->next = position + 1;
  } else if (!wait_settled(l, position)) {
    return ln_fail(err, LN_EINTR, "interrupted");
  }
  *item = l->items[slot];
  if (l->state[slot] == SLOT_READY) return LN_OK;
  if (err != NULL) *err = l->failure;
  return l->failure.code;
}

static ln_code check_one_size(const ln_loader *l, size_t count, ln_error *err) {
  const ln_item *first = l->batch[0];
  for (size_t i = 1; i < count; i++) {
    const ln_item *item = l->batch[i];
    if (item->height == first->height && item->width == first->width) continue;
    char name[LN_STEM_TEXT], other[LN_STEM_TEXT];
    const ln_source *source = ln_dataset_source(l->ds);
    source->stem(source, l->order[l->taken], name, sizeof name);
    source->stem(source, l->order[l->taken + i], other, sizeof other);
    return ln_fail(err, LN_EINVAL, "a batch cannot hold %s with %lldx%lld pixels and %s with %lldx%lld: give a size", name,
                   (long long)first->width, (long long)first->height, other, (long long)item->width, (long long)item->height);
  }
  return LN_OK;
}

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

ln_code ln_loader_wait(ln_loader *l, ln_batch *batch, ln_error *err) {
  *batch = (ln_batch){0};
  size_t samples = ln_loader_samples(l);
  if (l->taken >= samples) {
    ln_loader_stop(l);
    return LN_OK;
  }
  size_t count = samples - l->taken;
  if (count > l->options.batch_size) count = l->options.batch_size;
  ln_code code = LN_OK;
  double start = seconds_now();
  pthread_mutex_lock(&l->lock);
  for (size_t i = 0; i < count && code == LN_OK; i++) code = take(l, l->taken + i, &l->batch[i], err);
  pthread_mutex_unlock(&l->lock);
  if (l->waited) l->stats.seconds += seconds_now() - start;
  if (code == LN_OK) code = check_one_size(l, count, err);
  if (code == LN_OK) *batch = (ln_batch){count, l->order + l->taken, l->batch};
  else if (code != LN_EINTR) ln_loader_stop(l);
  return code;
}

void ln_loader_fill(const ln_loader *l, const ln_batch *batch, float *image, void *mask) {
  ln_target target = ln_dataset_get_options(l->ds)->target;
  int64_t pixels = batch->items[0]->height * batch->items[0]->width;
  size_t element = target == LN_TARGET_CLASS ? sizeof(int64_t) : sizeof(float);
  for (size_t i = 0; i < batch->count; i++) {
    ln_item_image(batch->items[i], image + (int64_t)i * pixels);
    ln_item_mask(batch->items[i], target, (char *)mask + i * (size_t)pixels * element);
  }
}

void ln_loader_advance(ln_loader *l, const ln_batch *batch) {
  for (size_t i = 0; i < batch->count; i++) ln_dataset_done(l->ds, batch->items[i]);
  pthread_mutex_lock(&l->lock);
  for (size_t i = 0; i < batch->count; i++) {
    size_t slot = (l->taken + i) % l->window;
    l->state[slot] = SLOT_EMPTY;
    l->items[slot] = NULL;
  }
  l->taken += batch->count;
  l->stats.batches++;
  if (l->waited) l->stats.waits++;
  l->waited = false;
  pthread_cond_broadcast(&l->work);
  pthread_mutex_unlock(&l->lock);
}
