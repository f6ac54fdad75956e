/* conv_direct_test.c: direct weight gradients of our own (nn/cpu/conv/conv_rows.c) beside plain loops in double precision: kernels
 * of 1 to 10 in 1 to 3 dims, maps smaller than their kernel, paddings from none to more than the kernel, rows and batches
 * of one and of several chunks, images that are slices of larger ones, few and many pairs of channel blocks; the same bits
 * from run to run and for one, two, three and five threads; what is refused, and that strict and large kernels choose it.
 * Each instruction set that this processor has runs in a child process of its own.
 */
#include <math.h>

#include "../nn/cpu/conv/conv_choice.h"
#include "../nn/cpu/conv/conv_rows.h"
#include "weight_grads.h"

typedef struct test_case {
  int64_t n, ci, co; /* channels in lanes */
  int64_t in[LN_SPATIAL], kernel[LN_SPATIAL], padding[LN_SPATIAL];
  int64_t gap; /* lanes between images */
} test_case;

static const test_case cases[] = {
    {1, 1, 1, {1, 1, 1}, {1, 3, 3}, {0, 1, 1}, 0},    {1, 1, 2, {1, 2, 1}, {1, 5, 5}, {0, 2, 2}, 0},
    {1, 2, 1, {1, 3, 2}, {1, 7, 7}, {0, 3, 3}, 3},    {2, 1, 1, {1, 5, 4}, {1, 3, 3}, {0, 0, 0}, 1},
    {1, 3, 2, {1, 8, 8}, {1, 3, 3}, {0, 1, 1}, 0},    {3, 2, 3, {1, 13, 17}, {1, 3, 3}, {0, 1, 1}, 3},
    {2, 1, 2, {1, 9, 7}, {1, 3, 3}, {0, 2, 2}, 0},    {1, 1, 1, {1, 4, 3}, {1, 2, 2}, {0, 4, 5}, 0},
    {2, 2, 2, {1, 21, 19}, {1, 5, 5}, {0, 2, 2}, 0},  {1, 2, 1, {1, 16, 33}, {1, 7, 7}, {0, 3, 3}, 2},
    {2, 1, 3, {1, 10, 11}, {1, 4, 4}, {0, 2, 1}, 0},  {2, 2, 1, {1, 12, 9}, {1, 2, 2}, {0, 0, 1}, 5},
    {3, 2, 2, {1, 7, 9}, {1, 1, 1}, {0, 0, 0}, 1},    {1, 2, 2, {1, 6, 40}, {1, 3, 1}, {0, 1, 0}, 0},
    {1, 2, 2, {1, 40, 6}, {1, 1, 10}, {0, 0, 4}, 0},  {2, 1, 2, {1, 1, 2100}, {1, 1, 3}, {0, 0, 1}, 2},
    {1, 2, 1, {1, 1, 300}, {1, 1, 8}, {0, 0, 7}, 0},  {1, 1, 2, {1, 5, 1260}, {1, 3, 5}, {0, 1, 1}, 0},
    {2, 1, 1, {1, 70, 129}, {1, 5, 3}, {0, 2, 1}, 4}, {1, 2, 1, {5, 6, 7}, {3, 3, 3}, {1, 1, 1}, 0},
    {2, 1, 2, {2, 3, 4}, {3, 5, 2}, {1, 2, 1}, 3},    {3, 1, 1, {6, 14, 22}, {3, 3, 3}, {1, 1, 1}, 2},
    {2, 1, 1, {3, 9, 8}, {2, 1, 3}, {0, 0, 1}, 0},    {40, 1, 1, {1, 4, 4}, {1, 3, 3}, {0, 1, 1}, 1},
    {2, 7, 9, {1, 16, 16}, {1, 3, 3}, {0, 1, 1}, 0},  {1, 17, 5, {1, 6, 5}, {1, 5, 5}, {0, 2, 2}, 0},
};

static void check(bool good, const test_case *c, const char *what, double figure) {
  if (good) {
    passed++;
    return;
  }
  failed++;
  printf("FAILED %s (%g): n %d ci %d co %d in %d %d %d kernel %d %d %d padding %d %d %d gap %d\n", what, figure, (int)c->n,
         (int)c->ci, (int)c->co, (int)c->in[0], (int)c->in[1], (int)c->in[2], (int)c->kernel[0], (int)c->kernel[1],
         (int)c->kernel[2], (int)c->padding[0], (int)c->padding[1], (int)c->padding[2], (int)c->gap);
}

