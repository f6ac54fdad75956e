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
  LN_CONV_WINOGRAD, /* winograd.h */
  LN_CONV_PAIRS     /* conv_pairs.h: what is stored as bf16 */
} ln_conv_method;
enum { LN_CONV_METHODS = LN_CONV_PAIRS + 1 }; /* the last; their names are in tune.json, so they stay what they are */

const char *ln_conv_method_name(ln_conv_method method); /* "winograd" */
/* Does it read and write what is stored as bf16? */
bool ln_conv_takes_bf16(ln_conv_method method);
bool ln_conv_able(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides,
                  ln_conv_method method);
/* The rule that needs no measuring; always a method that is able, but for sides stored as bf16, which nothing may take. */
ln_conv_method ln_conv_shipped(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides);
/* What this machine's measurements say (conv_measured.h) where there are any, else the shipped rule. */
ln_conv_method ln_conv_choose(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides);

#endif
