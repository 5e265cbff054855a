"""The command line as argparse sees it. It may grow; nothing is removed or changed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from forensics import __version__
from forensics.cli_options import add_applying, add_embedder, add_embedding, add_planning
from forensics.errors import UsageError
from forensics.templates import templates


class Parser(argparse.ArgumentParser):
    """Raises UsageError instead of leaving with status 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}; see `{self.prog} --help`.")


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog="forensics",
        description="A file-system check for Chroma's local vector stores.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"forensics {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)
    _looking(verbs)
    _telling(verbs)
    _embedding(verbs)
    _repairing(verbs)
    _on_a_case(verbs)
    _saving(verbs)
    _others(verbs)
    return parser


def _verb(verbs: Any, name: str, text: str, *, store: bool = False) -> Parser:
    parser: Parser = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
    if store:
        parser.add_argument("store", metavar="STORE", help="the folder that holds chroma.sqlite3")
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="json: one JSON object on stdout"
    )
    parser.add_argument(
        "--case", metavar="DIR", help="the case folder (default: ./forensics-case-<store>-<UTC>)"
    )
    parser.add_argument("--collection", metavar="NAME|UUID", help="only this collection")
    parser.add_argument("--segment", metavar="UUID", help="only the collection of this vector segment")
    parser.add_argument(
        "--metadata-segment", metavar="UUID", help="the METADATA sibling where it cannot be found"
    )
    parser.add_argument("--only", metavar="CODE,…", action="append", default=[], help="only these checks")
    parser.add_argument(
        "--except", metavar="CODE,…", dest="skip", action="append", default=[], help="not these checks"
    )
    parser.add_argument("--dry-run", action="store_true", help="stop at the plan")
    return parser


def _verbose(*parsers: Parser) -> None:
    for parser in parsers:
        parser.add_argument("-v", "--verbose", action="store_true", help="notes and every step whole, too")


def _looking(verbs: Any) -> None:
    diagnose = _verb(verbs, "diagnose", "What is wrong, by looking alone. Writes nothing.", store=True)
    diagnose.add_argument("--deep", action="store_true", help="the slow checks as well")
    add_embedding(diagnose)
    _verbose(diagnose)
    probe = _verb(verbs, "probe", "What each API call does, on a throw-away copy, in a child.", store=True)
    probe.add_argument(
        "--chromadb",
        metavar="VERSION",
        action="append",
        default=[],
        help="a release to ask (default: the one installed)",
    )
    _verb(verbs, "past", "What the store once had and has nowhere any more, with its proof.", store=True)

    foretell = _verb(
        verbs, "foretell", "What each API call would do, told from the files without an engine.", store=True
    )
    foretell.add_argument(
        "--chromadb", metavar="VERSION", action="append", default=[], help="a release (default: 1.5.9)"
    )


def _telling(verbs: Any) -> None:
    _verb(
        verbs,
        "timeline",
        "What happened to the store and when, which releases have touched it, and which can open it.",
        store=True,
    )
    classify = _verb(
        verbs, "classify", "Every id by what is left of it, divided by prefix and metadata.", store=True
    )
    classify.add_argument(
        "--id-pattern", metavar="RE", help="a regular expression: its first group is what ids are divided by"
    )
    classify.add_argument(
        "--by", metavar="KEY", action="append", default=[], help="a metadata key by which ids are divided"
    )
    classify.add_argument(
        "--also",
        metavar="PATH",
        action="append",
        default=[],
        help="another copy of the store that may hold vectors",
    )
    classify.add_argument("-o", "--output", metavar="FILE", help="a Parquet file with a row per id")


def _embedding(verbs: Any) -> None:
    embedder = _verb(verbs, "embedder", "Whether an embedder reproduces the vectors that survive in a store.")
    embedder.add_argument("store", nargs="?", metavar="STORE", help="the folder that holds chroma.sqlite3")
    embedder.add_argument("--check", action="store_true", help="try it; writes nothing")
    embedder.add_argument(
        "--template", metavar="NAME", help=f"print one to begin with: {', '.join(templates())}"
    )
    add_embedder(embedder)


def _repairing(verbs: Any) -> None:
    plan = _verb(
        verbs, "plan", "What would be done, and what it would lose. Writes nothing in the store.", store=True
    )
    add_planning(plan)
    apply = _verb(verbs, "apply", "Carries out a plan on a draft, verifies it, swaps it in.")
    add_applying(apply)
    apply.add_argument("--resume", action="store_true", help="finish what was interrupted")
    apply.add_argument("--to", metavar="DIR", help="write a repaired copy there instead")
    repair = _verb(verbs, "repair", "diagnose, plan, apply, verify and report in one go.", store=True)
    add_planning(repair)
    add_applying(repair)
    _verbose(plan, apply, repair)


