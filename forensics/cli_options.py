"""The options of a repair, in groups that several verbs share."""

from __future__ import annotations

from argparse import ArgumentParser


def add_embedder(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--embedder",
        metavar="MODULE:CALLABLE",
        help="or path/to/file.py:callable; callable(list[str]) -> (n, dim) float32; or configured: what each"
        " collection's own configuration names",
    )
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="documents that the embedder gets at once"
    )
    parser.add_argument(
        "--requests-per-minute", type=float, metavar="N", help="how often the embedder may be asked"
    )


def add_embedding(parser: ArgumentParser) -> None:
    add_embedder(parser)
    parser.add_argument(
        "--also",
        metavar="PATH",
        action="append",
        default=[],
        help="another copy of the store to take vectors from",
    )
    parser.add_argument(
        "--source",
        metavar="FILE",
        action="append",
        default=[],
        help="your own source of ids and vectors: Parquet, npz, JSONL, FILE.sqlite#TABLE, or http://HOST:PORT/COLLECTION",
    )


def add_planning(parser: ArgumentParser) -> None:
    add_embedding(parser)
    parser.add_argument(
        "--accept-loss",
        metavar="CF…",
        action="append",
        default=[],
        help="approve what a lossy remedy discards",
    )
    parser.add_argument(
        "--also-fix", metavar="CF…", action="append", default=[], help="housekeeping to be done as well"
    )
    parser.add_argument(
        "--ids", choices=("trim", "delete", "keep"), default="trim", help="what becomes of malformed ids"
    )
    parser.add_argument(
        "--quarantine",
        "--set-aside-unsearchable",
        dest="set_aside_unsearchable",
        action="store_true",
        help="move records that no source can heal into the case, so that the rest works (restore-quarantined: back)",
    )
    parser.add_argument(
        "--unverified-embedder",
        action="store_true",
        help="re-embed though no vector survives to compare with",
    )
    parser.add_argument(
        "--price-per-million-tokens", type=float, metavar="X", help="what the plan reckons embedding with"
    )
    parser.add_argument(
        "--stop-at-failed-record",
        action="store_true",
        help="change nothing where one document cannot be embedded (else the others are repaired)",
    )
    parser.add_argument(
        "--rebuild",
        metavar="NAME|*",
        action="append",
        default=[],
        help="build the index of this collection (*: of every one) again, whatever is found",
    )
    parser.add_argument(
        "--search-every-vector",
        action="store_true",
        help="search every vector by itself, not only those that the repair could have cost a link",
    )
    parser.add_argument(
        "--M", type=int, metavar="N", help="neighbours of an element in what --rebuild builds"
    )
    parser.add_argument("--ef-construction", type=int, metavar="N", help="the care with which it is built")
    parser.add_argument(
        "--max-elements",
        type=int,
        metavar="N",
        help="capacity of the repaired index (default: its records and 10 %%; never below them)",
    )
    parser.add_argument(
        "--purge-queue",
        action="store_true",
        help="delete queue rows that both segments hold, their vectors bit for bit in the repaired index",
    )
    parser.add_argument(
        "--target-chromadb",
        metavar="VERSION",
        help="make it a store of this older release too: what it does not know is taken away, settings are put where it"
        " reads them",
    )
    parser.add_argument(
        "--add",
        choices=("native", "mapped"),
        help="add missing vectors by hnswlib, which loads the index whole, or on its memory-mapped files"
        " (default: as memory allows)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="1 gives the same files every time (default: all cores for a new index, 1 to add to one)",
    )


def add_applying(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--yes", action="store_true", help="do what keeps every byte of information, in the store or the case"
    )
    parser.add_argument(
        "--nobody-else-uses-it", action="store_true", help="say so where the system cannot show it"
    )
    parser.add_argument(
        "--in-place",
        metavar="UNDOFILE",
        help="where a draft has no room beside the store: change files of the index where they stand, never the"
        " database; UNDOFILE, on another disk, holds what is overwritten",
    )
    parser.add_argument(
        "--engine",
        metavar="VERSION",
        help="the chromadb release that verifies (default: the one installed); none: our own checks alone",
    )
