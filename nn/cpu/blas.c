/* blas.c: loading OpenBLAS with the right kernels, and one matrix product in one thread. */
#include <dlfcn.h>
#include <limits.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "libraries.h"

/* The kernels to ask for, NULL to let OpenBLAS choose. OpenBLAS 0.3.21 takes Haswell
 * kernels on AMD chips with AVX-512, so those are named; a lowered instruction set is
 * named too. A user's own OPENBLAS_CORETYPE wins over all of it. */
static const char *core_type(ln_isa isa) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
#ifdef LN_WIDE
  if (isa == LN_ISA_AVX512 && !__builtin_cpu_supports("avx512f")) isa = LN_ISA_AVX2;
#endif
  if (isa == LN_ISA_GENERIC) return "Prescott";
  if (isa == LN_ISA_AVX2 || !__builtin_cpu_supports("avx512f")) return "Haswell"; /* a WIDE build may have no AVX-512 */
  return __builtin_cpu_supports("avx512bf16") ? "Cooperlake" : "SkylakeX";
#else
  (void)isa;
  return NULL;
#endif
}

/* dlopen with name=value in the environment, which is put back as it was: child processes
 * shall not inherit our choice. */
static void *load_with(const char *core) {
  const char *user = getenv("OPENBLAS_NUM_THREADS");
  char threads[16] = "";
  if (user != NULL) strncpy(threads, user, sizeof threads - 1);
  bool name_core = core != NULL && getenv("OPENBLAS_CORETYPE") == NULL;

  setenv("OPENBLAS_NUM_THREADS", "1", 1); /* so that the pthread build starts no pool */
  if (name_core) setenv("OPENBLAS_CORETYPE", core, 1);
  void *handle = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (name_core) unsetenv("OPENBLAS_CORETYPE");
  if (user != NULL) setenv("OPENBLAS_NUM_THREADS", threads, 1);
  else unsetenv("OPENBLAS_NUM_THREADS");
  return handle;
}

ln_code ln_blas_open(ln_blas *blas, ln_isa isa, ln_error *err) {
  *blas = (ln_blas){0};
  blas->handle = load_with(core_type(isa));
  if (blas->handle == NULL) {
    const char *why = dlerror();
    return ln_fail(err, LN_ENODEV, "cpu: OpenBLAS cannot be loaded: %s", why ? why : "unknown reason");
  }
  __typeof__(openblas_set_num_threads) *set_threads;
  *(void **)&blas->sgemm = dlsym(blas->handle, "cblas_sgemm");
  *(void **)&blas->sgemv = dlsym(blas->handle, "cblas_sgemv");
  *(void **)&blas->config = dlsym(blas->handle, "openblas_get_config");
  *(void **)&blas->corename = dlsym(blas->handle, "openblas_get_corename");
  *(void **)&set_threads = dlsym(blas->handle, "openblas_set_num_threads");
  if (!blas->sgemm || !blas->sgemv || !blas->config || !blas->corename || !set_threads) {
    ln_blas_close(blas);
    return ln_fail(err, LN_ENODEV, "cpu: libopenblas.so.0 lacks a function; is it OpenBLAS?");
  }
  set_threads(1); /* in case it was loaded before us */
  return LN_OK;
}

void ln_blas_close(ln_blas *blas) {
  if (blas->handle != NULL) dlclose(blas->handle);
  *blas = (ln_blas){0};
}

int ln_blas_enter(void) {
  int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  return threads;
}

void ln_blas_leave(int threads) { omp_set_num_threads(threads); }

void ln_blas_product(const ln_blas *blas, int64_t m, int64_t n, int64_t k, ln_matrix a, ln_matrix b,
                     float beta, float *c, int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (beta == 0.0f)
      for (int64_t i = 0; i < m; i++) memset(c + i * ldc, 0, (size_t)n * sizeof *c);
    return;
  }
  if (k == 1 && !b.transposed) { /* an outer product: nothing to gain from packing */
    for (int64_t i = 0; i < m; i++) {
      float factor = a.p[a.transposed ? i : i * a.ld], *row = c + i * ldc;
      if (beta == 0.0f)
        for (int64_t q = 0; q < n; q++) row[q] = factor * b.p[q];
      else
        for (int64_t q = 0; q < n; q++) row[q] = factor * b.p[q] + beta * row[q];
    }
    return;
  }
  /* One row of a is a matrix-vector product, which OpenBLAS' sgemm would do slowly. */
  if (m == 1 && (!a.transposed || a.ld <= INT_MAX)) {
    int rows = (int)(b.transposed ? n : k), cols = (int)(b.transposed ? k : n);
    blas->sgemv(CblasRowMajor, b.transposed ? CblasNoTrans : CblasTrans, rows, cols, 1.0f, b.p, (int)b.ld,
                a.p, a.transposed ? (int)a.ld : 1, beta, c, 1);
    return;
  }
  blas->sgemm(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans, b.transposed ? CblasTrans : CblasNoTrans,
              (int)m, (int)n, (int)k, 1.0f, a.p, (int)a.ld, b.p, (int)b.ld, beta, c, (int)ldc);
}
