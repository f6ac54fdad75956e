/* kern_layer.c: joins the kernels of the memory-bound layers (layer_kern.h). */
#include "layer_kern.h"

const ln_layer_kerns KERN(layer) = {.norm = &KERN(norm), .pool = &KERN(pool), .move = &KERN(move)};
const ln_layer_kerns KERN(layer_bf16) = {.norm = &KERN(norm_bf16), .pool = &KERN(pool_bf16), .move = &KERN(move_bf16)};
