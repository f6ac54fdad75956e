/* winograd_test.c: Winograd forward and backward-data (nn/cpu/conv/winograd.h) beside a plain loop in f64: odd sizes,
 * sizes below a tile, slices of bigger tensors, three dimensions, every part of the epilogue, kept weights, the
 * same bits for every thread count, NaN and infinity; on each instruction set that the machine has.
 *
 * The error bound is 8 times that of the same plain loop in f32. The argument small leaves out large layers, for emulators.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../nn/base/rng.h"
#include "../nn/cpu/conv/winograd.h"
#include "isas.h"

enum { GUARD = 64 }; /* floats before and after a tensor */

typedef struct example {
  ln_conv_geometry g;
  ln_conv_dir dir;
  int64_t gap;                  /* elements between images, as where they are slices: whole vectors */
  bool bias, relu, mask, moments, sums, kept;
  float shift;                  /* added to every bias */
  int64_t skip;                 /* outputs between those that are compared */
} example;

/* The call's input and output side, whichever direction. */
typedef struct side {
  int64_t channels, size[3], image;
} side;

typedef struct data {
  side from, to;
  float *in, *out, *weights, *bias, *mask; /* in, out and mask begin with GUARD elements and images have gaps */
  ln_moments *moments;
  double *sums;
} data;

static ln_mem mem;
static ln_cpu *cpu;
static int passed, failed;
static uint64_t drawn;

static void check(bool good, const example *e, const char *what, double figure) {
  if (good) {
    passed++;
    return;
  }
  failed++;
  const ln_conv_geometry *g = &e->g;
  printf("FAILED isa %d: %s (%g): %s n %d ci %d co %d in %d %d %d kernel %d padding %d %d %d gap %d%s%s%s%s%s%s\n", cpu->isa, what,
         figure, e->dir == LN_CONV_FORWARD ? "forward" : "backward-data", (int)g->n, (int)g->ci, (int)g->co,
         (int)g->in[0], (int)g->in[1], (int)g->in[2], (int)g->kernel[0], (int)g->padding[0], (int)g->padding[1],
         (int)g->padding[2], (int)e->gap, e->bias ? " bias" : "", e->relu ? " relu" : "", e->mask ? " mask" : "",
         e->moments ? " moments" : "", e->sums ? " sums" : "", e->kept ? " kept" : "");
}

static void *fresh(size_t bytes) {
  void *block = ln_alloc(&mem, bytes);
  if (block == NULL) abort();
  return block;
}

static float *normals(int64_t n, float scale) {
  float *x = fresh((size_t)n * sizeof *x);
  const uint64_t counter = drawn++;
  for (int64_t i = 0; i < n; i++) x[i] = scale * ln_normal_at(2, counter, (uint64_t)i);
  return x;
}

static int64_t dense(const side *s) { return s->channels * ln_conv_volume(s->size); }
static int64_t elements(const side *s, int64_t n) { return n * s->image + 2 * GUARD; }

/* Every element between the images and around them, NaN by NaN. */
static void set_gaps(float *x, const side *s, int64_t n) {
  for (int64_t i = 0; i < elements(s, n); i++) {
    const int64_t at = i - GUARD;
    if (at < 0 || at >= n * s->image || at % s->image >= dense(s)) x[i] = NAN;
  }
}

static bool gaps_hold(const float *x, const side *s, int64_t n) {
  for (int64_t i = 0; i < elements(s, n); i++) {
    const int64_t at = i - GUARD;
    if ((at < 0 || at >= n * s->image || at % s->image >= dense(s)) && !isnan(x[i])) return false;
  }
  return true;
}

/* Offset of an element in the blocked layout. */
static int64_t blocked(const side *s, int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
  const int64_t L = cpu->lanes;
  return GUARD + n * s->image + ((c / L * s->size[0] + d) * s->size[1] * s->size[2] + h * s->size[2] + w) * L + c % L;
}

