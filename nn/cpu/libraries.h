/* libraries.h: the two libraries behind convolutions and matrix products.
 *
 * OpenBLAS is loaded with dlopen when the CPU backend opens, not linked: it reads
 * OPENBLAS_CORETYPE while it is being loaded and never again, and without that variable
 * it runs its AVX2 kernels on AMD chips with AVX-512, at half speed. It always works with
 * one thread here; the callers split the work themselves, into parts that depend on the
 * shape alone, so that no result depends on the number of threads.
 */
#ifndef LN_CPU_LIBRARIES_H
#define LN_CPU_LIBRARIES_H

#include <cblas.h>

#include "cpu.h"
#include "conv/onednn.h"

typedef struct ln_blas {
  void *handle; /* of dlopen */
  __typeof__(cblas_sgemm) *sgemm;
  __typeof__(cblas_sgemv) *sgemv;
  __typeof__(openblas_get_config) *config;
  __typeof__(openblas_get_corename) *corename;
} ln_blas;

struct ln_libraries { /* cpu->dnnl */
  ln_blas blas;
  ln_dnnl *dnnl;
};

static inline const struct ln_libraries *ln_cpu_libraries(const ln_cpu *cpu) { return cpu->dnnl; }

ln_code ln_blas_open(ln_blas *blas, ln_isa isa, ln_error *err);
void ln_blas_close(ln_blas *blas);

/* Around every parallel region (or loop) of products: OpenBLAS' OpenMP build takes as many
 * threads as omp_get_max_threads() says wherever it is not inside an active region, and
 * forgets its own setting. enter returns what leave puts back. */
int ln_blas_enter(void);
void ln_blas_leave(int threads);

/* A row-major matrix that may be read transposed: element (i, k) is p[i * ld + k], or p[k * ld + i]. */
typedef struct ln_matrix {
  const float *p;
  int64_t ld;
  bool transposed;
} ln_matrix;

/* c [m,n] (rows ldc apart) = a [m,k] b [k,n] + beta c, in the calling thread. */
void ln_blas_product(const ln_blas *blas, int64_t m, int64_t n, int64_t k, ln_matrix a, ln_matrix b,
                     float beta, float *c, int64_t ldc);

#endif
