"""Opens the sheets that the eight pipelines wrote with pandas, as the study's own comparison scripts do, and checks
layout and values against metrics.jsonl.

    python tests/reference/layouts.py STUDY        # a folder of scripts/run_all.lua, with <id>/ in it

Needs pandas and openpyxl."""
import json
import sys

import numpy as np
import pandas as pd

# losses, validation Dice, test Dice
LAYOUTS = {
    "gpt4": ("column", "plain", "row"),
    "gpt4o": ("epoch_row", "plain", "row"),
    "gpt_o1": ("two_rows", "plain", "row"),
    "claude35": (("Loss", "Loss"), "numbered", "column"),
    "copilot": (("Train Loss", "Val Loss"), "numbered", "column"),
    "bing": ("epoch_row", "numbered", "column"),
    "llama31": ("column", "plain", "row"),
    "gemini15": (("Train Loss", "Val Loss"), "plain", "row"),
}


def losses(path, layout):
    """The values of a loss sheet, its headers checked."""
    if layout == "two_rows":
        sheet = pd.read_excel(path, sheet_name="Sheet1", header=None)
        assert list(sheet.iloc[0]) == list(range(1, sheet.shape[1] + 1)) and sheet.shape[0] == 2, path
        return list(sheet.iloc[1])
    sheet = pd.read_excel(path, sheet_name="Sheet1")
    if layout == "column":
        assert list(sheet.columns) == [0], (path, sheet.columns)
        return list(sheet[0])
    if layout == "epoch_row":
        assert list(sheet.columns) == ["Epoch %d" % (i + 1) for i in range(sheet.shape[1])] and len(sheet) == 1, path
        return list(sheet.iloc[0])
    assert list(sheet.columns) == ["Epoch", layout] and list(sheet["Epoch"]) == list(range(1, len(sheet) + 1)), path
    assert sheet["Epoch"].dtype.kind == "i", path
    return list(sheet[layout])


def rows(path, layout):
    """Lists of numbers; int headers are numeric cells, which pandas gives back as integers."""
    if layout in ("plain", "row"):
        sheet = pd.read_excel(path, sheet_name="Sheet1", header=None)
    else:
        sheet = pd.read_excel(path, sheet_name="Sheet1")
        assert list(sheet.columns) == list(range(sheet.shape[1])), (path, sheet.columns)
    return [[x for x in row if not np.isnan(x)] for row in sheet.values.tolist()]


def check(folder, name):
    loss, validation, test = LAYOUTS[name]
    entries = [json.loads(line) for line in open("%s/metrics.jsonl" % folder)]
    epochs = [e for e in entries if e["kind"] == "epoch"]
    for i, (sheet, key) in enumerate((("train_losses", "train_loss"), ("val_losses", "val_loss"))):
        got = losses("%s/%s.xlsx" % (folder, sheet), loss[i] if isinstance(loss, tuple) else loss)
        np.testing.assert_allclose(got, [e[key] for e in epochs], rtol=1e-12)
    got = rows("%s/validation_dice_scores.xlsx" % folder, validation)
    assert len(got) == len(epochs), (name, len(got))
    for epoch, row in zip(epochs, got):
        want = [e["dice"] for e in entries if e["kind"] == "val_batch" and e["epoch"] == epoch["epoch"]]
        np.testing.assert_allclose(row, want, rtol=1e-12)
    got = rows("%s/test_dice_scores.xlsx" % folder, test)
    assert len(got) == 1 if test == "row" else all(len(r) == 1 for r in got), (name, got)
    np.testing.assert_allclose(sum(got, []), [e["dice"] for e in entries if e["kind"] == "test_batch"], rtol=1e-12)


def main():
    for name in LAYOUTS:
        check("%s/%s" % (sys.argv[1], name), name)
        print("ok", name)


if __name__ == "__main__":
    main()
