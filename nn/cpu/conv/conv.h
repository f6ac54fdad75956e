/* conv.h: a convolution as the CPU backend sees it: geometry, direction, two methods.
 *
 * All four ops are one thing seen from three sides. There is a forward convolution
 * dst[N,co,out] = src[N,ci,in] * weights[co,ci/groups,kernel]; a call computes dst
 * (FORWARD), the gradient at src (BACKWARD_DATA) or at weights (BACKWARD_WEIGHTS).
 * conv_transpose is BACKWARD_DATA with its input in the place of dst.
 */
#ifndef LN_CPU_CONV_H
#define LN_CPU_CONV_H

#include "../cpu.h"
#include "../span.h" /* ln_moments */

typedef enum ln_conv_dir {
  LN_CONV_FORWARD, LN_CONV_BACKWARD_DATA, LN_CONV_BACKWARD_WEIGHTS
} ln_conv_dir;

/* Spatial arrays are D, H, W; missing leading dims are 1 wide (kernel, stride 1, padding 0). */
typedef struct ln_conv_geometry {
  int64_t n, groups, ci, co;
  int64_t in[LN_SPATIAL], out[LN_SPATIAL], kernel[LN_SPATIAL];
  int64_t stride[LN_SPATIAL], padding[LN_SPATIAL], dilation[LN_SPATIAL];
} ln_conv_geometry;

static inline int64_t ln_conv_volume(const int64_t v[LN_SPATIAL]) { return v[0] * v[1] * v[2]; }

/* The call's tensors by their place in the forward convolution; one of src, weights
 * and dst is the output. bias (or NULL) belongs to dst, in BACKWARD_DATA to src. src and dst are
 * floats, but for blocked sides that are stored as bf16 (ln_conv_images); weights are always floats. */
typedef struct ln_conv_tensors {
  void *src, *dst;
  float *weights;
  const float *bias;
} ln_conv_tensors;

/* What follows a convolution's own sum, while its output is hot: y = sum + bias, then in this
 * order moments, ReLU or mask, sums. All per channel of the call's output (dst in FORWARD,
 * src in BACKWARD_DATA). */
typedef struct ln_epilogue {
  const float *bias;     /* or NULL */
  bool relu;             /* y = y < 0 ? 0 : y, a NaN stays */
  const void *mask;      /* or NULL: y = mask > 0 ? y : 0; lies as the output does, images mask_image apart */
  int64_t mask_image;
  ln_moments *moments;   /* or NULL: per channel, count, mean and m2 of y over images and positions */
  double *sums;          /* or NULL: per channel, the sum of y after the mask */
} ln_epilogue;

/* A blocked convolution: src and dst are LN_BLOCKED (conv.h's tensors), weights plain
 * [co,ci/groups,kernel]; images lie src_image and dst_image elements apart. bf16: whatever is blocked is stored as bf16,
 * outputs, their masks and statistics are of values rounded to it, and weights are rounded as they are read. */
typedef struct ln_conv_images {
  int64_t src_image, dst_image;
  bool bf16;
} ln_conv_images;

/* Bytes of an element of a blocked side. */
static inline int64_t ln_conv_act_size(bool bf16) { return (int64_t)ln_dtype_size(bf16 ? LN_BF16 : LN_F32); }

/* How src and dst lie. Plain sides are dense floats; images holds their distances too. */
typedef struct ln_conv_sides {
  ln_layout src, dst;
  ln_conv_images images;
} ln_conv_sides;

/* -- conv_gemm.c: as matrix products over columns; any geometry that has elements. */
/* Do the windows tile src without padding, gap, overlap or rest? */
bool ln_conv_tiles(const ln_conv_geometry *g);
size_t ln_conv_gemm_workspace(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir);
void ln_conv_gemm_run(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir,
                      const ln_conv_tensors *t, void *workspace);

/* -- conv_columns.c. Row (c, kd, kh, kw) of the columns, column p: the element of channel c
 * that weight (kd, kh, kw) meets at output position p, 0 in the padding. Rows of channels
 * [0, channels) and positions [p0, p1); rows are ld apart. src is channel 0. */
void ln_conv_gather(const ln_conv_geometry *g, const float *src, int64_t channels,
                    int64_t p0, int64_t p1, float *columns, int64_t ld);
/* The opposite: adds every column element to where it came from. */
void ln_conv_scatter_add(const ln_conv_geometry *g, const float *columns, int64_t ld, int64_t channels,
                         int64_t p0, int64_t p1, float *src);
/* For windows that tile src exactly (kernel = stride, no padding): stores instead of
 * adding, plus bias[c] where bias is not NULL. */
void ln_conv_scatter_tiles(const ln_conv_geometry *g, const float *columns, int64_t ld, int64_t channels,
                           int64_t p0, int64_t p1, const float *bias, float *src);

#endif