static ln_conv_geometry geometry_of(const test_case *c, int64_t lanes) {
  ln_conv_geometry g = {.n = c->n, .groups = 1, .ci = c->ci * lanes, .co = c->co * lanes};
  for (int i = 0; i < LN_SPATIAL; i++) {
    g.in[i] = c->in[i], g.kernel[i] = c->kernel[i], g.padding[i] = c->padding[i], g.stride[i] = g.dilation[i] = 1;
    g.out[i] = g.in[i] + 2 * g.padding[i] - g.kernel[i] + 1;
  }
  return g;
}

/* -- one geometry: blocked sides, and both once more in plain doubles */

typedef struct example {
  const test_case *c;
  ln_conv_geometry g;
  int64_t lanes;
  ln_conv_sides sides;
  float *src, *dst;
  double *exact[2]; /* src, dst */
} example;

/* [n][channel][position] of blocked images. */
static double *plain_of(const float *data, int64_t n, int64_t channels, int64_t positions, int64_t image, int64_t lanes) {
  double *plain = fresh(sizeof(double) * (size_t)(n * channels * positions));
  for (int64_t i = 0, k = 0; i < n; i++)
    for (int64_t c = 0; c < channels; c++)
      for (int64_t p = 0; p < positions; p++, k++) plain[k] = data[i * image + (c / lanes * positions + p) * lanes + c % lanes];
  return plain;
}

static example example_of(const ln_cpu *cpu, const test_case *c) {
  example e = {.c = c, .g = geometry_of(c, cpu->lanes), .lanes = cpu->lanes};
  const ln_conv_geometry *g = &e.g;
  const int64_t in = ln_conv_volume(g->in), out = ln_conv_volume(g->out), gap = c->gap * cpu->lanes;
  e.sides = (ln_conv_sides){LN_BLOCKED, LN_BLOCKED, {.src_image = g->ci * in + gap, .dst_image = g->co * out + gap}};
  e.src = draw_images(g->n, g->ci * in, e.sides.images.src_image, 1);
  e.dst = draw_images(g->n, g->co * out, e.sides.images.dst_image, 2);
  e.exact[0] = plain_of(e.src, g->n, g->ci, in, e.sides.images.src_image, e.lanes);
  e.exact[1] = plain_of(e.dst, g->n, g->co, out, e.sides.images.dst_image, e.lanes);
  return e;
}

static void release(example *e) {
  ln_free(&mem, e->src), ln_free(&mem, e->dst);
  ln_free(&mem, e->exact[0]), ln_free(&mem, e->exact[1]);
}

/* The sum over a row of outputs of src at one tap times dst. */
static double row_sum(const ln_conv_geometry *g, const double *src, const double *dst, int64_t tap) {
  double sum = 0;
  for (int64_t w = 0; w < g->out[2]; w++) {
    const int64_t x = w + tap - g->padding[2];
    if (x >= 0 && x < g->in[2]) sum += src[x] * dst[w];
  }
  return sum;
}

static double exact_weight(const example *e, int64_t co, int64_t ci, int64_t tap) {
  const ln_conv_geometry *g = &e->g;
  const int64_t *k = g->kernel, deep = tap / k[2] / k[1] - g->padding[0], down = tap / k[2] % k[1] - g->padding[1];
  double sum = 0;
  for (int64_t n = 0; n < g->n; n++)
    for (int64_t d = 0; d < g->out[0]; d++)
      for (int64_t h = 0; h < g->out[1]; h++) {
        const int64_t z = d + deep, y = h + down;
        if (z < 0 || z >= g->in[0] || y < 0 || y >= g->in[1]) continue;
        sum += row_sum(g, e->exact[0] + (((n * g->ci + ci) * g->in[0] + z) * g->in[1] + y) * g->in[2],
                       e->exact[1] + (((n * g->co + co) * g->out[0] + d) * g->out[1] + h) * g->out[2], tap % k[2]);
      }
  return sum;
}

