"""Tampering with a finished repair: its case, its old store and its new one, to see that `verify.py` tells.

Whoever tampers may also put the hashes right again (`reseal`). What they cannot do is to make the stores agree with what
they wrote, where a FACT is concerned, or to keep the seal that was printed.
"""

from __future__ import annotations

import csv
import os
import random
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forensics.proof.standalone import Side, Tree, digest, fingerprint, run
from forensics.testing.tampering_stores import (
    Finished,
    add_a_file,
    break_a_link,
    change_an_old_row,
    change_an_old_vector,
    count_one_less,
    drop_a_link,
    drop_a_queue_row,
    drop_a_record,
    edit_a_document,
    edit_metadata,
    edit_the_catalogue,
    flag_deleted,
    flip_a_bit,
    move_the_enterpoint,
    put_the_original_back,
    rename_an_id,
    swap_labels,
    swap_vectors,
)


def _lines(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text(
        "".join(change(path.read_text(encoding="utf-8").splitlines(keepends=True))), encoding="utf-8"
    )


def cut_a_list(done: Finished, dice: random.Random) -> None:
    """The last line of a file of evidence is gone."""
    _lines(dice.choice(done.evidence("*.csv")), lambda lines: lines[:-1])


def _provenance(done: Finished, change: Callable[[list[list[str]]], None]) -> None:
    name = next(claim["provenance"] for claim in done.read("proof.json")["collections"])
    with open(done.case / name, newline="", encoding="utf-8") as handle:
        rows = list(csv.reader(handle))
    change(rows)
    with open(done.case / name, "w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows(rows)


def hide_an_origin(done: Finished, dice: random.Random) -> None:
    _provenance(done, lambda rows: rows.__delitem__(dice.randrange(1, len(rows))))


def change_a_label(done: Finished, dice: random.Random) -> None:
    def change(rows: list[list[str]]) -> None:
        row = dice.choice([row for row in rows[1:] if row[1]])
        row[1] = str(int(row[1]) + dice.randrange(1, 5))

    _provenance(done, change)


def call_it_kept(done: Finished, dice: random.Random) -> None:
    """A record that was brought back, embedded again or lost is said to have been in the index all along."""

    def change(rows: list[list[str]]) -> None:
        others = [row for row in rows[1:] if row[2] != "kept in the index"]
        row = dice.choice(others or rows[1:])
        row[2:] = ["kept in the index", "", "", "True"] if others else ["lost", "", "", ""]

    _provenance(done, change)


def call_it_lost(done: Finished, dice: random.Random) -> None:
    def change(rows: list[list[str]]) -> None:
        dice.choice([row for row in rows[1:] if row[2] != "lost"])[2] = "lost"

    _provenance(done, change)


def change_a_source(done: Finished, dice: random.Random) -> None:
    def change(rows: list[list[str]]) -> None:
        row = dice.choice(rows[1:])
        row[3] = row[3] + "-elsewhere"

    _provenance(done, change)


def hide_a_loss(done: Finished, dice: random.Random) -> None:
    lost = done.evidence("lost-*.csv")
    if lost:
        _lines(
            lost[0],
            lambda lines: [line for at, line in enumerate(lines) if at != 1 + dice.randrange(len(lines) - 1)],
        )
    else:
        _edit_numbers(done, "result.json", "lost", dice)


def invent_a_loss(done: Finished, dice: random.Random) -> None:
    lost = done.evidence("lost-*.csv")
    if lost:
        _lines(lost[0], lambda lines: [*lines, f"invented-{dice.randrange(100)},nobody knows\n"])
    else:
        _edit_numbers(done, "verdict.json", "lost", dice)


def _edit_numbers(done: Finished, name: str, what: str, dice: random.Random) -> None:
    value = done.read(name)
    place = value["records"] if name == "result.json" else dice.choice(value["effects"])
    place[what] = (place[what] or 0) + dice.choice([-1, 1])
    done.write(name, value)


def edit_a_result(done: Finished, dice: random.Random) -> None:
    _edit_numbers(
        done, "result.json", dice.choice(["before", "after", "reattached", "reembedded", "lost"]), dice
    )


def edit_a_verdict(done: Finished, dice: random.Random) -> None:
    _edit_numbers(
        done, "verdict.json", dice.choice(["before", "after", "reattached", "lost", "set_aside"]), dice
    )


def edit_a_plan(done: Finished, dice: random.Random) -> None:
    value = done.read("plan.json")
    dice.choice(value["actions"])["loses"] += 1
    done.write("plan.json", value)


def drop_an_action(done: Finished, dice: random.Random) -> None:
    value = done.read("plan.json")
    value["actions"].pop(dice.randrange(len(value["actions"])))
    done.write("plan.json", value)


def edit_a_detail(done: Finished, dice: random.Random) -> None:
    value = done.read("verdict.json")
    dice.choice(value["tests"])["detail"] += " (all)"
    done.write("verdict.json", value)


def drop_a_finding(done: Finished, dice: random.Random) -> None:
    name = dice.choice(["diagnosis.json", "diagnosis-after.json"])
    value = done.read(name)
    value["findings" if value["findings"] else "checks"].pop()
    done.write(name, value)


def edit_a_manifest(done: Finished, dice: random.Random) -> None:
    name = dice.choice(["manifest.json", "manifest-after.json"])
    value = done.read(name)
    entry = dice.choice([entry for entry in value["entries"] if entry["kind"] == "file"])
    entry["sha256"] = f"{dice.getrandbits(256):064x}"
    done.write(name, value)


def edit_the_proof(done: Finished, dice: random.Random) -> None:
    value = done.read("proof.json")
    claim = dice.choice(value["collections"])["after"]
    claim[dice.choice(["records", "indexed", "reachable"])] += 1
    done.write("proof.json", value)


def edit_the_report(done: Finished, dice: random.Random) -> None:
    path = done.case / "report.html"
    text = path.read_text(encoding="utf-8")
    digits = [at for at, letter in enumerate(text) if letter.isdigit()]
    at = dice.choice(digits)
    path.write_text(text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :], encoding="utf-8")


def edit_the_log(done: Finished, dice: random.Random) -> None:
    _lines(done.case / "log.jsonl", lambda lines: [*lines[:1], *lines[2:]])


def remove_evidence(done: Finished, dice: random.Random) -> None:
    os.unlink(dice.choice(done.evidence("*")))


def add_evidence(done: Finished, dice: random.Random) -> None:
    (done.case / "evidence" / f"extra-{dice.randrange(1000)}.csv").write_text("id\n", encoding="utf-8")


def edit_the_program(done: Finished, dice: random.Random) -> None:
    with open(done.case / "verify.py", "a", encoding="utf-8") as handle:
        handle.write("# nothing to see here\n")


Tampering = Callable[[Finished, random.Random], None]
FACTS: tuple[Tampering, ...] = (
    swap_vectors, flip_a_bit, swap_labels, flag_deleted, break_a_link, count_one_less, move_the_enterpoint, rename_an_id,
    drop_a_record, hide_an_origin, change_a_label, call_it_kept, call_it_lost, hide_a_loss, invent_a_loss, edit_a_result,
    edit_a_verdict, edit_the_proof, put_the_original_back,
)  # fmt: skip
"""What the stores themselves speak against, whatever hashes were put right."""
OTHERS: tuple[Tampering, ...] = (
    drop_a_link, add_a_file, edit_a_document, edit_metadata, drop_a_queue_row, edit_the_catalogue, change_an_old_vector,
    change_an_old_row, cut_a_list, change_a_source, edit_a_plan, drop_an_action, edit_a_detail, drop_a_finding,
    edit_a_manifest, edit_the_report, edit_the_log, remove_evidence, add_evidence, edit_the_program,
)  # fmt: skip
"""What is told by the hashes, and, where somebody put all of them right, by the seal that was printed."""
ALL = (*FACTS, *OTHERS)


def outcome(finished: Finished, *, printed: bool) -> list[str]:
    """The tests that fail; with `printed` the seal that the repair printed is known."""
    lines = run(finished.case, finished.old, finished.new, finished.seal if printed else None)
    return [f"{name}: {detail}" for name, passed, detail in lines if passed is False]


def reseal(done: Finished) -> None:
    """Every hash in the case is that of what stands there now, and what is claimed of each side is what it holds."""
    for name, store in (("manifest.json", done.old), ("manifest-after.json", done.new)):
        value = done.read(name)
        for entry in (entry for entry in value["entries"] if entry["kind"] == "file"):
            path = store / entry["path"]
            if path.is_file():
                entry["size"], entry["sha256"] = path.stat().st_size, digest(path, entry["extents"])
        done.write(name, value)
    proof = done.read("proof.json")
    for claim in proof["collections"]:
        _claim_again(done, claim)
    there = [
        *(n for n in proof["files"] if (done.case / n).is_file()),
        *(f"evidence/{p.name}" for p in done.evidence("*")),
    ]
    proof["files"] = {name: digest(done.case / name) for name in sorted(set(there))}
    proof["logs"] = {}
    proof["seal"] = fingerprint({name: value for name, value in proof.items() if name != "seal"})
    done.write("proof.json", proof)
    done.write("report.json", {"seal": proof["seal"], "sha256": digest(done.case / "report.html")})


_MANIFESTS = {"before": "manifest.json", "after": "manifest-after.json"}


def _claim_again(done: Finished, claim: dict[str, Any]) -> None:
    for when, store in (("before", done.old), ("after", done.new)):
        told = claim[when]
        if "vectors" in told:
            try:
                now = Side(Tree(store, store, done.read(_MANIFESTS[when])), claim, True).told()
            except (ValueError, KeyError, sqlite3.Error, struct.error):
                continue
            told.update({name: now[name] for name in told if name in now})


def tamper(done: Finished, seed: int) -> tuple[str, bool]:
    """One seeded tampering is done; its name, and whether all hashes were put right afterwards."""
    dice = random.Random(seed)
    chosen = ALL[seed % len(ALL)]
    chosen(done, dice)
    put_right = chosen is not edit_the_proof and dice.random() < 0.5
    if put_right:
        reseal(done)
    return chosen.__name__, put_right


def detected(finished: Finished, seed: int, folder: Path) -> tuple[str, bool, bool, bool]:
    """(name, hashes put right, told without the printed seal, told with it) of one tampering in an empty folder."""
    copy = finished.copied(folder)
    name, put_right = tamper(copy, seed)
    alone, with_seal = bool(outcome(copy, printed=False)), bool(outcome(copy, printed=True))
    shutil.rmtree(folder)
    return name, put_right, alone, with_seal
