-- The shape rules: an op that cannot work says so when it is recorded, and says which input, both
-- shapes and what was expected. Dims, positions and spatial dims count from 1 in the texts.

local check = dofile("tests/check.lua")
local core = require "lunette.core"
local ops = core.ops

local function t(shape, dtype) return ops.full(shape, 1, { dtype = dtype or "f32" }) end

-- Each line: the op, what is called, a part of the text that must appear.
local function refused(name, cases)
  check.test(name, function()
    for _, case in ipairs(cases) do check.raises(case[1], case[2]) end
  end)
end

refused("convolution", {
  { function() ops.conv(t { 2, 256, 4, 4 }, t { 8, 512, 3, 3 }) end, "input has 256 channels, weight expects 512 (input 2x256x4x4, weight 8x512x3x3)" },
  { function() ops.conv(t { 1, 6, 8, 8 }, t { 4, 2, 3, 3 }, { groups = 2 }) end, "weight expects 2 in each of 2 groups" },
  { function() ops.conv(t { 1, 4, 8, 8 }, t { 3, 2, 3, 3 }, { groups = 2 }) end, "groups 2 must divide the weight's 3 channels" },
  { function() ops.conv(t { 1, 3, 4, 4, 4 }, t { 4, 3, 5, 5, 5 }) end, "kernel size can't be greater than actual input size" },
  { function() ops.conv(t { 1, 3, 4, 4 }, t { 4, 3, 3 }) end, "weight has 1 spatial dims, input has 2" },
  { function() ops.conv(t { 1, 3, 4, 4 }, t { 4, 3, 3, 3 }, t { 5 }) end, "bias must have shape [4] (one per output channel), got [5]" },
  { function() ops.conv(t { 3, 4 }, t { 4, 3, 3 }) end, "input must have 3 to 5 dims" },
  { function() ops.conv(t { 1, 3, 4 }, t({ 4, 3, 3 }, "bf16")) end, "input is f32 and weight is bf16" },
  { function() ops.conv(t { 1, 3, 4, 4 }, t { 4, 3, 3, 3 }, { stride = { 1, 0 } }) end, "stride must be positive, got 0 in spatial dim 2" },
  { function() ops.conv(t { 1, 3, 4, 4 }, t { 4, 3, 3, 3 }, { padding = -1 }) end, "padding must be 0 or more, got -1" },
  { function() ops.conv(t { 1, 3, 4 }, t { 4, 3, 3 }, { dilation = 2 ^ 40 }) end, "dilation must be at most" },
  { function() ops.conv_transpose(t { 1, 3, 4, 4 }, t { 4, 2, 2, 2 }) end, "input has 3 channels, weight expects 4" },
  { function() ops.conv_transpose(t { 1, 4, 4 }, t { 4, 2, 2 }, { stride = 2, output_padding = 2 }) end, "output padding must be smaller than either stride or dilation" },
  { function() ops.conv_transpose(t { 1, 4, 1 }, t { 4, 2, 2 }, { padding = 3 }) end, "the output would have size -4" },
  { function() ops.conv_input_grad(t { 1, 4, 2 }, t { 4, 3, 3 }, { size = { 5 } }) end, "the gradient must be 1x4x3 for these sizes, got 1x4x2" },
  { function() ops.conv_weight_grad(t { 1, 3, 5 }, t { 2, 4, 3 }, { kernel = 3 }) end, "must have the same batch size" },
})

refused("pooling and interpolation", {
  { function() ops.max_pool(t { 1, 1, 3, 3 }, { kernel = 2, padding = 2 }) end, "padding should be at most half of the kernel size" },
  { function() ops.avg_pool(t { 1, 1, 3, 3, 3 }, { kernel = 5 }) end, "kernel 5 does not fit into size 3" },
  { function() ops.max_pool(t { 1, 1, 4 }, { kernel = 2, padding = 1, dilation = 5 }) end, "a window may see only padding" },
  { function() ops.max_pool(t({ 1, 1, 4 }, "i64"), { kernel = 2 }) end, "expects a float tensor, got i64 (input 1x1x4)" },
  { function() ops.max_pool(t { 1, 1, 0, 3 }) end, "input 1x1x0x3 is empty in spatial dim 1" },
  { function() ops.avg_pool_grad(t { 1, 1, 2, 2 }, { kernel = 2, stride = 2, size = { 7, 4 } }) end, "the gradient must be 1x1x3x2 for an input 1x1x7x4" },
  { function() ops.max_pool_grad(t { 1, 1, 2 }, t({ 1, 1, 2 }, "i64"), { size = { 4 } }) end, "indices must be i32, got i64" },
  { function() ops.max_pool_grad_add(t { 1, 1, 5 }, t { 1, 1, 2 }, t({ 1, 1, 2 }, "i32"), { size = { 4 } }) end,
    "the pool's input 1x1x4 and the other gradient 1x1x5 must have the same shape" },
  { function() ops.interpolate(t { 1, 1, 3, 3 }, { mode = "linear" }) end, "needs a size, or a scale for each of the 2 spatial dims" },
  { function() ops.interpolate(t { 1, 1, 3 }, { mode = "nearest", size = { 6 }, align_corners = true }) end, "align_corners applies to mode linear only" },
  { function() ops.interpolate(t { 1, 1, 3, 3 }, { mode = "nearest", scale = { 0.1, 0.1 } }) end, "scale 0.1 makes size 3 of 0" },
  { function() ops.interpolate(t { 1, 1, 3, 3 }, { mode = "nearest", size = { 3 } }) end, "size must list 2 spatial sizes, it lists 1" },
})