static data data_of(const example *e) {
  const ln_conv_geometry *g = &e->g;
  data x = {0};
  const bool backward = e->dir == LN_CONV_BACKWARD_DATA;
  x.from.channels = backward ? g->co : g->ci, x.to.channels = backward ? g->ci : g->co;
  memcpy(x.from.size, backward ? g->out : g->in, sizeof x.from.size);
  memcpy(x.to.size, backward ? g->in : g->out, sizeof x.to.size);
  x.from.image = dense(&x.from) + e->gap, x.to.image = dense(&x.to) + e->gap;
  x.in = normals(elements(&x.from, g->n), 1);
  x.mask = normals(elements(&x.to, g->n), 1);
  x.out = normals(elements(&x.to, g->n), 1);
  x.weights = normals(g->co * g->ci * ln_conv_volume(g->kernel), sqrtf(2.0f / (float)(x.from.channels * 9 * g->kernel[0])));
  x.bias = normals(x.to.channels, 1);
  for (int64_t c = 0; c < x.to.channels; c++) x.bias[c] += e->shift;
  x.moments = fresh((size_t)x.to.channels * sizeof *x.moments);
  x.sums = fresh((size_t)x.to.channels * sizeof *x.sums);
  set_gaps(x.in, &x.from, g->n);
  set_gaps(x.out, &x.to, g->n);
  return x;
}

static void free_data(data *x) {
  void *blocks[] = {x->in, x->out, x->weights, x->bias, x->mask, x->moments, x->sums};
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) ln_free(&mem, blocks[i]);
}

static void run_kernel(const example *e, data *x) {
  const ln_conv_geometry *g = &e->g;
  const bool backward = e->dir == LN_CONV_BACKWARD_DATA;
  ln_conv_tensors t = {.src = x->in + GUARD, .dst = x->out + GUARD, .weights = x->weights};
  ln_conv_images images = {.src_image = x->from.image, .dst_image = x->to.image};
  if (backward) {
    t.src = x->out + GUARD, t.dst = x->in + GUARD;
    images = (ln_conv_images){.src_image = x->to.image, .dst_image = x->from.image};
  }
  const ln_epilogue epilogue = {.bias = e->bias ? x->bias : NULL, .relu = e->relu, .mask = e->mask ? x->mask + GUARD : NULL,
                                .mask_image = x->to.image, .moments = e->moments ? x->moments : NULL,
                                .sums = e->sums ? x->sums : NULL};
  const size_t bytes = ln_wino_workspace(cpu, g, e->dir, e->kept), kept_bytes = e->kept ? ln_wino_kept_bytes(cpu, g, e->dir) : 0;
  char *workspace = fresh(bytes + GUARD), *kept = fresh(kept_bytes + GUARD);
  memset(workspace, 0xff, bytes + GUARD); /* NaN: nothing may rely on it */
  memset(kept, 0xff, kept_bytes + GUARD);
  float *place = kept_bytes > 0 ? (float *)(void *)kept : NULL;
  ln_wino_run(cpu, g, e->dir, &t, &images, &epilogue, place, true, workspace);
  if (kept_bytes > 0) {
    const size_t count = (size_t)elements(&x->to, g->n);
    float *first = fresh(count * sizeof *first);
    memcpy(first, x->out, count * sizeof *first);
    memset(workspace, 0xff, bytes);
    ln_wino_run(cpu, g, e->dir, &t, &images, &epilogue, place, false, workspace);
    check(memcmp(first, x->out, count * sizeof *first) == 0, e, "kept weights give the same bits", 0);
    ln_free(&mem, first);
  }
  bool inside = true;
  for (int i = 0; i < GUARD; i++) inside = inside && workspace[bytes + (size_t)i] == -1 && kept[kept_bytes + (size_t)i] == -1;
  check(inside, e, "stays within its workspace", 0);
  ln_free(&mem, workspace);
  ln_free(&mem, kept);
}

/* -- the plain loop */