static void run_with(ln_cpu cpu, int threads, bool deterministic, const example *e, float *weights) {
  cpu.threads = threads, cpu.deterministic = deterministic;
  const size_t bytes = ln_rows_workspace(&cpu, &e->g);
  unsigned char *workspace = watched_workspace(bytes);
  const ln_conv_tensors t = {.src = e->src, .dst = e->dst, .weights = weights};
  ln_rows_run(&cpu, &e->g, &e->sides, &t, workspace);
  check(stayed_within(workspace, bytes), e->c, "stays in its workspace", threads);
  ln_free(&mem, workspace);
}

static void run_weights(const ln_cpu *cpu, const example *e) {
  const ln_conv_geometry *g = &e->g;
  const int64_t taps = ln_conv_volume(g->kernel), count = g->co * g->ci * taps;
  const size_t bytes = sizeof(float) * (size_t)count;
  float *first = fresh(bytes), *other = fresh(bytes);
  run_with(*cpu, 1, false, e, first);
  double norm = 0, error = 0;
  for (int64_t i = 0; i < count; i++) {
    const double exact = exact_weight(e, i / taps / g->ci, i / taps % g->ci, i % taps);
    norm += exact * exact, error += ((double)first[i] - exact) * ((double)first[i] - exact);
  }
  error = sqrt(norm > 0 ? error / norm : error);
  check(error < 8e-7, e->c, "equals the reference", error);
  static const struct { int threads; bool deterministic; } runs[] = {{1, true}, {2, true}, {3, true}, {5, false}};
  for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
    memset(other, 0xff, bytes);
    run_with(*cpu, runs[i].threads, runs[i].deterministic, e, other);
    check(memcmp(first, other, bytes) == 0, e->c, "has the same bits for any thread count", runs[i].threads);
  }
  ln_free(&mem, first), ln_free(&mem, other);
}

static void run_refusals(const ln_cpu *cpu) {
  const test_case *c = &cases[4];
  const ln_conv_geometry good = geometry_of(c, cpu->lanes);
  const ln_conv_sides blocked = {.src = LN_BLOCKED, .dst = LN_BLOCKED};
  check(ln_rows_can(cpu, &good, &blocked), c, "is accepted", 0);
  for (int i = 0; i < 7; i++) {
    ln_conv_geometry g = good;
    ln_conv_sides sides = blocked;
    switch (i) {
      case 0: g.stride[2] = 2; break;
      case 1: g.dilation[1] = 2; break;
      case 2: g.groups = 2; break;
      case 3: g.ci += 1; break;
      case 4: g.co -= 1; break;
      case 5: sides.src = LN_PLAIN; break;
      default: sides.dst = LN_PLAIN; break;
    }
    check(!ln_rows_can(cpu, &g, &sides), c, "refuses another geometry", i);
  }
}

/* Strict: whatever Winograd would take; f32: what it does not take. On AVX-512 oneDNN is as fast. */
static void run_choice(ln_cpu cpu) {
  const test_case *c = &cases[8];
  const bool ours = cpu.isa < LN_ISA_AVX512;
  const ln_conv_sides sides = {.src = LN_BLOCKED, .dst = LN_BLOCKED};
  const ln_conv_geometry five = geometry_of(c, cpu.lanes), three = geometry_of(&cases[4], cpu.lanes);
  for (int strict = 0; strict < 2; strict++) {
    cpu.strict = strict;
    const bool rows5 = ln_conv_choose(&cpu, &five, LN_CONV_BACKWARD_WEIGHTS, &sides) == LN_CONV_ROWS;
    const bool rows3 = ln_conv_choose(&cpu, &three, LN_CONV_BACKWARD_WEIGHTS, &sides) == LN_CONV_ROWS;
    check(rows5 == ours, c, "is chosen for 5x5", strict);
    check(rows3 == (ours && strict), &cases[4], "is chosen for 3x3 under strict alone", strict);
    check(ln_conv_choose(&cpu, &five, LN_CONV_FORWARD, &sides) != LN_CONV_ROWS, c, "is for weights alone", strict);
  }
}

static void run_all(const ln_cpu *cpu, int isa) {
  (void)isa;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    example e = example_of(cpu, &cases[i]);
    check(ln_rows_can(cpu, &e.g, &e.sides), e.c, "is accepted", 0);
    run_weights(cpu, &e);
    release(&e);
  }
  run_refusals(cpu);
  run_choice(*cpu);
}

int main(void) { return run_isas(true, run_all); }
