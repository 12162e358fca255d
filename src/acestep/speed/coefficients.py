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
            width=17.58,
            queries=18.79,
            keys=12.02,
            inner=6.72,
            outputs=0.91,
            ranks=0.57,
            dropped=4.57,
            adapter=2.12,
        ),
        "products": Bytes(width=19.93, queries=5.25, condition=2.77),
        "attention": Bytes(width=2, queries=4.06),
        "full": Bytes(width=2),
    },
    ("bfloat16", True): {
        "none": Bytes(
            width=14.07,
            queries=23.26,
            keys=3.16,
            inner=6.93,
            outputs=4.81,
            ranks=19.21,
            dropped=7.87,
            weights=0.51,
            largest=0.78,
        ),
        "products": Bytes(width=19.53, queries=6.05, inner=0.09, condition=6.96, dropped=1.13),
        "attention": Bytes(width=2, queries=4.06),
        "full": Bytes(width=2),
    },
    ("float32", False): {
        "none": Bytes(
            width=10.88,
            queries=22.28,
            keys=15.26,
            inner=13.23,
            outputs=1.55,
            ranks=8.24,
            dropped=5.74,
            adapter=0.13,
            weights=0.03,
        ),
        "products": Bytes(width=39.34, queries=10.59, condition=5.55),
        "attention": Bytes(width=4, queries=8.06),
        "full": Bytes(width=4),
    },
    ("float32", True): {
        "none": Bytes(
            width=10.29,
            queries=22.34,
            keys=15.66,
            inner=13.28,
            outputs=9.52,
            ranks=7.68,
            dropped=5.87,
            adapter=0.17,
            weights=0.05,
        ),
        "products": Bytes(width=40.08, queries=11.57, condition=13.87, dropped=2.04),
        "attention": Bytes(width=4, queries=8.06),
        "full": Bytes(width=4),
    },
}
WORKING: Table = {
    ("bfloat16", False): {
        "none": Bytes(width=1.89, outputs=1.14, ranks=3.01, weights=0.09),
        "products": Bytes(
            width=8.79,
            queries=11.84,
            keys=2.45,
            inner=9.39,
            outputs=1.68,
            dropped=5.93,
            adapter=2.06,
        ),
        "attention": Bytes(
            width=24.5,
            queries=15.35,
            keys=4.12,
            inner=10.68,
            outputs=0.97,
            dropped=5.87,
            adapter=2.71,
        ),
        "full": Bytes(
            width=24.6,
            queries=19.47,
            keys=4.31,
            inner=10.62,
            outputs=0.96,
            dropped=5.86,
            adapter=2.71,
        ),
    },
    ("bfloat16", True): {
        "none": Bytes(outputs=2.34, weights=1.28, largest=7.46),
        "products": Bytes(queries=3.82, inner=5.03, outputs=11.52, dropped=7.42, largest=20.59),
        "attention": Bytes(
            queries=6.68, keys=13.41, inner=11.48, outputs=10.56, dropped=7.21, largest=19.49
        ),
        "full": Bytes(
            queries=10.87, keys=14.06, inner=11.47, outputs=10.6, dropped=7.21, largest=19.13
        ),
    },
    ("float32", False): {
        "none": Bytes(width=1.97, inner=6.13, outputs=0.43, ranks=5.69, adapter=1.26, weights=0.06),
        "products": Bytes(queries=8.52, inner=18.14, outputs=2.37, dropped=6.13, adapter=0.85),
        "attention": Bytes(
            width=16.47,
            queries=16.41,
            keys=15.73,
            inner=23.86,
            condition=4.99,
            outputs=0.39,
            ranks=10.94,
            dropped=5.89,
            adapter=0.52,
            weights=0.04,
        ),
        "full": Bytes(
            width=16.99,
            queries=24.4,
            keys=14.96,
            inner=23.71,
            condition=5.08,
            outputs=0.44,
            ranks=10.45,
            dropped=5.91,
            adapter=0.5,
            weights=0.04,
        ),
    },
    ("float32", True): {
        "none": Bytes(outputs=1.77, dropped=2.11, weights=0.96, largest=10.38),
        "products": Bytes(inner=7.54, outputs=14.33, dropped=7.11, largest=16.8),
        "attention": Bytes(
            width=2.87,
            queries=4.06,
            keys=7.72,
            inner=21.82,
            outputs=13.2,
            dropped=8.15,
            largest=14.52,
        ),
        "full": Bytes(
            width=2.95,
            queries=12.46,
            keys=9.13,
            inner=21.77,
            outputs=13.17,
            dropped=7.96,
            largest=14.27,
        ),
    },
}
