/* distance.h: distances between the surfaces of two masks, as segmentations are scored:
 * Hausdorff distance, its percentiles (HD95), average symmetric surface distance.
 *
 * The surface of a mask are its pixels with a face neighbour (4 in a plane, 6 in a volume)
 * outside the mask; beyond the image's border all is outside. That is the mask without its
 * erosion as scipy's binary_erosion makes it, and MONAI's surface.
 */
#ifndef LN_METRICS_DISTANCE_H
#define LN_METRICS_DISTANCE_H

#include "../base/mem.h"
#include "../base/status.h"
#include "../base/tensor.h"

enum { LN_SURFACE_RANK = 3 };

typedef struct ln_mask_pair {
  int rank;                        /* 1..LN_SURFACE_RANK */
  int64_t dim[LN_SURFACE_RANK];    /* of both masks, dense and row-major */
  double spacing[LN_SURFACE_RANK]; /* size of a pixel along each dim, > 0 */
  const void *data[2];
  ln_dtype dtype[2];               /* an element above 0.5 is inside; not bf16 */
} ln_mask_pair;

typedef struct ln_surface_distances {
  double hausdorff; /* the larger of the two directed percentiles, interpolated as numpy does */
  double average;   /* the mean over the pixels of both surfaces */
} ln_surface_distances;

/* Exact Euclidean distances. Two empty masks: 0; one empty: the image's diagonal, the
 * longest distance that its size admits. 0 <= percentile <= 100. */
ln_code ln_surface_compare(ln_mem *mem, const ln_mask_pair *pair, double percentile, ln_surface_distances *out,
                           ln_error *err);

#endif
