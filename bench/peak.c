/* peak.c: the multiply-add peak of this machine in f32, beside which bench/ sets every figure.
 *
 *   peak [THREADS]        prints the instruction set, the number of threads and GFLOP/s
 *
 * Independent chains of fused multiply-adds in registers, in assembly: of intrinsics with constant
 * operands a compiler makes something else. Best of many short runs.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 1000000, TRIES = 12 };

typedef struct level {
  const char *name;
  void (*run)(long rounds);
  double flop; /* of one round */
} level;

#if defined(__x86_64__)

/* Chains 0 to last, all of one round; the factors lie in the two registers behind. */
#define CHAINS(reg, a, b, list)                                          \
  "vbroadcastss %1, %%" reg #a "\n\t"                                    \
  "vmovaps %%" reg #a ", %%" reg #b "\n\t"                               \
  ".irp r," list "\n\t vmovaps %%" reg #a ", %%" reg "\\r\n\t .endr\n\t" \
  "1:\n\t"                                                               \
  ".irp r," list "\n\t vfmadd231ps %%" reg #a ", %%" reg #b ", %%" reg "\\r\n\t .endr\n\t" \
  "dec %0\n\t"                                                           \
  "jnz 1b"

static const float half = 0.5F;

__attribute__((target("avx2,fma"))) static void run_avx2(long rounds) {
  __asm__ volatile(CHAINS("ymm", 14, 15, "0,1,2,3,4,5,6,7,8,9,10,11") : "+r"(rounds) : "m"(half)
                   : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                     "xmm14", "xmm15");
}

__attribute__((target("avx512f"))) static void run_avx512(long rounds) {
  __asm__ volatile(CHAINS("zmm", 30, 31, "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19") : "+r"(rounds) : "m"(half)
                   : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                     "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm30", "xmm31");
}

static const level *find_level(void) {
  static const level avx512 = { "avx512", run_avx512, 20 * 16 * 2 }, avx2 = { "avx2", run_avx2, 12 * 8 * 2 };
  if (__builtin_cpu_supports("avx512f")) return &avx512;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2 : NULL;
}

#else
static const level *find_level(void) { return NULL; }
#endif

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : omp_get_num_procs();
  const level *found = find_level();
  if (found == NULL || threads < 1) {
    fprintf(stderr, "peak: %s\n", threads < 1 ? "THREADS wants a number of at least 1" : "no fused multiply-add that is known here");
    return 1;
  }
  double best = 0;
  for (int i = 0; i < TRIES; i++) {
    double start = omp_get_wtime();
#pragma omp parallel num_threads(threads)
    found->run(ROUNDS);
    double rate = threads * found->flop * ROUNDS / (omp_get_wtime() - start) * 1e-9;
    if (rate > best) best = rate;
  }
  printf("%s %d %.1f\n", found->name, threads, best);
  return 0;
}
