"""`diagnose` names exactly what is wrong with every sample, with the right exit bits, and touches nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from forensics import samples
from forensics.seal import compare, seal

HEALTHY: dict[str, set[str]] = {}
DAMAGED = {
    "0.6.3/pickle-of-0.6": {"CF501"},
    "1.2.1/peek-failure": {"CF501", "CF701"},
    "1.2.1/peek-failure-few": {"CF406", "CF501"},
    "1.5.9/flush-cut": {"CF303"},
    "1.5.9/flush-cut-reopened": {"CF307", "CF412"},
    "1.5.9/link-lists-bloated": {"CF307"},
    "1.5.9/neighbour-out-of-range": {"CF601"},
    "1.5.9/pickle-lost": {"CF401"},
    "1.5.9/pickle-truncated": {"CF403"},
    "1.5.9/set-aside": {"CF501"},
    "1.5.9/sql-only-orphans": {"CF501", "CF601"},
    "1.5.9/watermark-poisoned": {"CF203", "CF501"},
}
"""Codes above a note. sql-only-orphans: the stale writer also left links to elements that its flush cut off."""
UNSAFE = {
    "1.5.9/pickle-lost",
    "1.5.9/pickle-truncated",
    "1.5.9/flush-cut-reopened",
    "1.5.9/watermark-poisoned",
}
"""Opening the last one purges the queue rows that its index never got."""


def _diagnose(store) -> tuple[int, dict]:
    command = [sys.executable, "-P", "-m", "forensics", "diagnose", str(store), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout, parse_constant=pytest.fail)


def test_every_sample_is_either_healthy_or_has_its_codes():
    healthy = {name for name in samples.names() if name.split("/")[1].startswith("healthy")}

    assert healthy | DAMAGED.keys() == set(samples.names())
    assert len(healthy) >= 6


@pytest.mark.parametrize("name", samples.names())
def test_the_codes_the_exit_status_and_an_untouched_store(sample, name):
    store = sample(name)
    before = seal(store)

    status, found = _diagnose(store)

    above = {finding["code"] for finding in found["findings"] if finding["severity"] != "note"}
    assert above == DAMAGED.get(name, set())
    assert status == (4 if name in DAMAGED else 0)
    assert found["store"]["safe_to_open"] is (name not in UNSAFE)
    assert compare(before, seal(store)) == ()
    assert samples.differences(name, store) == []


@pytest.mark.parametrize("name", samples.names())
def test_records_are_indexed_pending_or_missing(sample, name):
    _, found = _diagnose(sample(name))

    for one in found["collections"]:
        if one["indexed"] is not None:
            assert one["records"] == one["indexed"] + one["pending"] + one["missing"]
        truth = samples.truth(name)[one["name"]]
        assert one["space"] == truth.space
        assert one["dimension"] == (truth.vectors.shape[1] if truth.ids else one["dimension"])


def test_the_same_store_gives_the_same_json(sample):
    store = sample("1.2.1/peek-failure")

    assert _diagnose(store) == _diagnose(store)


def test_the_two_peek_failures_are_told_apart(sample):
    """Both raise `Error finding id`; in one the index was started anew, in the other a few labels are lost."""
    _, many = _diagnose(sample("peek-failure"))
    _, few = _diagnose(sample("peek-failure-few"))

    def only(found):
        return next(finding for finding in found["findings"] if finding["code"] == "CF501")

    assert only(many)["causes"][0]["name"] == "index-removed-after-purge"
    assert only(few)["causes"][0]["name"] != "index-removed-after-purge"
    assert only(few)["remedy"]["loses"] == 0
    assert only(many)["count"] > 100 > only(few)["count"]
