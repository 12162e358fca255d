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
            width=5.54,
            queries=13.32,
            keys=7.88,
            inner=5.28,
            outputs=1,
            ranks=3.32,
            dropped=5.14,
            condition=2.45,
            largest=0.03,
        ),
        "products": Bytes(
            width=7.84, queries=8.08, keys=4.6, inner=3.93, ranks=2.08, condition=1.9, adapter=0.11
        ),
        "attention": Bytes(width=2, queries=4.06),
        "full": Bytes(width=2),
    },
    ("bfloat16", True): {
        "none": Bytes(queries=24.35, keys=28.97, outputs=5.4, dropped=7.06, weights=0.61),
        "products": Bytes(
            queries=2.5,
            keys=14.66,
            inner=6.33,
            outputs=0.22,
            ranks=6.45,
            dropped=1.75,
            largest=0.43,
        ),
        "attention": Bytes(width=2, queries=4.06),
        "full": Bytes(width=2),
    },
    ("float32", False): {
        "none": Bytes(
            width=28.02, queries=42.26, keys=16.38, outputs=1.8, dropped=6.04, condition=1.1
        ),
        "products": Bytes(
            width=13.75, queries=16.02, keys=11.87, inner=8.16, ranks=4.07, condition=3.49
        ),
        "attention": Bytes(width=4, queries=8.06),
        "full": Bytes(width=4),
    },
    ("float32", True): {
        "none": Bytes(
            width=8.39,
            queries=21.45,
            keys=13.52,
            inner=13.71,
            outputs=9.69,
            ranks=12.23,
            dropped=6.31,
            largest=0.16,
        ),
        "products": Bytes(
            width=9.69, queries=16.51, keys=7.47, inner=9.09, outputs=1.16, ranks=0.82, dropped=3.39
        ),
        "attention": Bytes(width=4, queries=8.06),
        "full": Bytes(width=4),
    },
}
WORKING: Table = {
    ("bfloat16", False): {
        "none": Bytes(width=9.08, outputs=1.01, largest=0.12),
        "products": Bytes(
            width=13.22,
            queries=10.11,
            keys=4.02,
            outputs=2.27,
            dropped=5.35,
            condition=4.43,
            adapter=0.34,
            largest=0.45,
        ),
        "attention": Bytes(
            queries=1.53,
            keys=7.5,
            inner=15.36,
            outputs=0.77,
            ranks=1.57,
            dropped=6.17,
            condition=4.02,
            adapter=0.51,
            largest=0.4,
        ),
        "full": Bytes(
            width=4.5,
            queries=9.13,
            keys=5.89,
            inner=13.77,
            outputs=0.36,
            dropped=5.79,
            weights=0.35,
        ),
    },
    ("bfloat16", True): {
        "none": Bytes(outputs=1.19, weights=3.17, largest=3.3),
        "products": Bytes(
            queries=10.98, keys=3.09, outputs=7.61, dropped=5.31, weights=0.48, largest=17.01
        ),
        "attention": Bytes(queries=17.73, outputs=8.96, dropped=7.14, adapter=8.99, largest=18.84),
        "full": Bytes(queries=26.62, outputs=5.37, dropped=10.61, weights=2.66, largest=10.83),
    },
    ("float32", False): {
        "none": Bytes(
            queries=8.5, keys=22.7, outputs=0.55, ranks=118.72, adapter=0.5, weights=0.02
        ),
        "products": Bytes(
            width=25.19,
            queries=9.17,
            keys=2.14,
            inner=10.75,
            outputs=0.83,
            ranks=5.03,
            dropped=6.13,
            condition=2.33,
        ),
        "attention": Bytes(
            width=26.46,
            queries=37.37,
            inner=15.09,
            outputs=0.26,
            ranks=8.68,
            dropped=6.23,
            condition=14.35,
        ),
        "full": Bytes(
            width=8.94,
            queries=21.16,
            keys=27.7,
            inner=24.83,
            outputs=0.72,
            dropped=6.45,
            condition=16.7,
            adapter=0.55,
        ),
    },
    ("float32", True): {
        "none": Bytes(outputs=4, weights=2.49, largest=1.09),
        "products": Bytes(
            queries=31.75, outputs=13.96, condition=20.14, weights=1.22, largest=9.35
        ),
        "attention": Bytes(
            width=1.63,
            queries=4.67,
            inner=24.02,
            outputs=14.71,
            ranks=30.49,
            dropped=5.78,
            weights=2.74,
        ),
        "full": Bytes(keys=12.46, inner=25.5, outputs=17.89, dropped=5.33, weights=3.62),
    },
}
