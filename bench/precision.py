"""PyTorch's side of bench/precision.lua, which starts it: one whole training, by the weights and batches in folder=.
The twin of bench/side.lua's outcome.

    python bench/precision.py variant=channels_last net=gpt4 lr=0.001 folder=DIR threads=1

What the network then says of the test images goes into a file there; how good that is, Lunette judges for all alike."""
import json
import sys
import time

import peer  # first: it knows where the networks are
import torch
from nets import PIPELINES
from safetensors.torch import load_file, save_file


def outcome(o):
    if o.threads:
        torch.set_num_threads(o.threads)
    layout = {"eager": torch.contiguous_format, "channels_last": torch.channels_last}[o.variant]
    about = PIPELINES[o.net]
    net = about.net()
    net.load_state_dict(load_file(o.folder + "/weights.safetensors"), strict=True)
    net = net.to(memory_format=layout)
    given = load_file(o.folder + "/batches.safetensors")
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
    print(json.dumps(outcome(peer.Options(sys.argv[1:]))))
