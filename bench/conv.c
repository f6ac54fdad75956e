/* conv.c: effective GFLOP/s (of the direct convolution) of one thread, best of several runs in the thread's own CPU time: of
 * Winograd's kernels, or with `pairs` of products of pairs of bf16, or with `around` of what surrounds those, the products left
 * out: no multiplier, however fast, gets beyond that.
 *
 *   make build/bench/conv && OMP_NUM_THREADS=1 build/bench/conv [pairs|around] [ROUNDS [BATCH CI CO SIZE]...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../nn/base/rng.h"
#include "../nn/cpu/conv/conv_pairs.h"
#include "../nn/cpu/kern.h"
#include "../nn/cpu/conv/pairs.h"
#include "../nn/cpu/conv/winograd.h"

enum { PERIOD = 10007 }; /* drawing more would take longer than the convolutions */

static ln_mem mem;
static bool pairs;

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *normals(int64_t n) {
  float *x = ln_alloc(&mem, (size_t)n * sizeof *x);
  if (x == NULL) abort();
  for (int64_t i = 0; i < n; i++) x[i] = i < PERIOD ? ln_normal_at(2, 0, (uint64_t)i) : x[i - PERIOD];
  return x;
}

/* The same as bf16, in the same memory. */
static float *values(const ln_cpu *cpu, int64_t n) {
  float *x = normals(n);
  for (int64_t i = 0; i < n && pairs; i += PERIOD) {
    uint16_t part[PERIOD];
    const int64_t count = n - i < PERIOD ? n - i : PERIOD;
    cpu->spans->map->to_bf16(part, x + i, count);
    memcpy((uint16_t *)(void *)x + i, part, (size_t)count * sizeof *part);
  }
  return x;
}

static size_t workspace_of(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  if (pairs) return dir == LN_CONV_BACKWARD_WEIGHTS ? ln_pairs_grad_workspace(cpu, g) : ln_pairs_workspace(cpu, g, dir, false);
  return dir == LN_CONV_BACKWARD_WEIGHTS ? ln_wino_grad_workspace(cpu, g) : ln_wino_workspace(cpu, g, dir, false);
}

static bool can(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  if (pairs) return ln_pairs_can(cpu, g, &(ln_conv_sides){LN_BLOCKED, LN_BLOCKED, {.bf16 = true}});
  return dir == LN_CONV_BACKWARD_WEIGHTS ? ln_wino_grad_can(cpu, g) : ln_wino_can(cpu, g, dir);
}

static void run_winograd(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_tensors *t,
                         const ln_conv_images *images, const ln_epilogue *e, void *workspace) {
  if (dir == LN_CONV_BACKWARD_WEIGHTS) ln_wino_grad_run(cpu, g, t, images, workspace);
  else ln_wino_run(cpu, g, dir, t, images, e, NULL, false, workspace);
}

static void run_pairs(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_tensors *t,
                      const ln_conv_images *images, const ln_epilogue *e, void *workspace) {
  if (dir == LN_CONV_BACKWARD_WEIGHTS) {
    ln_pairs_grad_run(cpu, g, t, images, workspace);
    return;
  }
  const bool forward = dir == LN_CONV_FORWARD;
  const ln_arg y = {.meta = {.dtype = LN_BF16}, .layout = LN_BLOCKED, .image = forward ? images->dst_image : images->src_image};
  ln_finish f = ln_finish_of(cpu, g, dir, &y);
  ln_finish_cut(&f, ln_pairs_piece(cpu, g, dir));
  void *statistics = ln_alloc(&mem, ln_finish_workspace(&f, forward, !forward));
  if (statistics == NULL) abort();
  ln_finish_bind(&f, e, forward ? t->dst : t->src, statistics);
  ln_pairs_run(cpu, g, dir, t, images, &f, NULL, true, workspace);
  ln_finish_merge(&f);
  ln_free(&mem, statistics);
}