/* The sum of the output at x->out[GUARD + at], in f64 or f32. */
static double plain_sum(const example *e, const data *x, int64_t at, bool single) {
  const ln_conv_geometry *g = &e->g;
  const bool backward = e->dir == LN_CONV_BACKWARD_DATA;
  const int64_t L = cpu->lanes, volume = ln_conv_volume(g->kernel), *from = x->from.size, *to = x->to.size;
  const int64_t inside = at % x->to.image / L, plane = inside % ln_conv_volume(to), d0 = plane / (to[1] * to[2]);
  const int64_t channel = inside / ln_conv_volume(to) * L + at % L, h0 = plane / to[2] % to[1], w0 = plane % to[2];
  double sum = 0;
  float sum32 = 0;
  for (int64_t tap = 0; tap < volume; tap++) {
    const int64_t sign = backward ? -1 : 1, d = d0 + sign * (tap / 9 - g->padding[0]);
    const int64_t h = h0 + sign * (tap / 3 % 3 - g->padding[1]), w = w0 + sign * (tap % 3 - g->padding[2]);
    if (d < 0 || d >= from[0] || h < 0 || h >= from[1] || w < 0 || w >= from[2]) continue;
    const float *in = x->in + blocked(&x->from, at / x->to.image, 0, d, h, w);
    for (int64_t c = 0; c < x->from.channels; c++) {
      const float weight = x->weights[(backward ? c * g->ci + channel : channel * g->ci + c) * volume + tap];
      const float value = in[c / L * L * ln_conv_volume(from) + c % L];
      sum += (double)value * (double)weight;
      sum32 += value * weight;
    }
  }
  return single ? (double)sum32 : sum;
}

/* Every index of a tensor like x->out that is an output, and not between the images. */
#define EACH_OUTPUT(e, x, at)                                             \
  for (int64_t at = GUARD; at < GUARD + (e)->g.n * (x)->to.image; at++) \
    if ((at - GUARD) % (x)->to.image < dense(&(x)->to))

/* The exact sum of every (1 + skip)th output. */
static double *plain(const example *e, const data *x, bool single) {
  double *y = fresh((size_t)elements(&x->to, e->g.n) * sizeof *y);
  EACH_OUTPUT(e, x, at) if (at % (1 + e->skip) == 0) y[at] = plain_sum(e, x, at - GUARD, single);
  return y;
}

static int64_t channel_of(const data *x, int64_t at) {
  const int64_t inside = (at - GUARD) % x->to.image;
  return inside / (ln_conv_volume(x->to.size) * cpu->lanes) * cpu->lanes + inside % cpu->lanes;
}

static bool is_near(double a, double b, double tolerance) { return fabs(a - b) <= tolerance; }

/* -- values */

static double relative_error(const example *e, const data *x, const double *y, const double *exact) {
  double error = 0, norm = 0;
  EACH_OUTPUT(e, x, at) {
    if (at % (1 + e->skip) != 0) continue;
    const double got = y != NULL ? y[at] : (double)x->out[at];
    error += (got - exact[at]) * (got - exact[at]);
    norm += exact[at] * exact[at];
  }
  return sqrt(error / norm);
}

static void check_values(const example *e, const data *x, const double *exact) {
  double *single = plain(e, x, true);
  const double error = relative_error(e, x, NULL, exact), direct = relative_error(e, x, single, exact);
  check(error <= 8 * direct, e, "error against f64, of the direct loop's", error / direct);
  ln_free(&mem, single);
}

/* What is stored, beside the exact sums. */
static void check_stored(const example *e, const data *x, const double *exact) {
  double worst = 0;
  EACH_OUTPUT(e, x, at) {
    if (at % (1 + e->skip) != 0) continue;
    double y = exact[at] + (e->bias ? (double)x->bias[channel_of(x, at)] : 0);
    if (e->relu && y < 0) y = 0;
    if (e->mask && !(x->mask[at] > 0)) y = 0;
    const double off = fabs(y - (double)x->out[at]) / (1 + fabs(y));
    if (off > worst || isnan(off)) worst = off;
  }
  check(worst < 1e-4, e, "epilogue's values", worst);
}