def _on_a_case(verbs: Any) -> None:
    verify = _verb(verbs, "verify", "The same checks again, against what the plan predicted.")
    verify.add_argument("--engine", metavar="VERSION")
    undo = _verb(verbs, "undo", "The store as it was before `apply`, byte for byte.")
    undo.add_argument(
        "--discard-later-writes",
        action="store_true",
        help="undo although the store was written since; the newer store is kept",
    )
    undo.add_argument(
        "--nobody-else-uses-it", action="store_true", help="say so where the system cannot show it"
    )
    report = _verb(verbs, "report", "The incident report as one HTML file.")
    report.add_argument("-o", "--output", metavar="FILE")
    report.add_argument("--include-documents", action="store_true", help="do not redact document text")
    report.add_argument("--include-ids", action="store_true", help="do not shorten ids")
    case = _verb(verbs, "case", "What is kept of a case.")
    case.add_argument(
        "what", choices=("release",), help="release: delete the kept original; there is no undo afterwards"
    )
    export = _verb(verbs, "export", "All records that can be recovered, with where each vector comes from.")
    export.add_argument("--to", metavar="FORMAT", choices=("jsonl", "npz", "parquet"), default="jsonl")
    export.add_argument("-o", "--output", metavar="FILE")
    export.add_argument(
        "--anonymous", action="store_true", help="also the vectors of the index that no id maps to"
    )


def _saving(verbs: Any) -> None:
    rescue = _verb(
        verbs, "rescue", "Copies deleted files of a store out of a living process that has them open."
    )
    rescue.add_argument(
        "--pid", metavar="N", type=int, required=True, help="the process; do not stop it before"
    )
    rescue.add_argument("--to", metavar="DIR", help="a new folder for the copies (default: ./rescued-N)")
    add_embedder(rescue)
    back = _verb(
        verbs, "restore-quarantined", "Puts back what a repair moved into its case, as a repair of its own."
    )
    back.add_argument("file", metavar="FILE", help="a JSON-lines file in the evidence of a case")
    back.add_argument("--store", metavar="STORE", help="where it goes (default: the store of its case)")
    back.add_argument("--yes", action="store_true", help="do it; without, the plan is shown")
    back.add_argument(
        "--nobody-else-uses-it", action="store_true", help="say so where the system cannot show it"
    )
    back.add_argument("--engine", metavar="VERSION", help="the chromadb release that verifies")
    _verbose(back)


def _others(verbs: Any) -> None:
    copy = _verb(verbs, "copy", "A sparse-aware copy of a store, verified by hash.", store=True)
    copy.add_argument("dest", metavar="DEST")
    explain = _verb(verbs, "explain", "What a code or an error message means.")
    explain.add_argument("what", metavar="CODE|MESSAGE", nargs="?", help="nothing: every code with its name")
    lab = _verb(verbs, "lab", "JupyterLab on a case of that store.")
    lab.add_argument("store", nargs="?", metavar="STORE")
    lab.add_argument("--no-browser", action="store_true")
    lab.add_argument("--port", type=int, default=8888)


def codes(given: Sequence[str]) -> tuple[str, ...]:
    """The codes in repeated, comma-separated options, in capitals."""
    return tuple(code.strip().upper() for item in given for code in item.split(",") if code.strip())


NARROWING = ("collection", "segment", "metadata_segment", "only", "skip")
HEEDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("diagnose", "plan", "repair"), NARROWING),
    **dict.fromkeys(("apply", "undo", "case"), NARROWING),  # these refuse what would make them do less
    **dict.fromkeys(("past", "probe"), ("collection", "segment")),
    **dict.fromkeys(("classify", "embedder", "export"), ("collection", "segment", "metadata_segment")),
    "foretell": ("collection", "segment"),
}


def unheeded(options: argparse.Namespace) -> tuple[str, ...]:
    """A sentence for each option that may be given everywhere, was given, and says nothing to this verb."""
    given = [name for name in NARROWING if getattr(options, name)]
    names = [name for name in given if name not in HEEDED.get(options.verb, ())]
    written = ["--except" if name == "skip" else f"--{name.replace('_', '-')}" for name in names]
    return tuple(f"{name} says nothing to `forensics {options.verb}` and was not heeded." for name in written)
