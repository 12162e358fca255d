"""The whole way in one script: a folder of songs in, an adapter and a song out.

    python recipes/teach_a_style.py SONGS --tag myjazz --model acestep-v15-turbo

Each verb is a generator of events; a script may print them, count them, or stop in between.
"""

import argparse
from pathlib import Path

from acestep import (
    AceStepPipeline,
    ExportConfig,
    LabelConfig,
    PreprocessConfig,
    ScanConfig,
    TrainConfig,
    export,
    label,
    preprocess,
    scan,
    train,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("songs", type=Path)
    parser.add_argument("--tag", default="mystyle")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="length of the song made at the end"
    )
    parser.add_argument("--work", type=Path, default=Path("work"))
    args = parser.parse_args()

    dataset, tensors, run = args.work / "dataset.json", args.work / "tensors", args.work / "run"
    steps = [
        scan(ScanConfig(songs=args.songs, output=dataset, tag=args.tag)),
        label(LabelConfig(dataset=dataset)),
        preprocess(PreprocessConfig(dataset=dataset, output=tensors, model=args.model)),
        train(TrainConfig(tensors=tensors, output=run, epochs=args.epochs, rank=args.rank)),
        export(ExportConfig(run=run, output=args.work / "my_lora")),
    ]
    for events in steps:
        for event in events:
            print(event)

    pipeline = AceStepPipeline(model_path=args.model, lora_path=args.work / "my_lora")
    song = pipeline.generate(caption=f"{args.tag}, piano and drums", duration=args.seconds)
    song.save(args.work / "with.flac")
    pipeline.disable_lora()
    song = pipeline.generate(caption=f"{args.tag}, piano and drums", duration=args.seconds)
    song.save(args.work / "without.flac")


if __name__ == "__main__":
    main()
