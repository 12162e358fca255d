"""What a folder of many songs costs in memory: preprocess, pack and the samples of training.

    python benchmarks/many_songs.py --songs 250 1000

Fake songs of a fifth of a second, the small base model. Each verb runs in its own process; reported
are its peak of resident memory and of memory that is its own (without mapped files), and songs a
second. The slope between two numbers of songs is what one more song costs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from acestep.data.audio import RATE, write_audio

CODE = {
    "preprocess": "from acestep import preprocess as verb, PreprocessConfig as C\n"
    "run = lambda: list_(verb(C(dataset=folder / 'songs/dataset.json', output=folder / 'tensors', "
    "device='cpu', workers=0)))",
    "again": "from acestep import preprocess as verb, PreprocessConfig as C\n"
    "run = lambda: list_(verb(C(dataset=folder / 'songs/dataset.json', output=folder / 'tensors', "
    "device='cpu', workers=0)))",
    "pack": "from acestep import pack as verb, PackConfig as C\n"
    "run = lambda: list_(verb(C(tensors=folder / 'tensors', output=folder / 'packed', "
    "shard_size='20MB')))",
    "samples": "from acestep.data.tensors import load_samples, read_manifest\n"
    "import torch\nfrom acestep.training.clips import make_clips\n"
    "def run():\n"
    "    packed = folder / 'packed'\n"
    "    samples = load_samples(packed, read_manifest(packed), mapped=True)\n"
    "    clips = make_clips(samples, torch.device('cpu'), torch.float32)\n"
    "    return [float(clip.to(torch.device('cpu')).latents.sum()) for clip in clips[:50]]\n",
}
MEASURED = """
import json, resource, sys, threading, time
from pathlib import Path
folder = Path(sys.argv[1])
peak = {"RssAnon": 0, "VmRSS": 0}
def watch():
    while True:
        for line in Path("/proc/self/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in peak:
                peak[name] = max(peak[name], int(value.split()[0]))
        time.sleep(0.02)
def list_(events):
    for event in events:
        last = event
    return last
"""
ENDING = """
threading.Thread(target=watch, daemon=True).start()
begin = time.perf_counter()
run()
taken = time.perf_counter() - begin
time.sleep(0.05)
print(json.dumps({"seconds": taken, **peak}))
"""


def make_songs(folder: Path, count: int) -> None:
    """Short noises, and a dataset that names them."""
    folder.mkdir()
    samples = []
    for number in range(count):
        chance = np.random.default_rng(number)
        audio = 0.1 * chance.standard_normal((2, round(0.2 * RATE))).astype(np.float32)
        write_audio(folder / f"{number}.wav", audio, RATE)
        samples.append({"audio_path": f"{number}.wav", "caption": f"noise {number}"})
    text = {"dataset_name": "many", "activation_tag": "many", "samples": samples}
    (folder / "dataset.json").write_text(json.dumps(text), encoding="utf-8")


def measure(what: str, folder: Path) -> dict[str, float]:
    """Run one verb in a process of its own."""
    code = MEASURED + CODE[what] + ENDING
    command = [sys.executable, "-W", "ignore", "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(counts: list[int]) -> None:
    """A table, and the slope of each column's memory."""
    print("| songs | what | songs/s | MB resident | MB of its own |\n|---|---|---|---|---|")
    found: dict[str, list[tuple[int, float]]] = {}
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            begin = time.perf_counter()
            make_songs(folder / "songs", count)
            print(f"| {count} | (written) | {count / (time.perf_counter() - begin):.0f} | | |")
            for what in CODE:
                values = measure(what, folder)
                own, all_ = values["RssAnon"] / 1e3, values["VmRSS"] / 1e3
                found.setdefault(what, []).append((count, own))
                rate = count / values["seconds"]
                print(f"| {count} | {what} | {rate:.1f} | {all_:.0f} | {own:.0f} |", flush=True)
    for what, points in found.items():
        (few, first), (many, last) = points[0], points[-1]
        if many > few:
            print(f"{what}: {1000 * (last - first) / (many - few):.1f} kB for one more song")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, nargs="+", default=[250, 1000])
    main(parser.parse_args().songs)
