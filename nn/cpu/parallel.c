/* parallel.c: the one place where the memory-bound kernels start threads (see cpu.h). */
#include "cpu.h"

void ln_cpu_for(const ln_cpu *cpu, int64_t n, int64_t block, int64_t cost, ln_cpu_body body, void *arg) {
  if (n <= 0) return;
  const int64_t blocks = (n + block - 1) / block;
  int threads = cpu->threads;
  if (n * cost < LN_CPU_SERIAL) threads = 1;
  if (threads > blocks) threads = (int)blocks;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
  for (int64_t i = 0; i < blocks; i++) {
    const int64_t begin = i * block, end = begin + block < n ? begin + block : n;
    body(arg, begin, end);
  }
}
