/* builder.h: opening and closing what grad.h describes. */
#ifndef LN_GRAPH_BUILDER_H
#define LN_GRAPH_BUILDER_H

#include "grad.h"

void ln_builder_open(ln_builder *b, ln_ctx *ctx);
void ln_builder_close(ln_builder *b); /* drops every value the builder made */

#endif
