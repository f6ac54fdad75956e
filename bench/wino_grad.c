/* wino_grad.c: weight gradients by Winograd alone, one thread's CPU time, best of several runs.
 *   wino_grad [ROUNDS] [CI CO SIZE BATCH]   without a shape: those of the standard nets
 * GFLOP counts are those of the direct convolution.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../nn/base/rng.h"
#include "../nn/cpu/kern.h"
#include "../nn/cpu/winograd.h"

static ln_mem mem;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *draw(int64_t n, uint64_t counter) {
  float *data = ln_alloc(&mem, sizeof(float) * (size_t)n);
  if (data == NULL) exit(1);
  for (int64_t i = 0; i < n; i++) data[i] = ln_uniform_at(1, counter, (uint64_t)i) - 0.5f;
  return data;
}

static void measure(const ln_cpu *cpu, const int64_t shape[4], int rounds) {
  const int64_t ci = shape[0], co = shape[1], size = shape[2], n = shape[3];
  const ln_conv_geometry g = {n, 1, ci, co, {1, size, size}, {1, size, size}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}};
  const ln_conv_images images = {ci * size * size, co * size * size};
  const size_t bytes = ln_wino_grad_workspace(cpu, &g);
  ln_conv_tensors t = {draw(n * images.src_image, 1), draw(co * ci * 9, 2), draw(n * images.dst_image, 3), NULL};
  void *workspace = ln_alloc(&mem, bytes);
  if (workspace == NULL) exit(1);
  double best = 1e9;
  for (int i = 0; i < rounds; i++) {
    const double begin = now();
    ln_wino_grad_run(cpu, &g, &t, &images, workspace);
    const double took = now() - begin;
    if (took < best) best = took;
  }
  const double flop = 18.0 * (double)(ci * co * size * size * n);
  printf("%5d -> %-5d @%-4d batch %d  %8.2f ms  %7.1f GFLOP/s  workspace %5.1f MB\n", (int)ci, (int)co, (int)size, (int)n,
         best * 1e3, flop / best * 1e-9, (double)bytes / 1e6);
  ln_free(&mem, workspace), ln_free(&mem, t.src), ln_free(&mem, t.weights), ln_free(&mem, t.dst);
}

int main(int argc, char **argv) {
  static const int64_t shapes[][4] = {{64, 64, 256, 2},  {128, 64, 256, 2}, {128, 128, 128, 2}, {256, 256, 64, 2},
                                      {512, 256, 64, 2}, {512, 512, 32, 2}, {1024, 512, 32, 2}, {1024, 1024, 16, 2},
                                      {32, 32, 256, 2},  {16, 16, 256, 2},  {16, 32, 128, 2},   {256, 256, 28, 2}};
  const int rounds = argc > 1 ? atoi(argv[1]) : 5;
  const ln_device_options options = {.threads = 1};
  ln_error err;
  void *self;
  if (ln_cpu_backend()->open(&mem, &options, &self, &err) != LN_OK) return 1;
  if (argc > 5) {
    const int64_t shape[4] = {atoll(argv[2]), atoll(argv[3]), atoll(argv[4]), atoll(argv[5])};
    measure(self, shape, rounds);
  } else {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) measure(self, shapes[i], rounds);
  }
  ln_cpu_backend()->close(self);
  return 0;
}
