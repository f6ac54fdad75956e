/* onednn_v3.c: what is particular to oneDNN 3 (Debian 13): memory descriptors are handles. */
#include "onednn_version.h"

#if DNNL_VERSION_MAJOR == 3

dnnl_status_t ln_md_make(dnnl_memory_desc_t *md, int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag) {
  return dnnl_memory_desc_create_with_tag(md, rank, dims, dnnl_f32, tag);
}

void ln_md_free(dnnl_memory_desc_t *md) {
  if (*md != NULL) dnnl_memory_desc_destroy(*md);
  *md = NULL;
}

ln_md ln_md_borrow(const dnnl_memory_desc_t *md) { return *md; }

dnnl_status_t ln_dnnl_conv_describe(dnnl_engine_t engine, ln_conv_dir dir, ln_md src, ln_md weights, ln_md bias,
                                    ln_md dst, const ln_dnnl_windows *w, dnnl_primitive_attr_t attr,
                                    dnnl_primitive_desc_t *pd) {
  dnnl_primitive_desc_t hint = NULL;
  *pd = NULL;
  dnnl_status_t status = dnnl_convolution_forward_primitive_desc_create(
      dir == LN_CONV_FORWARD ? pd : &hint, engine, dnnl_forward_training, dnnl_convolution_direct, src, weights, bias,
      dst, w->strides, w->dilates, w->padding_l, w->padding_r, dir == LN_CONV_FORWARD ? attr : NULL);
  if (status != dnnl_success || dir == LN_CONV_FORWARD) return status;
  if (dir == LN_CONV_BACKWARD_DATA)
    status = dnnl_convolution_backward_data_primitive_desc_create(pd, engine, dnnl_convolution_direct, src, weights,
                                                                  dst, w->strides, w->dilates, w->padding_l,
                                                                  w->padding_r, hint, attr);
  else
    status = dnnl_convolution_backward_weights_primitive_desc_create(pd, engine, dnnl_convolution_direct, src,
                                                                     weights, NULL, dst, w->strides, w->dilates,
                                                                     w->padding_l, w->padding_r, hint, attr);
  dnnl_primitive_desc_destroy(hint);
  return status;
}

#endif
