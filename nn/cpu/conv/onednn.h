/* onednn.h: convolutions by oneDNN, behind an interface that hides its version.
 *
 * onednn.c is common; onednn_v2.c and onednn_v3.c hold what differs (one of them compiles
 * to something). Activations lie plain or blocked, weights plain. Primitives are asked for that take
 * blocked sides as they are; only where there is none, and for plain sides, tensors are reordered
 * through the caller's workspace.
 */
#ifndef LN_CPU_ONEDNN_H
#define LN_CPU_ONEDNN_H

#include "conv.h"

typedef struct ln_dnnl ln_dnnl;
typedef struct ln_dnnl_conv ln_dnnl_conv;

ln_code ln_dnnl_open(ln_mem *mem, ln_isa isa, ln_dnnl **out, ln_error *err);
void ln_dnnl_close(ln_dnnl *dnnl); /* NULL is fine */
int ln_dnnl_version(void); /* the major version that it was built with */
void ln_dnnl_describe(char *text, size_t size); /* "oneDNN 2.6.3 (AVX2)" */

typedef struct ln_dnnl_request {
  const ln_conv_geometry *g;
  ln_conv_dir dir;
  ln_layout src, dst; /* images dense */
  int block;          /* channels of a block: 8 or 16 */
  bool bias;          /* added by the primitive; FORWARD only */
  int threads;        /* that one run takes */
  int lanes;          /* runs that may go on at the same time */
} ln_dnnl_request;

/* Makes a direct convolution. *out is NULL with LN_OK when oneDNN has none but reference loops or
 * products over columns of its own, which conv_gemm.c does as fast and with bits that hold. */
ln_code ln_dnnl_conv_new(const ln_dnnl *dnnl, const ln_dnnl_request *request, ln_dnnl_conv **out, ln_error *err);
void ln_dnnl_conv_free(ln_dnnl_conv *conv); /* NULL is fine */
size_t ln_dnnl_conv_workspace(const ln_dnnl_conv *conv); /* bytes a lane */

/* Runs in `lane` with the thread count it was made for, in the calling thread's OpenMP team.
 * same_weights: they are those of the run before in this lane and workspace. Returns oneDNN's
 * status, 0 for success: lanes run in threads, which report none. */
int ln_dnnl_conv_run(const ln_dnnl_conv *conv, int lane, const ln_conv_tensors *t, bool same_weights, void *workspace);

/* What was found: the implementation's name, and whether src or dst is reordered. */
const char *ln_dnnl_conv_name(const ln_dnnl_conv *conv);
bool ln_dnnl_conv_reorders(const ln_dnnl_conv *conv);
ln_code ln_dnnl_fail(int status, const char *doing, ln_error *err);

#endif