refused("elementwise", {
  { function() ops.add(t { 16, 3, 4 }, t { 16, 4 }) end, "do not broadcast: dim 2 of a is 3, dim 1 of b is 16" },
  { function() ops.mul(t({ 2 }, "bool"), t({ 2 }, "bool")) end, "expects numbers, got bool" },
  { function() ops.exp(t({ 2, 3 }, "i64")) end, "expects a float tensor, got i64 (input 2x3)" },
  { function() ops.where(t { 2 }, t { 2 }, t { 2 }) end, "the condition must be bool, got f32" },
  { function() ops.bce_grad(t { 2 }, t { 3 }, t { 3 }) end, "the gradient [2] and the prediction [3] must have the same shape" },
  { function() ops.sigmoid_bce_grad(t { 1 }, t { 3 }, t { 3, 1 }) end, "the prediction [3] and the target 3x1 must have the same shape" },
  { function() ops.bce(t { 3, 1 }, t { 3 }) end, "3x1 and the second input [3] must have the same shape" },
  { function() ops.dropout(t { 3 }, { channelwise = true }) end, "channelwise needs an input with batch and channel dims" },
  { function() ops.uniform({ 3 }, { dtype = "i64" }) end, "random numbers are floats" },
})

refused("sizes that no tensor has", {
  { function() ops.full({ -3 }, 0) end, "negative size -3" },
  { function() ops.full({ 2 ^ 32 }, 0) end, "dim 1 would have size 4294967296" },
  { function() ops.full({ 2 ^ 31, 2 ^ 31, 2 }, 0) end, "fewer than 2^62 elements" },
  { function() ops.reshape(t { 2, 3, 4 }, { 5, -1 }) end, "input 2x3x4 has 24 elements, which do not fill the shape 5x-1" },
  { function() ops.reshape(t { 2, 3 }, { -1, -1 }) end, "only one size may be -1" },
  { function() ops.expand(t { 2, 3 }, { 4, 3 }) end, "dim 1 has size 2 and only size 1 can be repeated" },
  { function() ops.expand(t { 3 }, { -1, 3 }) end, "stands for a dim that the input [3] does not have" },
})

refused("movement", {
  { function() ops.permute(t { 2, 3 }, { 1 }) end, "dims must list each of the 2 dims of the input 2x3 once" },
  { function() ops.slice(t { 2, 3 }, 2, 2, 5) end, "which has size 3" },
  { function() ops.slice(t { 2, 3 }, 2, 1, 3, 0) end, "step must be positive, got 0" },
  { function() ops.slice_scatter(t { 2, 3 }, t { 2, 1 }, 2, 1, 2) end, "the slice has shape 2x2, src has 2x1" },
  { function() ops.cat(t { 2, 3 }, t { 2, 4 }, { dim = 1 }) end, "tensor 2 is 2x4 and tensor 1 is 2x3; all but dim 1 must be equal" },
  { function() ops.pad(t { 1, 1, 3 }, { 0, 0, 3 }, { 0, 0, 0 }, { mode = "reflect" }) end, "reflect padding must be smaller than the input's size" },
  { function() ops.pad(t { 3 }, { -4 }, { 0 }) end, "leaves a negative size in dim 1" },
  { function() ops.gather(t { 2, 3 }, t({ 3, 3 }, "i64"), 2) end, "index 3x3 must lie within the input 2x3 in all dims but dim 2" },
  { function() ops.index_select(t { 2, 3 }, t { 2 }, 1) end, "index must be i64, got f32" },
  { function() ops.index_add(t { 2, 3 }, t({ 2 }, "i64"), t { 3, 3 }, 1) end, "src must be 2x3" },
  { function() ops.scatter_add(t { 2, 3 }, t({ 2, 3 }, "i64"), t { 1, 3 }, 2) end, "index 2x3 must lie within src 1x3" },
  { function() ops.matmul(t { 2, 3 }, t { 4, 5 }) end, "a has 3 columns, b has 4 rows" },
  { function() ops.matmul(t { 2, 2, 3 }, t { 3, 3, 5 }) end, "the batch dims of a [2] and the batch dims of b [3] do not broadcast" },
})