/* Sums beside those over what was stored, which check_stored has found right; moments too, but before ReLU and mask. */
static void check_sums(const example *e, const data *x, const double *exact) {
  const double count = (double)(e->g.n * ln_conv_volume(x->to.size)), wide = 1 + fabs((double)e->shift);
  double *mean = fresh((size_t)x->to.channels * sizeof(double)), *sum = fresh((size_t)x->to.channels * sizeof(double));
  double *m2 = fresh((size_t)x->to.channels * sizeof(double));
  const bool stored = !e->relu && !e->mask;
  for (int64_t i = 0; i < x->to.channels; i++) mean[i] = sum[i] = m2[i] = 0;
#define BEFORE(at, c) (stored ? (double)x->out[at] : exact[at] + (e->bias ? (double)x->bias[c] : 0))
  EACH_OUTPUT(e, x, at) {
    const int64_t c = channel_of(x, at);
    mean[c] += BEFORE(at, c) / count;
    sum[c] += (double)x->out[at];
  }
  EACH_OUTPUT(e, x, at) {
    const int64_t c = channel_of(x, at);
    m2[c] += (BEFORE(at, c) - mean[c]) * (BEFORE(at, c) - mean[c]);
  }
#undef BEFORE
  for (int64_t i = 0; i < x->to.channels; i++) {
    if (e->sums) check(is_near(x->sums[i], sum[i], 1e-6 * count * wide), e, "sums", x->sums[i] - sum[i]);
    if (!e->moments) continue;
    check(x->moments[i].count == count, e, "count", x->moments[i].count);
    check(is_near(x->moments[i].mean, mean[i], 2e-6 * wide), e, "mean", x->moments[i].mean - mean[i]);
    check(is_near(x->moments[i].m2, m2[i], 1e-5 * wide * m2[i]), e, "m2", x->moments[i].m2 / m2[i]);
  }
  ln_free(&mem, mean);
  ln_free(&mem, sum);
  ln_free(&mem, m2);
}

/* Threads: the same bits of everything. */
static void check_threads(const example *e, data *x) {
  const size_t count = (size_t)elements(&x->to, e->g.n), channels = (size_t)x->to.channels;
  data y = *x;
  y.out = fresh(count * sizeof *y.out);
  y.moments = fresh(channels * sizeof *y.moments);
  y.sums = fresh(channels * sizeof *y.sums);
  for (int threads = 2; threads <= 3; threads++) {
    memcpy(y.out, x->out, count * sizeof *y.out);
    EACH_OUTPUT(e, x, at) y.out[at] = NAN;
    cpu->threads = threads;
    run_kernel(e, &y);
    cpu->threads = 1;
    check(memcmp(x->out, y.out, count * sizeof *y.out) == 0, e, "threads give the same bits", threads);
    if (e->moments)
      check(memcmp(x->moments, y.moments, channels * sizeof *y.moments) == 0, e, "threads give the same moments", threads);
    if (e->sums) check(memcmp(x->sums, y.sums, channels * sizeof *y.sums) == 0, e, "threads give the same sums", threads);
  }
  ln_free(&mem, y.out);
  ln_free(&mem, y.moments);
  ln_free(&mem, y.sums);
}

static void run_example(example e, bool threads) {
  ln_conv_geometry *g = &e.g;
  g->groups = 1;
  g->kernel[1] = g->kernel[2] = 3;
  for (int i = 0; i < 3; i++) {
    g->stride[i] = g->dilation[i] = 1;
    g->out[i] = g->in[i] + 2 * g->padding[i] - g->kernel[i] + 1;
  }
  if (ln_conv_volume(g->out) < 1 || g->out[0] < 1 || g->out[1] < 1 || g->out[2] < 1) return;
  check(ln_wino_can(cpu, g, e.dir), &e, "can", 0);
  data x = data_of(&e);
  double *exact = plain(&e, &x, false);
  run_kernel(&e, &x);
  check(gaps_hold(x.out, &x.to, g->n), &e, "leaves what is between the images", 0);
  if (!e.relu && !e.mask && !e.bias) check_values(&e, &x, exact);
  check_stored(&e, &x, exact);
  if (e.moments || e.sums) check_sums(&e, &x, exact);
  if (threads) check_threads(&e, &x);
  ln_free(&mem, exact);
  free_data(&x);
}

