/* cpu_bits_test.c: the CPU's memory-bound kernels give the same bits for any number of threads
 * and on every instruction set that this processor has. Each combination runs in a child
 * process of its own, as libraries choose their kernels once a process, and reports
 * one hash an op.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../nn/backend.h"
#include "../nn/base/rng.h"
#include "isas.h"

enum { CASES = 16, IN = 4 };

typedef struct test_case {
  ln_op op;
  ln_meta in[IN]; /* dtype LN_NONE ends the list */
  int dim;
  int64_t size[2];
} test_case;

#define F32(rank, ...) {LN_F32, rank, {__VA_ARGS__}}
/* Sizes are odd, and large enough that two threads and several blocks take part. */
static const test_case cases[CASES] = {
    {LN_OP_exp, {F32(2, 301, 257)}, 0, {0}},
    {LN_OP_log1p, {F32(2, 301, 257)}, 0, {0}},
    {LN_OP_tanh, {F32(2, 301, 257)}, 0, {0}},
    {LN_OP_add, {F32(4, 2, 7, 65, 67), F32(4, 1, 7, 1, 1)}, 0, {0}},
    {LN_OP_bce_with_logits, {F32(2, 301, 257), F32(2, 301, 257)}, 0, {0}},
    {LN_OP_sum, {F32(2, 301, 1001)}, 0, {0}},
    {LN_OP_mean, {F32(4, 2, 7, 129, 67)}, 0, {0}},
    {LN_OP_softmax, {F32(3, 5, 9, 3001)}, 1, {0}},
    {LN_OP_log_softmax, {F32(2, 501, 257)}, 1, {0}},
    {LN_OP_batch_norm, {F32(4, 3, 5, 129, 131)}, 0, {0}},
    {LN_OP_row_norm, {F32(2, 65, 1025)}, 0, {0}},
    {LN_OP_dropout, {F32(2, 301, 257)}, 0, {0}},
    {LN_OP_max_pool, {F32(4, 3, 5, 67, 131)}, 0, {0}},
    {LN_OP_interpolate, {F32(4, 3, 5, 33, 65)}, 0, {71, 129}},
    {LN_OP_interpolate_grad, {F32(4, 3, 5, 71, 129)}, 0, {33, 65}},
    {LN_OP_adam_step, {F32(1, 70001), F32(1, 70001), F32(1, 70001), F32(1, 70001)}, 0, {0}},
};

static void fill(ln_arg *arg, uint64_t counter) {
  float *x = arg->data;
  for (int64_t i = 0; i < arg->numel; i++) x[i] = ln_normal_at(7, counter, (uint64_t)i);
}

static uint64_t hash(uint64_t h, const ln_arg *arg) {
  const unsigned char *bytes = arg->data;
  for (size_t i = 0; i < ln_nbytes(&arg->meta); i++) h = (h ^ bytes[i]) * 1099511628211u;
  return h;
}

static void set_attrs(const test_case *c, ln_attrs *a, ln_scalars *s) {
  ln_attrs_default(a, s);
  a->dim = c->dim;
  if (c->op == LN_OP_mean) a->ndims = 3, a->dims[0] = 0, a->dims[1] = 2, a->dims[2] = 3;
  if (c->op == LN_OP_max_pool)
    for (int d = 0; d < 2; d++) a->kernel[d] = a->stride[d] = 2;
  if (c->size[0] > 0) a->nsize = 2, a->size[0] = c->size[0], a->size[1] = c->size[1];
  if (c->size[0] > 0) a->mode = LN_MODE_LINEAR;
  s->seed = 42, s->counter = 9, s->bias1 = 0.1, s->bias2 = 0.001;
}

/* Fails the child, and so the test, on any error. */
static void must(ln_code code, const ln_error *err) {
  if (code == LN_OK) return;
  fprintf(stderr, "%s\n", err->text);
  exit(1);
}

static ln_arg argument(ln_mem *mem, const ln_meta *meta) {
  ln_arg arg = {.meta = *meta};
  if (meta->dtype == LN_NONE) return arg;
  arg.numel = ln_numel(meta);
  arg.data = ln_alloc(mem, ln_nbytes(meta));
  return arg;
}