/* What a training step asks for: statistics forward, ReLU's mask and bias sums backward. */
static double best_of(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, int rounds, const ln_conv_tensors *t) {
  const bool forward = dir == LN_CONV_FORWARD;
  const ln_conv_images images = {g->ci * ln_conv_volume(g->in), g->co * ln_conv_volume(g->out), pairs};
  ln_moments *moments = ln_alloc(&mem, (size_t)(g->ci + g->co) * sizeof *moments);
  void *workspace = ln_alloc(&mem, workspace_of(cpu, g, dir));
  float *mask = values(cpu, g->n * images.src_image);
  if (moments == NULL || workspace == NULL) abort();
  const ln_epilogue epilogue = {.moments = forward ? moments : NULL, .sums = forward ? NULL : (double *)(void *)moments,
                                .mask = forward ? NULL : mask, .mask_image = images.src_image};
  double best = 1e9;
  for (int i = 0; i < rounds; i++) {
    const double start = seconds();
    (pairs ? run_pairs : run_winograd)(cpu, g, dir, t, &images, &epilogue, workspace);
    const double took = seconds() - start;
    if (took < best) best = took;
  }
  ln_free(&mem, moments);
  ln_free(&mem, workspace);
  ln_free(&mem, mask);
  return best;
}

static void measure(const ln_cpu *cpu, const int64_t shape[4], int rounds) {
  const int64_t size = shape[3];
  const ln_conv_geometry g = {.n = shape[0], .groups = 1, .ci = shape[1], .co = shape[2], .in = {1, size, size},
                              .out = {1, size, size}, .kernel = {1, 3, 3}, .stride = {1, 1, 1}, .padding = {0, 1, 1},
                              .dilation = {1, 1, 1}};
  const double flop = 2.0 * 9 * (double)(g.n * g.ci * g.co * size * size);
  ln_conv_tensors t = {.src = values(cpu, g.n * g.ci * size * size), .dst = values(cpu, g.n * g.co * size * size),
                       .weights = normals(g.co * g.ci * 9)};
  printf("%2d x %4d -> %4d @%-4d", (int)g.n, (int)g.ci, (int)g.co, (int)size);
  static const char *const names[] = {"forward", "data", "weights"};
  for (int dir = LN_CONV_FORWARD; dir <= LN_CONV_BACKWARD_WEIGHTS; dir++) {
    const ln_conv_dir which = (ln_conv_dir)dir;
    if (!can(cpu, &g, which)) {
      printf("  %s cannot", names[dir]);
      continue;
    }
    const double best = best_of(cpu, &g, which, rounds, &t);
    printf("  %s %7.2f ms %6.1f GFLOP/s %5.1f MB", names[dir], best * 1e3, flop / best * 1e-9,
           (double)workspace_of(cpu, &g, which) * 1e-6);
  }
  printf("\n");
  ln_free(&mem, t.src);
  ln_free(&mem, t.dst);
  ln_free(&mem, t.weights);
}

static void nothing(void) {}
static void no_product(const ln_pairs_product *p) { (void)p; }
static const ln_pairs no_pairs = {.begin = nothing, .end = nothing, .multiply = {{no_product, no_product}, {no_product, no_product}}};

int main(int argc, char **argv) {
  static const int64_t layers[][4] = {{2, 64, 64, 256},  {2, 128, 128, 128}, {2, 256, 256, 64},  {2, 512, 256, 64},
                                      {2, 512, 512, 32}, {2, 1024, 512, 32}, {2, 1024, 1024, 16}, {8, 1024, 1024, 16},
                                      {2, 128, 64, 256}, {2, 32, 32, 256},   {2, 16, 16, 256},    {2, 16, 32, 128}};
  const ln_device_options options = {.threads = 1};
  const bool around = argc > 1 && strcmp(argv[1], "around") == 0;
  pairs = around || (argc > 1 && strcmp(argv[1], "pairs") == 0);
  if (pairs) argc--, argv++;
  const int rounds = argc > 1 ? atoi(argv[1]) : 5;
  ln_error err;
  void *cpu;
  if (ln_cpu_backend()->open(&mem, &options, &cpu, &err) != LN_OK) {
    fprintf(stderr, "%s\n", err.text);
    return 1;
  }
  if (around) ((ln_cpu *)cpu)->pairs = &no_pairs;
  if (argc > 5)
    for (int i = 2; i + 3 < argc; i += 4)
      measure(cpu, (int64_t[]){atoi(argv[i]), atoi(argv[i + 1]), atoi(argv[i + 2]), atoi(argv[i + 3])}, rounds);
  else
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) measure(cpu, layers[i], rounds);
  ln_cpu_backend()->close(cpu);
  return 0;
}