/* -- which examples */

static void run_sizes(void) {
  const int64_t L = cpu->lanes;
  static const int64_t sizes[][3] = {{1, 1, 1}, {1, 3, 5}, {1, 4, 4}, {1, 2, 17}, {1, 8, 7}, {1, 13, 22}, {3, 5, 6}, {2, 2, 2}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (int64_t padding = 0; padding <= 2; padding++)
      for (int dir = 0; dir < 2; dir++) {
        example e = {.dir = dir ? LN_CONV_BACKWARD_DATA : LN_CONV_FORWARD, .gap = padding * 48};
        e.g.n = 1 + (int64_t)(i % 2), e.g.ci = L * (1 + (int64_t)(i + 1) % 3), e.g.co = L * (1 + (int64_t)(i + (size_t)padding) % 3);
        memcpy(e.g.in, sizes[i], sizeof e.g.in);
        e.g.padding[1] = padding, e.g.padding[2] = (padding + (int64_t)i) % 3;
        for (e.g.kernel[0] = 1; e.g.kernel[0] <= 3; e.g.kernel[0]++) {
          e.g.padding[0] = (padding + (int64_t)i) % e.g.kernel[0];
          run_example(e, padding == 1);
        }
      }
}

static void run_epilogues(void) {
  const int64_t L = cpu->lanes;
  for (int bits = 0; bits < 64; bits++) {
    example e = {.bias = bits & 1, .relu = bits & 2, .mask = bits & 4, .moments = bits & 8, .sums = bits & 16, .kept = bits & 32};
    if (e.relu && e.mask) continue;
    e.dir = bits % 3 ? LN_CONV_FORWARD : LN_CONV_BACKWARD_DATA;
    e.gap = bits % 5 * 16;
    e.shift = e.moments && bits % 2 ? 100 : 0;
    e.g = (ln_conv_geometry){.n = 2, .ci = 2 * L, .co = 3 * L, .in = {1, 9, 14}, .kernel = {1}, .padding = {0, 1, 1}};
    run_example(e, true);
  }
}

/* Enough tiles and channels for several groups, blocks of channels and partial sums, in both ways of winograd.c. */
static void run_layers(void) {
  static const int64_t layers[][4] = {{2, 72, 80, 40}, {1, 272, 16, 46}, {1, 136, 48, 16}, {1, 304, 304, 46}, {1, 16, 16, 150}};
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
    for (int dir = 0; dir < 2; dir++) {
      const int64_t *l = layers[i], L = cpu->lanes;
      example e = {.dir = dir ? LN_CONV_BACKWARD_DATA : LN_CONV_FORWARD, .moments = true, .sums = true, .kept = dir == 0, .skip = 96};
      e.g = (ln_conv_geometry){.n = l[0], .ci = (l[1] + L - 1) / L * L, .co = (l[2] + L - 1) / L * L, .in = {1, l[3], l[3]},
                               .kernel = {1}, .padding = {0, 1, 1}};
      run_example(e, true);
    }
}

/* What a value that is not finite reaches in a direct convolution it reaches here, and nothing beyond the
 * tiles around it. */
static void run_nonfinite(void) {
  const float values[] = {NAN, INFINITY, -INFINITY};
  for (int i = 0; i < 3; i++) {
    example e = {.relu = true, .dir = LN_CONV_FORWARD};
    e.g = (ln_conv_geometry){.n = 1, .groups = 1, .ci = cpu->lanes, .co = cpu->lanes, .in = {1, 20, 20}, .out = {1, 20, 20},
                             .kernel = {1, 3, 3}, .stride = {1, 1, 1}, .padding = {0, 1, 1}, .dilation = {1, 1, 1}};
    data x = data_of(&e);
    x.in[blocked(&x.from, 0, 3, 0, 9, 10)] = values[i];
    run_kernel(&e, &x);
    bool reached = true, far = true;
    for (int64_t c = 0; c < e.g.co; c++)
      for (int64_t h = 0; h < 20; h++)
        for (int64_t w = 0; w < 20; w++) {
          const float y = x.out[blocked(&x.to, 0, c, 0, h, w)];
          const bool touched = h >= 8 && h <= 10 && w >= 9 && w <= 11;
          if (touched && (i == 0 ? !isnan(y) : isfinite(y) && y != 0)) reached = false;
          if ((h < 4 || h > 15 || w < 5 || w > 16) && !isfinite(y)) far = false;
        }
    check(reached, &e, "what is not finite reaches its outputs", i);
    check(far, &e, "what is not finite stays where it is", i);
    free_data(&x);
  }
}

static void run_refusals(void) {
  const ln_conv_geometry good = {.n = 1, .groups = 1, .ci = 16, .co = 16, .in = {1, 8, 8}, .out = {1, 8, 8}, .kernel = {1, 3, 3},
                                 .stride = {1, 1, 1}, .padding = {0, 1, 1}, .dilation = {1, 1, 1}};
  example e = {.g = good};
  check(ln_wino_can(cpu, &e.g, LN_CONV_FORWARD), &e, "can", 0);
  check(!ln_wino_can(cpu, &e.g, LN_CONV_BACKWARD_WEIGHTS), &e, "refuses weight gradients", 0);
  const ln_conv_geometry bad[] = {{.groups = 2}, {.ci = 17}, {.co = 4}, {.kernel = {1, 3, 5}}, {.kernel = {1, 1, 3}},
                                  {.stride = {1, 2, 1}}, {.dilation = {1, 1, 2}}, {.padding = {0, 3, 1}}, {.padding = {1, 1, 1}}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    e.g = good;
    if (bad[i].groups) e.g.groups = 2;
    if (bad[i].ci) e.g.ci = bad[i].ci;
    if (bad[i].co) e.g.co = bad[i].co;
    if (bad[i].kernel[0]) memcpy(e.g.kernel, bad[i].kernel, sizeof e.g.kernel);
    if (bad[i].stride[0]) memcpy(e.g.stride, bad[i].stride, sizeof e.g.stride);
    if (bad[i].dilation[0]) memcpy(e.g.dilation, bad[i].dilation, sizeof e.g.dilation);
    if (bad[i].padding[1]) memcpy(e.g.padding, bad[i].padding, sizeof e.g.padding);
    check(!ln_wino_can(cpu, &e.g, LN_CONV_FORWARD), &e, "refuses", (double)i);
  }
}

int main(int argc, char **argv) {
  const bool small = argc > 1 && strcmp(argv[1], "small") == 0;
  bool wanted[ISAS];
  const ln_device_options options = {.threads = 1};
  isas_wanted(wanted);
  for (int i = 0; i < ISAS; i++) {
    if (!wanted[i]) continue;
    ln_error err;
    void *self;
    setenv("LUNETTE_ISA", isas[i], 1);
    const ln_code code = ln_cpu_backend()->open(&mem, &options, &self, &err);
    if (code == LN_ENODEV) {
      printf("skipped: no %s here\n", isas[i]);
      continue;
    }
    if (code != LN_OK) abort();
    cpu = self;
    run_refusals();
    run_sizes();
    run_epilogues();
    if (!small) run_layers();
    run_nonfinite();
    ln_cpu_backend()->close(self);
  }
  if (mem.live != 0) failed++, printf("FAILED: %zu bytes are still live\n", (size_t)mem.live);
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
