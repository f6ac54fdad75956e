/* onednn_version.h: what onednn_v2.c and onednn_v3.c offer to onednn.c.
 *
 * Memory descriptors are structs in version 2 and handles in version 3, and version 3 has
 * no operation descriptors. Everything else that is used here is the same.
 */
#ifndef LN_CPU_ONEDNN_VERSION_H
#define LN_CPU_ONEDNN_VERSION_H

#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_version.h>

#include "onednn.h"

#if DNNL_VERSION_MAJOR == 2
typedef const dnnl_memory_desc_t *ln_md; /* borrowed */
#elif DNNL_VERSION_MAJOR == 3
typedef const_dnnl_memory_desc_t ln_md;
#else
#error "oneDNN 2 or 3 is needed"
#endif

/* A descriptor of one's own. ln_md_free is safe on a zeroed one. */
dnnl_status_t ln_md_make(dnnl_memory_desc_t *md, int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag);
void ln_md_free(dnnl_memory_desc_t *md);
ln_md ln_md_borrow(const dnnl_memory_desc_t *md);

typedef struct ln_dnnl_windows {
  dnnl_dims_t strides, dilates, padding_l, padding_r;
} ln_dnnl_windows;

/* bias is NULL without one. *pd stays NULL where oneDNN has no implementation (status
 * dnnl_unimplemented or dnnl_invalid_arguments). */
dnnl_status_t ln_dnnl_conv_describe(dnnl_engine_t engine, ln_conv_dir dir, ln_md src, ln_md weights, ln_md bias,
                                    ln_md dst, const ln_dnnl_windows *windows, dnnl_primitive_attr_t attr,
                                    dnnl_primitive_desc_t *pd);

#endif
