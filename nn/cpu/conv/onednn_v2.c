/* onednn_v2.c: what is particular to oneDNN 2 (Debian 12): operation descriptors. */
#include "onednn_version.h"

#if DNNL_VERSION_MAJOR == 2

dnnl_status_t ln_md_make(dnnl_memory_desc_t *md, int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag) {
  return dnnl_memory_desc_init_by_tag(md, rank, dims, dnnl_f32, tag);
}

void ln_md_free(dnnl_memory_desc_t *md) { (void)md; }

ln_md ln_md_borrow(const dnnl_memory_desc_t *md) { return md; }

static dnnl_status_t forward(dnnl_convolution_desc_t *op, ln_md src, ln_md weights, ln_md bias, ln_md dst,
                             const ln_dnnl_windows *w) {
  return dnnl_dilated_convolution_forward_desc_init(op, dnnl_forward_training, dnnl_convolution_direct, src,
                                                    weights, bias, dst, w->strides, w->dilates, w->padding_l,
                                                    w->padding_r);
}

dnnl_status_t ln_dnnl_conv_describe(dnnl_engine_t engine, ln_conv_dir dir, ln_md src, ln_md weights, ln_md bias,
                                    ln_md dst, const ln_dnnl_windows *w, dnnl_primitive_attr_t attr,
                                    dnnl_primitive_desc_t *pd) {
  dnnl_convolution_desc_t op;
  *pd = NULL;
  dnnl_status_t status = forward(&op, src, weights, bias, dst, w);
  if (status != dnnl_success) return status;
  if (dir == LN_CONV_FORWARD) return dnnl_primitive_desc_create(pd, &op, attr, engine, NULL);

  dnnl_primitive_desc_t hint = NULL;
  status = dnnl_primitive_desc_create(&hint, &op, NULL, engine, NULL);
  if (status != dnnl_success) return status;
  if (dir == LN_CONV_BACKWARD_DATA)
    status = dnnl_dilated_convolution_backward_data_desc_init(&op, dnnl_convolution_direct, src, weights, dst,
                                                              w->strides, w->dilates, w->padding_l, w->padding_r);
  else
    status = dnnl_dilated_convolution_backward_weights_desc_init(&op, dnnl_convolution_direct, src, weights, NULL,
                                                                 dst, w->strides, w->dilates, w->padding_l,
                                                                 w->padding_r);
  if (status == dnnl_success) status = dnnl_primitive_desc_create(pd, &op, attr, engine, hint);
  dnnl_primitive_desc_destroy(hint);
  return status;
}

#endif