refused("reductions and normalisation", {
  { function() ops.mean(t({ 2 }, "i64")) end, "expects a float tensor, got i64" },
  { function() ops.amax(t { 0, 3 }) end, "dim 1 of the input 0x3 is empty" },
  { function() ops.argmax(t { 3, 0 }, 2) end, "dim 2 of the input 3x0 is empty" },
  { function() ops.batch_norm(t { 2, 3, 4 }, t { 4 }) end, "input has 3 channels, weight must have as many elements" },
  { function() ops.batch_norm(t { 1, 3 }) end, "expects more than 1 value per channel when training, got input 1x3" },
  { function() ops.moments(t { 1, 3 }) end, "expects more than 1 value per channel when training, got input 1x3" },
  { function() ops.norm_relu(t { 2, 3, 4 }, t { 3 }, t { 4 }) end, "input has 3 channels, var must have as many elements" },
  { function() ops.norm_relu_grad(t { 2, 3, 5 }, t { 2, 3, 4 }, t { 3 }, t { 3 }) end, "input 2x3x4 and the gradient 2x3x5 must have the same shape" },
  { function() ops.norm_relu_pool(t { 2, 3, 4 }, t { 3 }, t { 4 }, { kernel = 2 }) end, "input has 3 channels, var must have as many elements" },
  { function() ops.norm_relu_pool(t { 2, 3, 4 }, t { 3 }, t { 3 }, { kernel = 5 }) end, "kernel 5 does not fit into size 4" },
  { function() ops.norm_relu_pool_grad(t { 2, 3, 4 }, t { 2, 3, 2 }, t({ 2, 3, 2 }, "i32"), t { 2, 3, 5 }, t { 3 }, t { 3 }, { size = { 4 } }) end,
    "input 2x3x5 and the other gradient 2x3x4 must have the same shape" },
  { function() ops.relu_grad_sum(t { 2, 3 }, t { 2, 4 }) end, "the gradient 2x3 and the output 2x4 must have the same shape" },
  { function() ops.row_norm(t { 3 }) end, "input must have 2 dims (rows, elements of a row), got [3]" },
  { function() ops.sgd_step(core.cell { 3 }, t { 4 }) end, "the parameter [3] and its gradient [4] must have the same shape" },
  { function() ops.assign(core.cell { 3 }, t({ 3 }, "f64")) end, "they must have the same dtype" },
})

check.test("a refused op names the op and the script's line", function()
  local text = check.raises(function() ops.exp(t({ 2 }, "i64")) end, "[exp]")
  check.truthy(text:find("shape_test.lua:%d+"), "the line in " .. text)
end)

check.test("sizes as torch has them", function()
  local function shape(x) return (x).shape end
  check.equal(shape(ops.conv(t { 1, 2, 9, 8 }, t { 4, 2, 3, 2 }, { stride = { 2, 3 }, padding = { 1, 0 }, dilation = { 2, 1 } })), { 1, 4, 4, 3 })
  check.equal(shape(ops.conv_transpose(t { 1, 2, 5 }, t { 2, 3, 3 }, { stride = 2, padding = 1, output_padding = 1, groups = 2 })), { 1, 6, 10 })
  -- ceil_mode: the last window must start inside the input or its left padding
  check.equal(shape((ops.max_pool(t { 1, 1, 5 }, { kernel = 2, stride = 2, ceil_mode = true }))), { 1, 1, 3 })
  check.equal(shape((ops.max_pool(t { 1, 1, 4 }, { kernel = 2, stride = 3, padding = 1, ceil_mode = true }))), { 1, 1, 2 })
  check.equal(shape(ops.avg_pool(t { 1, 1, 1 }, { kernel = 1, stride = 2, ceil_mode = true })), { 1, 1, 1 })
  check.equal(shape(ops.interpolate(t { 1, 1, 5, 7 }, { mode = "nearest", scale = { 0.7, 1.5 } })), { 1, 1, 3, 10 })
  check.equal(shape(ops.reshape(t { 2, 0, 3 }, { 0, 3 })), { 0, 3 })
  check.equal(ops.sum(t({ 2, 3 }, "bool"), { 1 }).dtype, "i64")
  check.equal(ops.div(t({ 2 }, "i64"), t({ 2 }, "u8")).dtype, "f32")
end)

check.done()
