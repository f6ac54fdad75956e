/* conv_choice.h: which method computes a convolution. */
#ifndef LN_CPU_CONV_CHOICE_H
#define LN_CPU_CONV_CHOICE_H

#include "conv.h"

typedef enum ln_conv_method {
  LN_CONV_PRODUCTS, /* matrix products over columns; any geometry, blocked sides are reordered */
  LN_CONV_DIRECT,   /* oneDNN; where that has nothing, products */
  LN_CONV_THIN,     /* conv_thin.h */
  LN_CONV_TILES,    /* conv_tiles.h */
  LN_CONV_ROWS,     /* conv_rows.h: weight gradients */
  LN_CONV_WINOGRAD  /* winograd.h */
} ln_conv_method;

ln_conv_method ln_conv_choose(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides);

#endif
