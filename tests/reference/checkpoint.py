"""Checkpoints cross both ways: PyTorch's weights in Lunette and Lunette's in PyTorch, loaded strictly,
give the same output.

    python tests/reference/checkpoint.py build/lunette"""
import os
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

from nets import GPT4

SCRIPT = """
local lt, nn = require "lunette", require "lunette.nn"
package.path = "scripts/gpt4/?.lua;" .. package.path
local UNet = dofile("scripts/gpt4/model.lua")
local dir = arg[1]
local input = lt.load(dir .. "/input.safetensors").x
lt.no_grad(function()
  local net = UNet()
  net:load_state_dict(assert(lt.load(dir .. "/torch.safetensors")), { strict = true })
  assert(lt.save(dir .. "/out_of_torch.safetensors", { y = net(input) }))
  lt.manual_seed(5)
  local own = UNet()
  assert(lt.save(dir .. "/lunette.safetensors", own:state_dict()))
  assert(lt.save(dir .. "/out_of_lunette.safetensors", { y = own(input) }))
end)
"""


def main():
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name)  # noqa: E731
        torch.manual_seed(1)
        net, x = GPT4(), torch.rand(2, 1, 64, 96)
        save_file({"x": x}, at("input.safetensors"))
        save_file(net.state_dict(), at("torch.safetensors"))
        with open(at("script.lua"), "w") as f:
            f.write(SCRIPT)
        subprocess.run([sys.argv[1], at("script.lua"), folder], check=True)
        worst = 0.0
        for weights, out in (("torch", "out_of_torch"), ("lunette", "out_of_lunette")):
            net.load_state_dict(load_file(at(weights + ".safetensors")), strict=True)
            with torch.no_grad():
                want = net(x).double()
            got = load_file(at(out + ".safetensors"))["y"].double()
            error = float((got - want).norm() / want.norm())
            print("%-8s -> relative difference of the outputs %.2e" % (weights, error))
            worst = max(worst, error)
        sys.exit(0 if worst < 1e-5 else 1)


if __name__ == "__main__":
    main()
