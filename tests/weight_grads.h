/* weight_grads.h: what the tests of weight gradients on the blocked layout share: memory, drawn images, one run with its workspace
 * watched, and each instruction set that this processor has in a child process of its own.
 */
#ifndef LUNETTE_TESTS_WEIGHT_GRADS_H
#define LUNETTE_TESTS_WEIGHT_GRADS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../nn/base/rng.h"
#include "../nn/cpu/conv/conv.h"
#include "isas.h"

static ln_mem mem;
static int passed, failed;

static void *fresh(size_t bytes) {
  void *block = ln_alloc(&mem, bytes);
  if (block == NULL) abort();
  memset(block, 0xff, bytes); /* NaN: nothing may rely on it */
  return block;
}

/* A workspace, and whether what lies behind its bytes was left alone. */
enum { WATCHED = 64 };
static unsigned char *watched_workspace(size_t bytes) { return fresh(bytes + WATCHED); }

static bool stayed_within(const unsigned char *workspace, size_t bytes) {
  bool untouched = true;
  for (int i = 0; i < WATCHED; i++) untouched = untouched && workspace[bytes + (size_t)i] == 0xff;
  return untouched;
}

/* Images of normal numbers, NaN in the gaps between them. */
static float *draw_images(int64_t n, int64_t size, int64_t image, uint64_t counter) {
  float *data = fresh(sizeof(float) * (size_t)(n * image));
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < size; j++) data[i * image + j] = ln_normal_at(3, counter, (uint64_t)(i * size + j));
  return data;
}

/* What the child does: run, on a device of one thread. Its status: 2 when the processor lacks the instruction set. */
static int run_isa(int isa, bool strict, void (*run)(const ln_cpu *cpu, int isa)) {
  const ln_backend *backend = ln_cpu_backend();
  const ln_device_options options = {.threads = 1, .strict = strict};
  ln_error err;
  void *self;
  setenv("LUNETTE_ISA", isas[isa], 1);
  if (backend->open(&mem, &options, &self, &err) != LN_OK) return 2;
  run(self, isa);
  backend->close(self);
  if (mem.live != 0) failed++, printf("FAILED: %zu bytes are still live\n", (size_t)mem.live);
  printf("%s: %d passed, %d failed\n", isas[isa], passed, failed);
  fflush(stdout);
  return failed != 0;
}

/* The status of main. */
static int run_isas(bool strict, void (*run)(const ln_cpu *cpu, int isa)) {
  bool wanted[ISAS];
  int total = 0, bad = 0;
  isas_wanted(wanted);
  for (int i = 0; i < ISAS; i++) {
    if (!wanted[i]) continue;
    fflush(stdout);
    const pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) _exit(run_isa(i, strict, run));
    int status;
    if (waitpid(child, &status, 0) != child) return 1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) continue; /* not on this processor */
    total++;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) bad++;
  }
  if (total == 0) bad++, printf("FAILED: no instruction set was opened\n");
  printf("%d passed, %d failed\n", total > bad ? total - bad : 0, bad);
  return bad != 0;
}

#endif