static uint64_t run_case(const ln_backend *cpu, void *self, ln_mem *mem, const test_case *c) {
  ln_attrs attrs;
  ln_scalars scalars;
  ln_error err;
  ln_meta meta[LN_MAX_OUTPUTS];
  ln_arg in[IN], out[LN_MAX_OUTPUTS];
  const ln_op_info *info = ln_op_info_get(c->op);
  set_attrs(c, &attrs, &scalars);
  must(ln_op_get(c->op)->shape(c->in, info->nin, &attrs, meta, &err), &err);
  for (int i = 0; i < IN; i++) in[i] = argument(mem, &c->in[i]), fill(&in[i], (uint64_t)i);
  for (int i = 0; i < info->nout; i++) out[i] = argument(mem, &meta[i]);
  if (c->op == LN_OP_adam_step)
    for (int64_t i = 0; i < in[3].numel; i++) ((float *)in[3].data)[i] *= ((float *)in[3].data)[i];
  ln_call call = {.op = c->op, .nin = info->nin, .nout = info->nout, .in = in, .out = out,
                  .attrs = &attrs, .scalars = &scalars, .err = &err};
  must(cpu->prepare(self, &call), &err);
  call.workspace = ln_alloc(mem, call.workspace_bytes);
  must(cpu->run(self, &call), &err);
  uint64_t h = 1469598103934665603u;
  for (int i = 0; i < info->nout; i++) h = hash(h, &out[i]);
  for (int i = 0; i < IN; i++)
    if (in[i].data) h = hash(h, &in[i]);
  cpu->release(self, &call);
  ln_free(mem, call.workspace);
  for (int i = 0; i < IN; i++) ln_free(mem, in[i].data);
  for (int i = 0; i < info->nout; i++) ln_free(mem, out[i].data);
  return h;
}

static void child(int to, const char *isa, int threads) {
  static ln_mem mem;
  const ln_backend *cpu = ln_cpu_backend();
  const ln_device_options options = {.threads = threads};
  void *self = NULL;
  ln_error err;
  uint64_t hashes[CASES];
  setenv("LUNETTE_ISA", isa, 1);
  if (cpu->open(&mem, &options, &self, &err) != LN_OK) exit(2); /* the processor lacks it */
  for (int i = 0; i < CASES; i++) hashes[i] = run_case(cpu, self, &mem, &cases[i]);
  cpu->close(self);
  exit(write(to, hashes, sizeof hashes) == sizeof hashes && mem.live == 0 ? 0 : 1);
}

/* The child's status: 0 with hashes filled, 2 when the instruction set is not there. */
static int combination(const char *isa, int threads, uint64_t hashes[CASES]) {
  int ends[2], status;
  if (pipe(ends) != 0) return 1;
  const pid_t pid = fork();
  if (pid == 0) child(ends[1], isa, threads);
  close(ends[1]);
  const ssize_t got = read(ends[0], hashes, sizeof(uint64_t) * CASES);
  close(ends[0]);
  if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return 1;
  if (WEXITSTATUS(status) == 0 && got != (ssize_t)(sizeof(uint64_t) * CASES)) return 1;
  return WEXITSTATUS(status);
}

static int passed, failed;

static void report(bool ok, const char *what, const char *isa, int threads) {
  if (ok) passed++;
  else failed++, printf("FAILED %s: %s on %d threads differs from generic on one\n", what, isa, threads);
}

int main(void) {
  bool wanted[ISAS];
  uint64_t expected[CASES], hashes[CASES];
  int skipped = 0;
  isas_wanted(wanted);
  if (combination("generic", 1, expected) != 0) return printf("0 passed, 1 failed\n"), 1;
  for (int i = 0; i < ISAS; i++) {
    if (!wanted[i]) continue;
    for (int threads = 1; threads <= 3; threads++) {
      if (i == 0 && threads == 1) continue; /* what the others are compared with */
      const int status = combination(isas[i], threads, hashes);
      if (status == 2) skipped++;
      else if (status != 0) report(false, "a run", isas[i], threads);
      else
        for (int k = 0; k < CASES; k++)
          report(hashes[k] == expected[k], ln_op_get(cases[k].op)->name, isas[i], threads);
    }
  }
  printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed > 0;
}
