/* kern_layer_pool_bf16.c: kern_layer_pool.c over activations stored as bf16 (kern.h). */
#define LN_ACT_BF16
#include "kern_layer_pool.c"
