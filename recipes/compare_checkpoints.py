"""Hear every checkpoint of a run: the same prompt and seed, one file each.

python recipes/compare_checkpoints.py runs/jazz --caption "myjazz, piano trio" -o samples
"""

import argparse
from pathlib import Path

from acestep import AceStepPipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--caption", required=True)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("-o", "--output", type=Path, default=Path("samples"))
    args = parser.parse_args()

    pipeline = AceStepPipeline(model_path=args.model)
    checkpoints = list((args.run / "checkpoints").glob("epoch_*"))
    if not checkpoints:
        parser.error(f"{args.run} has no checkpoints")
    for checkpoint in sorted(checkpoints, key=lambda path: path.stat().st_mtime):
        pipeline.load_lora(checkpoint)
        song = pipeline.generate(caption=args.caption, duration=args.seconds, seed=args.seed)
        song.save(args.output / f"{checkpoint.name}.flac")
        pipeline.unload_lora()
        print(args.output / f"{checkpoint.name}.flac")


if __name__ == "__main__":
    main()
