"""The counts and the questions of the ledger, on answers made by hand and by hypothesis."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin_demo import ledger


def make_answer(
    at: float, version: str | None = "1.0.0", outcome: ledger.Outcome = ledger.Outcome.OK, took: float = 0.01
) -> ledger.Answer:
    return ledger.Answer("http", at - took, at - took, at, "200", version, outcome)


def make_ledger(*answers: ledger.Answer) -> ledger.Ledger:
    book = ledger.Ledger()
    for answer in answers:
        book.record(answer)
    return book


FAILED, WRONG = ledger.Outcome.FAILED, ledger.Outcome.WRONG
# 1.2.0 is bad: it answers from 3 to 6 and fails at 4 and 5; at 5.5 the gateway itself fails once.
ROLLBACK = make_ledger(
    make_answer(1),
    make_answer(2),
    make_answer(3, "1.2.0"),
    make_answer(4, "1.2.0", FAILED),
    make_answer(5, "1.2.0", FAILED),
    make_answer(5.5, None, FAILED),
    make_answer(6, "1.2.0"),
    make_answer(7),
    make_answer(8, "1.0.0", WRONG),
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        pytest.param(len, 9, id="every answer counts"),
        pytest.param(lambda book: book.first_answer("1.2.0"), 3, id="the first answer of a version"),
        pytest.param(lambda book: book.first_failure("1.2.0"), 4, id="the first failure of a version"),
        pytest.param(lambda book: book.first_failure("1.2.0", since=4.5), 5, id="the first failure since then"),
        pytest.param(lambda book: book.first_failure("1.0.0"), 8, id="a wrong answer is a failure"),
        pytest.param(lambda book: book.first_failure("9.9.9"), None, id="an unknown version never failed"),
        pytest.param(lambda book: book.last_answer("1.2.0"), 6, id="the last answer of a version"),
        pytest.param(lambda book: book.last_answer("1.2.0", until=6), 5, id="the last answer before then"),
        pytest.param(lambda book: book.last_answer("9.9.9"), None, id="an unknown version never answered"),
        pytest.param(
            lambda book: [lost.finished for lost in book.lost({"1.2.0"})],
            [5.5, 8],
            id="failures of the gateway and of a good version are lost, those of the bad one are not",
        ),
        pytest.param(lambda book: len(book.lost()), 4, id="with no version known to be bad every failure is lost"),
    ],
)
def test_the_ledger_answers(question, answer):
    assert question(ROLLBACK) == answer


def test_a_window_counts_only_its_seconds():
    window = ROLLBACK.window(seconds=3, now=8)

    assert window.answers == {"1.2.0": 2, None: 1, "1.0.0": 2}
    assert window.failures == {"1.2.0": 1, None: 1, "1.0.0": 1}
    assert (window.total, window.failed) == (5, 3)


def test_shares_are_of_answers_that_a_version_gave():
    counted = ROLLBACK.total()

    assert counted.share("1.2.0") == 4 / 8
    assert counted.error_rate("1.2.0") == 2 / 4
    assert counted.error_rate(None) == 1.0


def test_of_nothing_every_share_is_zero():
    empty = ledger.Ledger().total()

    assert (empty.total, empty.failed, empty.share("1.0.0"), empty.error_rate("1.0.0")) == (0, 0, 0.0, 0.0)
    assert math.isnan(ledger.quantile([], 0.99))


@pytest.mark.parametrize(
    ("rank", "seconds"),
    [
        pytest.param(0.5, 0.05, id="half of ten answers came within the fifth latency"),
        pytest.param(0.99, 0.1, id="99 % of ten answers is all of them"),
        pytest.param(0.0, 0.01, id="rank 0 is the fastest"),
    ],
)
def test_quantiles_take_the_nearest_rank(rank, seconds):
    answers = [make_answer(10, took=step / 100) for step in (3, 1, 2, 5, 4, 8, 7, 6, 10, 9)]

    assert ledger.quantile(answers, rank) == pytest.approx(seconds)


ANSWERS = st.lists(
    st.tuples(st.floats(0, 100), st.sampled_from(["1.0.0", "1.1.0", None]), st.sampled_from(ledger.Outcome)),
    max_size=40,
).map(lambda rows: [make_answer(*row) for row in sorted(rows, key=lambda row: row[0])])


@given(ANSWERS, st.floats(0, 100))
def test_two_halves_of_a_ledger_are_the_whole(answers, cut):
    book = make_ledger(*answers)

    assert [*book.between(end=cut), *book.between(cut)] == answers
    assert len(book.lost()) == book.total().failed
    assert sum(book.total().share(version) for version in ("1.0.0", "1.1.0")) == pytest.approx(
        1.0 if any(answer.version for answer in answers) else 0.0
    )
