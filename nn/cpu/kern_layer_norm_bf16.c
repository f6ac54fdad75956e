/* kern_layer_norm_bf16.c: kern_layer_norm.c over activations stored as bf16 (kern.h). */
#define LN_ACT_BF16
#include "kern_layer_norm.c"
