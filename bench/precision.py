"""PyTorch's side of bench/precision.lua and bench/gradients.lua, which start it, by the weights and batches in folder=.
The twin of bench/side.lua's outcome and gradients.

    python bench/precision.py what=outcome variant=channels_last net=gpt4 lr=0.001 folder=DIR threads=1

outcome: a whole training; what the network then says of the test images goes into a file there, and how good that is, Lunette
judges for all alike. gradients: those of the first batch, into a file. variant: eager (contiguous), channels_last; for gradients
also autocast (bf16) and double."""
import json
import sys
import time

import peer  # first: it knows where the networks are
import torch
from nets import PIPELINES
from safetensors.torch import load_file, save_file


def learner(o):
    """The pipeline, its network with the weights in the variant's layout, the batches."""
    if o.threads:
        torch.set_num_threads(o.threads)
    layout = torch.channels_last if o.variant == "channels_last" else torch.contiguous_format
    about = PIPELINES[o.net]
    net = about.net()
    net.load_state_dict(load_file(o.folder + "/weights.safetensors"), strict=True)
    return about, net.to(memory_format=layout), load_file(o.folder + "/batches.safetensors"), layout


def gradients(o):
    about, net, given, layout = learner(o)
    images, masks = given["images"][0].contiguous(memory_format=layout), given["masks"][0]
    if o.variant == "double":
        net, images, masks = net.double(), images.double(), masks.double()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=o.variant == "autocast"):
        outputs = net(images).to(images.dtype)
    loss = about.loss(*about.fit(outputs, masks))
    loss.backward()
    save_file({name: p.grad.float().contiguous() for name, p in net.named_parameters()}, o.folder + "/gradients.safetensors")
    return {"loss": loss.item()}


def outcome(o):
    about, net, given, layout = learner(o)
    optimizer = torch.optim.Adam(net.parameters(), lr=float(o.lr))
    start, losses = time.process_time(), []
    for images, masks in zip(given["images"], given["masks"]):
        optimizer.zero_grad()
        loss = about.loss(*about.fit(net(images.contiguous(memory_format=layout)), masks))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        outputs = torch.cat([net(image[None].contiguous(memory_format=layout)) for image in given["test"]])
    save_file({"outputs": outputs.contiguous()}, o.folder + "/outputs.safetensors")
    return {"losses": losses, "seconds": time.process_time() - start}


if __name__ == "__main__":
    words = peer.Options(sys.argv[1:])
    print(json.dumps({"outcome": outcome, "gradients": gradients}[words.what](words)))
