/* peak.c: what this machine can do at most: multiplications a second, bytes a second from and to
 * memory, and what the first touch of fresh memory costs. Each figure is the best of several tries,
 * since others use the machine too.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "peak.h"

#include <omp.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kern.h"

typedef struct trial {
  const ln_peak_kerns *kern;
  int64_t rounds;
  float *x;
  char *fresh;
  int64_t n;  /* floats of x, or bytes of fresh */
} trial;

/* Part `i` of `parts` of a trial. */
typedef void (*body)(const trial *t, int i, int parts);

enum { GRAIN = 4096 };

static int64_t part_begin(int64_t n, int i, int parts) { return n / GRAIN * i / parts * GRAIN; }

static void multiply(const trial *t, int i, int parts) {
  (void)i, (void)parts;
  t->kern->multiply(t->rounds);
}

static void read_part(const trial *t, int i, int parts) {
  int64_t begin = part_begin(t->n, i, parts);
  t->kern->read(t->x + begin, part_begin(t->n, i + 1, parts) - begin);
}

/* From the first half to the second. */
static void copy_part(const trial *t, int i, int parts) {
  int64_t half = t->n / 2, begin = part_begin(half, i, parts);
  t->kern->copy(t->x + half + begin, t->x + begin, part_begin(half, i + 1, parts) - begin);
}

static void clear_part(const trial *t, int i, int parts) {
  for (int64_t k = part_begin(t->n, i, parts), end = part_begin(t->n, i + 1, parts); k < end; k++) t->x[k] = 1.0f;
}

static void touch_part(const trial *t, int i, int parts) {
  enum { STEP = 512 };
  for (int64_t k = part_begin(t->n, i, parts), end = part_begin(t->n, i + 1, parts); k < end; k += STEP)
    *(volatile char *)(t->fresh + k) = 1;
}

static double seconds_of(body run, const trial *t, int threads) {
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
  for (int i = 0; i < threads; i++) run(t, i, threads);
  clock_gettime(CLOCK_MONOTONIC, &b);
  return (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
}

/* Of at least three tries, and as many as the time allows. */
static double best_of(body run, const trial *t, int threads, double time) {
  double best = 1e30, spent = 0;
  for (int i = 0; i < 3 || spent < time; i++) {
    double s = seconds_of(run, t, threads);
    if (s < best) best = s;
    spent += s;
  }
  return best > 0 ? best : 1e-9;
}

/* Memory that nobody has touched must come from the system itself. Bytes a second, 0 when there is none. */
static double touch_rate(int threads, int tries, bool huge) {
  trial t = {.n = (int64_t)64 << 20};
  double best = 0;
  for (int i = 0; i < tries; i++) {
    void *fresh = mmap(NULL, (size_t)t.n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED) return 0;
    (void)madvise(fresh, (size_t)t.n, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    t.fresh = fresh;
    double rate = (double)t.n / seconds_of(touch_part, &t, threads);
    if (rate > best) best = rate;
    munmap(fresh, (size_t)t.n);
  }
  return best;
}

/* Well above the last cache, but no more than an eighth of the memory. */
static int64_t memory_floats(bool brief) {
  long cache = -1;
#ifdef _SC_LEVEL3_CACHE_SIZE
  cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
  int64_t bytes = (int64_t)(brief ? 64 : 128) << 20, most = (int64_t)(brief ? 256 : 1024) << 20, times = brief ? 2 : 4;
  if (cache > 0 && times * cache > bytes) bytes = times * cache;
  int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE) / 8;
  if (bytes > most) bytes = most;
  if (memory > 0 && bytes > memory) bytes = memory;
  return bytes / 4 / (2 * GRAIN) * (2 * GRAIN);
}

ln_code ln_cpu_measure(void *self, double seconds, ln_peaks *out, ln_error *err) {
  const ln_cpu *cpu = self;
  const int threads[2] = {1, cpu->threads}, tries = seconds < 1 ? 1 : 3;
  const double time = seconds / 10; /* for each figure */
  trial t = {.kern = cpu->kerns->peak, .n = memory_floats(seconds < 1)};
  *out = (ln_peaks){.isa = ln_isa_name(cpu->isa), .threads = cpu->threads};
  if (seconds <= 0) return LN_OK;
  t.x = ln_alloc(cpu->mem, (size_t)t.n * sizeof *t.x);
  if (t.x == NULL) return ln_fail(err, LN_ENOMEM, "no memory to measure with: %lld MiB wanted", (long long)(t.n >> 18));
  seconds_of(clear_part, &t, cpu->threads);
  for (int k = 0; k < (cpu->threads > 1 ? 2 : 1); k++) {
    t.rounds = 1000000; /* a few milliseconds: long beside the start of threads, short beside a turn of another process */
    const double flop = t.kern->flop * (double)t.rounds * threads[k];
    out->f32[k] = flop / best_of(multiply, &t, threads[k], time);
    out->read[k] = 4.0 * (double)t.n / best_of(read_part, &t, threads[k], time);
    out->copy[k] = 4.0 * (double)t.n / best_of(copy_part, &t, threads[k], time); /* read and written */
    out->touch[k] = touch_rate(threads[k], tries, false);
    out->touch_huge[k] = touch_rate(threads[k], tries, true);
  }
  if (cpu->threads == 1)
    out->f32[1] = out->f32[0], out->read[1] = out->read[0], out->copy[1] = out->copy[0], out->touch[1] = out->touch[0],
    out->touch_huge[1] = out->touch_huge[0];
  ln_free(cpu->mem, t.x);
  return LN_OK;
}
