"""Bytes that a step keeps and works with, by what they grow with; see :mod:`acestep.speed.memory`.

Fitted, not derived: ``benchmarks/memory.py`` prints these tables.
"""

from dataclasses import dataclass

from acestep.speed.levels import Level


@dataclass(frozen=True)
class Bytes:
    """Bytes for each patch and channel of: a token's width, queries, keys (and values), the inner
    width of the MLP, the outputs of adapted layers, their ranks, and their inputs where dropout
    falls on them; for each token and channel of the ``condition``; for each number of an
    ``adapter``, of the adapted ``weights``, and of the ``largest`` of these."""

    width: float = 0
    queries: float = 0
    keys: float = 0
    inner: float = 0
    outputs: float = 0
    ranks: float = 0
    dropped: float = 0
    condition: float = 0
    adapter: float = 0
    weights: float = 0
    largest: float = 0


Table = dict[tuple[str, bool], dict[Level, Bytes]]

KEPT: Table = {
    ("bfloat16", False): {
        "none": Bytes(
            width=18.34,
            queries=22.4,
            keys=10.8,
            inner=4.64,
            condition=3.18,
            outputs=1,
            dropped=5.29,
            adapter=0.43,
            weights=0.07,
        ),
        "products": Bytes(
            width=7.68, queries=8.34, keys=4.9, inner=3.86, condition=1.73, ranks=1.4, adapter=0.1
        ),
        "attention": Bytes(width=2, queries=4.06),
        "full": Bytes(width=2),
    },
    ("bfloat16", True): {
        "none": Bytes(
            width=9.38,
            queries=6.34,
            keys=14.04,
            inner=11.79,
            condition=5.26,
            outputs=5.51,
            ranks=27.97,
            dropped=5.92,
            largest=4.05,
        ),
        "products": Bytes(
            width=5.4,
            queries=6.71,
            keys=5.63,
            inner=5.15,
            condition=1.19,
            dropped=1.59,
            adapter=1.42,
        ),
        "attention": Bytes(width=2, queries=4.06),
        "full": Bytes(width=2),
    },
    ("float32", False): {
        "none": Bytes(
            width=9.91,
            queries=23.46,
            keys=11.29,
            inner=12.31,
            condition=3.97,
            outputs=2.04,
            dropped=6.7,
            largest=0.06,
        ),
        "products": Bytes(
            width=15.3,
            queries=16.58,
            keys=9.83,
            inner=7.75,
            condition=3.44,
            outputs=0.03,
            ranks=2.8,
            adapter=0.21,
        ),
        "attention": Bytes(width=4, queries=8.06),
        "full": Bytes(width=4),
    },
    ("float32", True): {
        "none": Bytes(
            width=10.37,
            queries=23.88,
            keys=11.52,
            inner=12.03,
            condition=3.97,
            outputs=10,
            dropped=6.7,
            largest=0.07,
        ),
        "products": Bytes(
            width=12.73,
            queries=14.56,
            keys=11.24,
            inner=9.27,
            condition=2.19,
            outputs=0.03,
            dropped=3.15,
            adapter=2.89,
        ),
        "attention": Bytes(width=4, queries=8.06),
        "full": Bytes(width=4),
    },
}
WORKING: Table = {
    ("bfloat16", False): {
        "none": Bytes(condition=0.62, outputs=1.57),
        "products": Bytes(
            width=17.57,
            queries=15.91,
            keys=9.84,
            inner=4.98,
            condition=5.42,
            outputs=0.4,
            ranks=1.54,
            dropped=5.35,
            weights=0.03,
        ),
        "attention": Bytes(
            width=23.32,
            queries=20.16,
            keys=14.96,
            inner=8.82,
            condition=7.15,
            outputs=0.4,
            ranks=3.2,
            dropped=5.33,
            weights=0.04,
        ),
        "full": Bytes(
            width=23.32,
            queries=24.18,
            keys=14.91,
            inner=8.85,
            condition=7.16,
            outputs=0.4,
            ranks=3.33,
            dropped=5.33,
            weights=0.03,
        ),
    },
    ("bfloat16", True): {
        "none": Bytes(ranks=37.84, adapter=0.93, weights=1.58),
        "products": Bytes(
            width=1.83,
            keys=1.74,
            inner=9.96,
            outputs=7.98,
            dropped=4.15,
            adapter=5.23,
            largest=17.4,
        ),
        "attention": Bytes(
            width=34.71,
            queries=10.9,
            inner=2.7,
            outputs=8.55,
            ranks=15.67,
            dropped=5.34,
            adapter=7.64,
            largest=14.28,
        ),
        "full": Bytes(
            width=38.71,
            queries=16.89,
            inner=1.02,
            outputs=8.57,
            ranks=12.03,
            dropped=5.27,
            adapter=8.57,
            largest=13.87,
        ),
    },
    ("float32", False): {
        "none": Bytes(width=4.26, queries=7.77, keys=12.46, condition=6.63, outputs=1.84),
        "products": Bytes(
            width=6.25,
            queries=9.98,
            keys=9.48,
            inner=13.54,
            condition=6.89,
            outputs=0.92,
            dropped=6.77,
        ),
        "attention": Bytes(
            width=19.03,
            queries=19.91,
            keys=19.73,
            inner=20.43,
            condition=10.52,
            outputs=0.94,
            dropped=6.69,
        ),
        "full": Bytes(
            width=19.19,
            queries=28.07,
            keys=19.66,
            inner=20.38,
            condition=10.51,
            outputs=0.93,
            dropped=6.69,
        ),
    },
    ("float32", True): {
        "none": Bytes(width=6.34, outputs=4.13, largest=4.83),
        "products": Bytes(
            width=15.48,
            queries=1.8,
            inner=7.84,
            outputs=10.54,
            ranks=37.69,
            dropped=3.94,
            largest=10.81,
        ),
        "attention": Bytes(
            width=36.34, queries=19.99, inner=13.45, outputs=11.17, dropped=6.35, largest=6.52
        ),
        "full": Bytes(
            width=36.91, queries=28.83, inner=13.15, outputs=11.14, dropped=6.33, largest=6.28
        ),
    },
}
