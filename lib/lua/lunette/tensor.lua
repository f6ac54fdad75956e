-- tensor: the methods of tensors, under PyTorch's names and in PyTorch's argument order.
--
-- Tensors are values: a method returns a new tensor, and views share nothing that can be
-- written. Dimensions and positions count from 1, -1 is the last; values inside index
-- tensors (argmax, class labels) count from 0.

require "lunette.tensor.math"
require "lunette.tensor.reduce"
require "lunette.tensor.shape"
require "lunette.tensor.write"

return require("lunette.core").methods
