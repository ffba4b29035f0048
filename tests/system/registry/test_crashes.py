"""kill -9 of the registry and of its database in the midst of their work; `make bench-registry` does it at 50 moments."""

from collections.abc import Iterator

import pytest

from bench.registry import crashes, invariants
from bench.registry.callers import Batches, Moves, Uploads
from bench.registry.crashes import Moment, Rounds

KINDS = {Uploads: 0.2, Moves: 0.4, Batches: 0.3}
# What each would look like, done to the tables by hand.
DAMAGES = {
    "the sums": ("UPDATE model_performance_logs SET correct = correct + 1", "an hour's sums are not those of its rows"),
    "the labels": ("UPDATE label_counts SET count = count + 1", "an hour's labels are not those of its rows"),
    "the predictions": (
        "DELETE FROM predictions WHERE id = '1-7'",
        "1 predictions were acknowledged and are not there",
    ),
    "the outcomes": ("DELETE FROM outcomes WHERE id = '1-7'", "1 outcomes were acknowledged and are not there"),
    "a move": ("DELETE FROM transitions WHERE why = 'move 1'", "2 moves were acknowledged, and there are"),
    "a stage": ("UPDATE model_registry SET stage = 'ARCHIVED'", "a version's stage is not the target of its last move"),
    "the log": ("UPDATE audit_log SET actor = 'eve' WHERE seq = 2", "the audit log's chain is broken"),
    "its end": ("DELETE FROM audit_log WHERE seq = (SELECT max(seq) FROM audit_log)", "the log's head is not its last"),
    "the artifacts": ("DELETE FROM artifacts", "is in the store and has no row"),
    "the versions": (
        "UPDATE model_registry SET version = '9.9.9' WHERE version = '1.0.0' AND hyperparameters ? 'seed'",
        "1.0.0 was registered and is not there",
    ),
}


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rounds]:
    with crashes.open_rounds("folder", tmp_path_factory.mktemp("crashes")) as opened:
        yield opened


def test_nothing_acknowledged_is_lost_and_nothing_is_half_there(rounds):
    for victim in crashes.VICTIMS:
        for kind, seconds in KINDS.items():
            rounds.play(Moment(kind, victim, seconds))
    rounds.look_at_all()
    assert rounds.tally.problems == []
    # Else nothing was tried.
    assert rounds.tally.acknowledged > 20
    assert rounds.tally.cut_off >= 6


def test_what_is_lost_or_half_there_would_be_seen(rounds):
    callers = [kind(rounds.client, seed) for seed, kind in enumerate(KINDS)]
    with rounds.client() as client, rounds.registry.client("admin") as admin:
        for caller in callers:
            caller.prepare()
            caller.step(client)
            caller.step(client)

        def look() -> str:
            found = [sentence for caller in callers for sentence in caller.check(client, rounds.database)]
            return "\n".join([*found, *invariants.check(rounds.database, rounds.store, admin)])

        assert look() == ""
        file = next(path for path in (rounds.scratch / "artifacts").rglob("model") if path.is_file())
        content = file.read_bytes()
        file.write_bytes(content[:-1])
        assert "bytes by its row, and -1 in the store" in "\n".join(
            invariants.check(rounds.database, rounds.store, admin)
        )
        file.unlink()
        assert "has a row and is not in the store" in "\n".join(invariants.check(rounds.database, rounds.store, admin))
        file.write_bytes(content)
        for damage, sentence in DAMAGES.values():
            # Past what refuses to change the log.
            rounds.server.execute("SET session_replication_role = replica", damage, database=crashes.NAME)
            assert sentence in look(), damage


def test_the_moments_are_drawn_alike_each_time_and_of_each_pair_as_many():
    moments = crashes.plan(crashes.MOMENTS)
    assert moments == crashes.plan(crashes.MOMENTS)
    pairs = [(moment.kind, moment.victim) for moment in moments]
    assert {pairs.count(pair) for pair in pairs} == {8, 9}
    assert len(set(pairs)) == 6
