"""GPT-4's pipeline in PyTorch on a folder of pairs: loss and Dice curves to lay beside Lunette's.

    python tests/reference/curves.py init FILE.safetensors
    lunette scripts/gpt4/main.lua --images DIR --suffix _seg --size 128 --epochs 6 \\
            --init FILE.safetensors --no-shuffle --out OUT
    python tests/reference/curves.py run DIR _seg 128 6 FILE.safetensors curves.jsonl [LIMIT]
    python tests/reference/curves.py table OUT/metrics.jsonl curves.jsonl

run_channels_last instead of run is PyTorch in its other memory layout: how far it strays from itself.
Same weights, same order of batches; the last command prints both side by side in Markdown."""
import json
import os
import sys
import time

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.model_selection import train_test_split

from nets import GPT4

BATCH, LR = 16, 1e-3


def grey(path, size):
    image = Image.open(path).convert("L").resize((size, size), Image.BILINEAR)
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)[None]


def load(folder, suffix, size, limit):
    stems = sorted(f[:-4] for f in os.listdir(folder) if f.endswith(".png") and not f.endswith(suffix + ".png"))[:limit]
    return [(grey(os.path.join(folder, s + ".png"), size), grey(os.path.join(folder, s + suffix + ".png"), size))
            for s in stems]


def batches(pairs, ids):
    for at in range(0, len(ids), BATCH):
        chunk = [pairs[i] for i in ids[at:at + BATCH]]
        yield torch.stack([c[0] for c in chunk]), torch.stack([c[1] for c in chunk])


def dice(logits, target, smooth=1e-6):
    hard = (logits > 0.5).float()
    return ((2 * (hard * target).sum() + smooth) / (hard.sum() + target.sum() + smooth)).item()


def evaluate(net, crit, pairs, ids):
    total, scores = 0.0, []
    net.eval()
    with torch.no_grad():
        for images, masks in batches(pairs, ids):
            out = net(images)
            total += crit(out, masks).item() * len(images)
            scores.append(dice(out, masks))
    return total / len(ids), float(np.mean(scores))


def run(folder, suffix, size, epochs, init, out, layout, limit=None):
    pairs = load(folder, suffix, size, limit)
    train, held = train_test_split(list(range(len(pairs))), test_size=0.2, random_state=42)
    val, test = train_test_split(held, test_size=0.5, random_state=42)
    net, crit = GPT4(), torch.nn.BCEWithLogitsLoss()
    net.load_state_dict(load_file(init), strict=True)
    net = net.to(memory_format=layout)
    opt = torch.optim.Adam(net.parameters(), lr=LR)
    with open(out, "w") as f:
        for epoch in range(1, epochs + 1):
            net.train()
            start, total = time.time(), 0.0
            for step, (images, masks) in enumerate(batches(pairs, train)):
                opt.zero_grad()
                loss = crit(net(images), masks)
                loss.backward()
                opt.step()
                total += loss.item() * len(images)
                f.write(json.dumps({"kind": "step", "epoch": epoch, "step": step + 1, "loss": loss.item()}) + "\n")
            val_loss, val_dice = evaluate(net, crit, pairs, val)
            f.write(json.dumps({"kind": "epoch", "epoch": epoch, "train_loss": total / len(train), "val_loss": val_loss,
                                "val_dice": val_dice, "seconds": time.time() - start}) + "\n")
            f.flush()
        f.write(json.dumps({"kind": "end", "test_dice": evaluate(net, crit, pairs, test)[1]}) + "\n")


def rows(path):
    lines = [json.loads(line) for line in open(path)]
    return [r for r in lines if r["kind"] == "epoch"], [r for r in lines if r["kind"] == "end"]


def table(ours, theirs):
    (a, a_end), (b, b_end) = rows(ours), rows(theirs)
    print("| epoch | train loss, Lunette | PyTorch | val loss, Lunette | PyTorch | val Dice, Lunette | PyTorch |")
    print("|---|---|---|---|---|---|---|")
    for x, y in zip(a, b):
        print("| %d | %.6f | %.6f | %.6f | %.6f | %.4f | %.4f |" % (x["epoch"], x["train_loss"], y["train_loss"],
              x["val_loss"], y["val_loss"], x["val_dice"], y["val_dice"]))
    for x, y in zip(a_end, b_end):
        print("\nTest Dice: Lunette %.4f, PyTorch %.4f" % (x["test_dice"], y["test_dice"]))


def main():
    what = sys.argv[1]
    if what == "init":
        torch.manual_seed(0)
        save_file({k: v.contiguous() for k, v in GPT4().state_dict().items()}, sys.argv[2])
    elif what in ("run", "run_channels_last"):
        layout = torch.contiguous_format if what == "run" else torch.channels_last
        run(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6], sys.argv[7], layout,
            int(sys.argv[8]) if len(sys.argv) > 8 else None)
    else:
        table(sys.argv[2], sys.argv[3])


if __name__ == "__main__":
    main()
