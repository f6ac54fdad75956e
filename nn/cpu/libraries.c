/* libraries.c: the backend's hooks for OpenBLAS and oneDNN: open, close, describe. */
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "libraries.h"

ln_code ln_cpu_dnnl_open(ln_cpu *cpu, ln_error *err) {
  struct ln_libraries *lib = ln_calloc(cpu->mem, 1, sizeof *lib);
  if (lib == NULL) return ln_fail(err, LN_ENOMEM, "cpu: out of memory while opening the libraries");
  /* OpenBLAS' OpenMP build sets the OpenMP thread count together with its own. */
  int threads = omp_get_max_threads();
  ln_code code = ln_blas_open(&lib->blas, cpu->isa, err);
  omp_set_num_threads(threads);
  if (code == LN_OK) {
    code = ln_dnnl_open(cpu->mem, cpu->isa, &lib->dnnl, err);
    if (code != LN_OK) ln_blas_close(&lib->blas);
  }
  if (code != LN_OK) {
    ln_free(cpu->mem, lib);
    return code;
  }
  cpu->dnnl = lib;
  return LN_OK;
}

void ln_cpu_dnnl_close(ln_cpu *cpu) {
  struct ln_libraries *lib = cpu->dnnl;
  if (lib == NULL) return;
  ln_dnnl_close(lib->dnnl);
  ln_blas_close(&lib->blas);
  ln_free(cpu->mem, lib);
  cpu->dnnl = NULL;
}

void ln_cpu_dnnl_describe(const ln_cpu *cpu, char *text, size_t size) {
  const struct ln_libraries *lib = ln_cpu_libraries(cpu);
  if (lib == NULL) {
    snprintf(text, size, "no libraries");
    return;
  }
  /* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...": the first two words */
  const char *config = lib->blas.config();
  const char *end = strchr(config, ' ');
  if (end != NULL) end = strchr(end + 1, ' ');
  int length = (int)(end != NULL ? (size_t)(end - config) : strlen(config));
  char dnnl[64];
  ln_dnnl_describe(dnnl, sizeof dnnl);
  snprintf(text, size, "%.*s (%s), %s", length, config, lib->blas.corename(), dnnl);
}
