/* conv_methods.c: the methods of blocked convolutions beside each other: CPU time of one thread, best of several.
 *
 *   make build/bench/conv_methods && OMP_NUM_THREADS=1 build/bench/conv_methods [CI CO SIZE KERNEL STRIDE [BATCH]]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../nn/cpu/conv/conv_direct.h"
#include "../nn/cpu/conv/conv_products.h"
#include "../nn/cpu/conv/conv_rows.h"
#include "../nn/cpu/conv/conv_thin.h"
#include "../nn/cpu/conv/conv_tiles.h"
#include "../nn/cpu/conv/winograd.h"

static ln_mem mem;
static ln_cpu *cpu;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct work {
  ln_conv_geometry g;
  ln_conv_dir dir;
  ln_conv_sides sides;
  ln_conv_tensors t;
  void *workspace;
  ln_conv_direct direct;
} work;

static void *fresh(size_t bytes) {
  void *p = ln_alloc(&mem, bytes + 64);
  if (p == NULL) abort();
  memset(p, 0, bytes);
  return p;
}

static float *filled(int64_t n) {
  float *p = fresh((size_t)n * sizeof *p);
  for (int64_t i = 0; i < n; i++) p[i] = (float)(i * 7919 % 1009) / 1009.0f - 0.5f;
  return p;
}

static void direct(const work *w) { ln_conv_direct_run(cpu, &w->direct, &w->t, NULL, w->workspace); }
static void products(const work *w) { ln_conv_products_run(cpu, &w->g, w->dir, &w->sides, &w->t, w->workspace); }
static void tiles(const work *w) {
  if (w->dir == LN_CONV_BACKWARD_WEIGHTS) ln_tiles_grad_run(cpu, &w->g, &w->sides, &w->t, w->workspace);
  else ln_tiles_run(cpu, &w->g, w->dir, &w->sides, &w->t, NULL, w->workspace);
}

static void thin(const work *w) {
  ln_thin v = ln_thin_of(cpu, &w->g, w->dir, &w->sides);
  ln_thin_run(cpu, &v, &w->t, NULL, w->workspace);
}

static void rows(const work *w) { ln_rows_run(cpu, &w->g, &w->sides, &w->t, w->workspace); }
static void winograd(const work *w) {
  if (w->dir == LN_CONV_BACKWARD_WEIGHTS) ln_wino_grad_run(cpu, &w->g, &w->t, &w->sides.images, w->workspace);
  else ln_wino_run(cpu, &w->g, w->dir, &w->t, &w->sides.images, NULL, NULL, true, w->workspace);
}

static double time_of(void (*run)(const work *), const work *w) {
  double best = 1e9, spent = 0;
  for (int i = 0; i < 3 || (spent < 0.15 && i < 60); i++) {
    double t = now();
    run(w);
    t = now() - t;
    spent += t;
    if (t < best) best = t;
  }
  return best;
}

static void report(const char *name, void (*run)(const work *), work *w, size_t bytes) {
  w->workspace = fresh(bytes);
  double t = time_of(run, w);
  const ln_conv_geometry *g = &w->g;
  double flop = 2.0 * (double)(g->n * g->ci * g->co * ln_conv_volume(g->kernel) * ln_conv_volume(g->out));
  double moved = 4.0 * (double)(g->n * (g->ci * ln_conv_volume(g->in) + g->co * ln_conv_volume(g->out)));
  printf("  %s %.2f ms %.0f GFLOP/s %.1f GB/s", name, t * 1e3, flop / t * 1e-9, moved / t * 1e-9);
  ln_free(&mem, w->workspace);
}

static void bench(int64_t n, int64_t ci, int64_t co, int64_t size, int64_t kernel, int64_t stride) {
  static const char *const names[] = {"forward", "data", "weights"};
  for (int dir = 0; dir < 3; dir++) {
    work w = {.dir = (ln_conv_dir)dir};
    int64_t pad = stride == kernel ? 0 : kernel / 2, out = (size + 2 * pad - kernel) / stride + 1;
    w.g = (ln_conv_geometry){.n = n, .groups = 1, .ci = ci, .co = co, .in = {1, size, size}, .out = {1, out, out},
                             .kernel = {1, kernel, kernel}, .stride = {1, stride, stride}, .padding = {0, pad, pad},
                             .dilation = {1, 1, 1}};
    ln_conv_geometry *g = &w.g;
    w.sides = (ln_conv_sides){ci % cpu->lanes ? LN_PLAIN : LN_BLOCKED, co % cpu->lanes ? LN_PLAIN : LN_BLOCKED,
                              {.src_image = ci * size * size, .dst_image = co * out * out}};
    w.t = (ln_conv_tensors){.src = filled(n * ci * size * size), .weights = filled(co * ci * kernel * kernel),
                            .dst = filled(n * co * out * out)};
    printf("%4d ->%4d @%3d k%d s%d %-8s", (int)ci, (int)co, (int)size, (int)kernel, (int)stride, names[dir]);
    ln_error err;
    ln_code code = ln_conv_direct_new(cpu, g, w.dir, &w.sides, false, false, &w.direct, &err);
    if (code == LN_OK && w.direct.dnnl != NULL)
      report(ln_dnnl_conv_reorders(w.direct.dnnl) ? "direct*" : "direct", direct, &w, ln_conv_direct_workspace(&w.direct));
    if (ln_tiles_can(cpu, g, &w.sides))
      report("tiles", tiles, &w, dir == 2 ? ln_tiles_grad_workspace(cpu, g) : ln_tiles_workspace(cpu, g, w.dir, false));
    if (ln_thin_can(cpu, g, w.dir, &w.sides)) {
      ln_thin v = ln_thin_of(cpu, g, w.dir, &w.sides);
      report("thin", thin, &w, ln_thin_workspace(&v, false));
    }
    if (dir == 2 && ln_rows_can(cpu, g, &w.sides)) report("rows", rows, &w, ln_rows_workspace(cpu, g));
    if (dir == 2 && ln_wino_grad_can(cpu, g) && w.sides.src == LN_BLOCKED)
      report("winograd", winograd, &w, ln_wino_grad_workspace(cpu, g));
    if (dir < 2 && ln_wino_can(cpu, g, w.dir)) report("winograd", winograd, &w, ln_wino_workspace(cpu, g, w.dir, false));
    report("products", products, &w, ln_conv_products_workspace(cpu, g, w.dir, &w.sides));
    printf("\n");
    fflush(stdout);
    ln_conv_direct_free(&w.direct);
    ln_free(&mem, w.t.src), ln_free(&mem, w.t.weights), ln_free(&mem, w.t.dst);
  }
}

/* Without arguments: the shapes that conv_choice.c rests on. */
int main(int argc, char **argv) {
  ln_device_options options = {.threads = 1};
  ln_error err;
  void *self;
  if (ln_cpu_backend()->open(&mem, &options, &self, &err) != LN_OK) return printf("%s\n", err.text), 1;
  cpu = self;
  static const int shapes[][5] = {{64, 128, 256, 2, 2}, {128, 256, 128, 2, 2}, {256, 512, 64, 2, 2}, {512, 1024, 32, 2, 2},
                                  {64, 64, 128, 1, 1}, {256, 128, 64, 1, 1}, {512, 512, 32, 1, 1}, {8, 8, 128, 3, 1},
                                  {16, 16, 128, 3, 1}, {16, 32, 128, 3, 1}, {32, 32, 128, 3, 1}, {64, 64, 128, 3, 1},
                                  {64, 64, 8, 3, 1}, {128, 128, 64, 3, 1}, {256, 256, 32, 3, 1}, {512, 512, 16, 3, 1},
                                  {512, 512, 4, 3, 1}, {1024, 1024, 16, 3, 1}, {1, 64, 256, 3, 1}, {3, 64, 256, 3, 1},
                                  {4, 32, 256, 3, 1}, {1, 16, 256, 5, 1}, {64, 1, 256, 1, 1}, {64, 4, 256, 1, 1},
                                  {32, 1, 256, 3, 1}, {5, 32, 128, 3, 1}, {20, 32, 128, 3, 1}, {32, 7, 128, 3, 1}};
  int given[5] = {0};
  for (int i = 0; i < 5 && i + 1 < argc; i++) given[i] = atoi(argv[i + 1]);
  for (size_t i = 0; i < (argc > 5 ? 1 : sizeof shapes / sizeof *shapes); i++) {
    const int *s = argc > 5 ? given : shapes[i];
    bench(argc > 6 ? atoi(argv[6]) : 2, s[0], s[1], s[2], s[3], s[4]);
  }
  ln_cpu_backend()->close(self);
  return 0;
}
