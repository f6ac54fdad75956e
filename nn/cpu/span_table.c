/* span_table.c: joins the parts of one instruction set's table of inner loops. */
#include "span.h"

const ln_spans SPAN(table) = {
    .map = &SPAN(map), .reduce = &SPAN(reduce), .layer = &SPAN(layer), .step = &SPAN(step)};
