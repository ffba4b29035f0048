"""Measuring a rollout from raw samples, read from a server that answers ranges as Prometheus does."""

import dataclasses
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from serin.adapters import analysis, prometheus
from serin.core.evidence import Criterion, Kind, Verdict
from serin.core.model import Analysis, Revision, State
from serin.core.phases import Phase
from serin.render.plans import Query
from support import servers
from support.rollouts import V1, V2, at, state

ERRORS = Criterion("errorRate", Kind.ERROR_RATE, maximum=0.05)
SLOW = Criterion("latencyP95", Kind.LATENCY, maximum=0.25, quantile=0.95)
CANARY = state(Phase.CANARY)
KEY = ("trading", "momentum")


@dataclass
class Source:
    """Series by labels, as a scrape every second would fill them, and what queries give."""

    series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = field(default_factory=dict)
    queries: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now: float = 0.0
    answers: bool = True

    async def answer(self, request: web.Request) -> web.StreamResponse:
        query = request.query["query"]
        self.asked.append(query)
        if not self.answers:
            return web.Response(status=503)
        found = re.search(r"\[(\d+)ms\]$", query)
        if not found:
            values = [{"metric": {}, "value": [0, self.queries[query]]}] if query in self.queries else []
            return web.json_response({"status": "success", "data": {"resultType": "vector", "result": values}})
        oldest = at(self.now).timestamp() - int(found[1]) / 1000
        result = [
            {"metric": dict(labels), "values": [[time, str(value)] for time, value in samples if time > oldest]}
            for labels, samples in self.series.items()
        ]
        data = {"resultType": "matrix", "result": [found for found in result if found["values"]]}
        return web.json_response({"status": "success", "data": data})

    def scrape(self, of: Revision, seconds: Iterable[int], per_second: float, pod: str = "0", **labels: str) -> None:
        """Add samples of a counter that grows steadily from the first of these seconds on."""
        own = {"revision": of.revision, "pod": pod, **labels}
        samples = self.series.setdefault(tuple(sorted(own.items())), [])
        value = samples[-1][1] if samples else 0.0
        for number, second in enumerate(seconds):
            value += per_second if number or samples else 0.0
            samples.append((at(second).timestamp(), value))


class World:
    """An analyst and its source."""

    def __init__(self, url: str, source: Source) -> None:
        self.source = source
        self.client = prometheus.Prometheus(url)
        self.analyst = analysis.Analyst(self.client)

    async def look(self, now: float, of: State = CANARY, minimum: float = 100, **asked: Any) -> Analysis:
        self.source.now = now
        criteria = asked.get("criteria", (ERRORS,))
        question = analysis.Question(KEY, of, criteria, asked.get("queries", ()), minimum)
        return await self.analyst.analyse(question, at(now))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    source = Source()
    async with servers.serve(source.answer) as served:
        made = World(served.url, source)
        yield made
        await made.client.close()


def fill(source: Source, until: int, ok: float = 9, failed: float = 0, stable: float = 90) -> None:
    """Scrapes from second 50 on; the step began at 100."""
    source.scrape(V2, range(50, until), ok, outcome="ok")
    source.scrape(V2, range(50, until), failed, outcome="failed")
    source.scrape(V1, range(50, until), stable, outcome="ok")


async def test_a_good_step_passes_and_its_traffic_follows(world: World) -> None:
    fill(world.source, 151)
    found = await world.look(150, CANARY)
    assert (found.verdict, found.since, found.sampled) == (Verdict.PASS, CANARY.since, True)
    assert found.message == "errorRate: 0 of 441 requests failed; the limit is 5.0%"
    assert found.share == pytest.approx(9 / 99)
    assert found.verified is True


async def test_a_version_that_fails_a_fifth_fails(world: World) -> None:
    fill(world.source, 131, ok=8, failed=2)
    found = await world.look(130)
    assert found.verdict is Verdict.FAIL
    assert found.message.startswith("errorRate: 58 of 290 requests failed, at least ")


async def test_reading_often_counts_what_reading_once_counts(world: World) -> None:
    fill(world.source, 151, failed=0.25)
    looks = [await world.look(now) for now in (101, 102, 107, 125, 150)]
    world.analyst.forget(KEY)
    assert await world.look(150) == looks[-1]


async def test_later_reads_ask_for_little(world: World) -> None:
    fill(world.source, 151)
    await world.look(140)
    await world.look(150)
    spans = [int(re.findall(r"\[(\d+)ms\]", query)[0]) / 1000 for query in world.source.asked]
    assert spans == [analysis.LOOKBACK_SECONDS + 40, analysis.OVERLAP_SECONDS + 10]


async def test_a_new_step_counts_anew(world: World) -> None:
    fill(world.source, 151)
    await world.look(120)
    later = dataclasses.replace(CANARY, since=at(140))
    assert (await world.look(150, later)).message == "errorRate: 81 of at least 100 requests so far"


async def test_too_few_requests_prove_nothing(world: World) -> None:
    fill(world.source, 106)
    found = await world.look(105)
    assert (found.verdict, found.verified) == (Verdict.INSUFFICIENT, True)


async def test_pods_and_restarts_are_counted(world: World) -> None:
    fill(world.source, 121)
    world.source.scrape(V2, range(110, 121), 9, pod="1", outcome="ok")
    labels = tuple(sorted({"revision": V2.revision, "pod": "1", "outcome": "ok"}.items()))
    world.source.series[labels] += [(at(121 + n).timestamp(), 9.0 * n) for n in range(3)]
    found = await world.look(123)
    assert found.message == f"errorRate: 0 of {19 * 9 + 10 * 9 + 2 * 9} requests failed; the limit is 5.0%"


async def test_an_outage_is_a_verdict_of_its_own(world: World) -> None:
    fill(world.source, 151)
    world.source.answers = False
    found = await world.look(150)
    assert (found.verdict, found.verified, found.drained, found.sampled) == (Verdict.UNAVAILABLE, None, False, False)
    world.source.answers = True
    assert (await world.look(150)).verdict is Verdict.PASS


async def test_old_samples_say_nothing_of_now(world: World) -> None:
    fill(world.source, 151)
    found = await world.look(150 + analysis.STALE_SECONDS + 1)
    assert found.verdict is Verdict.UNAVAILABLE
    assert found.message == "the newest sample of this version in Prometheus is 121 s old"


async def test_a_version_that_nobody_scrapes(world: World) -> None:
    world.source.scrape(V1, range(50, 151), 90, outcome="ok")
    found = await world.look(150)
    assert (found.verdict, found.sampled) == (Verdict.INSUFFICIENT, False)
    assert "is its PodMonitor in place?" in found.message


async def test_before_the_route_has_the_step_nothing_is_asked(world: World) -> None:
    found = await world.look(150, dataclasses.replace(CANARY, since=None))
    assert (found.verdict, world.source.asked) == (Verdict.INSUFFICIENT, [])


async def test_latencies_are_counted_at_their_bucket(world: World) -> None:
    for le, per_second in (("0.25", 8.0), ("+Inf", 9.0)):
        world.source.scrape(V2, range(50, 151), per_second, le=le)
    fill(world.source, 151)
    found = await world.look(150, criteria=(SLOW,))
    assert found.message.startswith("latencyP95: 49 of 441 answers took longer than 250 ms")


async def test_what_it_refuses_is_held_against_stable(world: World) -> None:
    fill(world.source, 151, ok=0)
    world.source.scrape(V2, range(50, 151), 9, outcome="refused")
    found = await world.look(150)
    assert found.verdict is Verdict.FAIL
    assert found.message == "refusals: 441 of 441 requests refused, while the stable version refused 0 of 4410"


async def test_queries_know_what_they_are_about(world: World) -> None:
    fill(world.source, 151)
    text = "f($namespace,$name,$revision,$version,$stable,$other)"
    world.source.queries = {f"f(trading,momentum,{V2.revision},1.1.0,{V1.revision},$other)": "7"}
    query = Query(Criterion("queue", Kind.QUERY, maximum=5.0), text)
    found = await world.look(150, queries=(query,))
    assert (found.verdict, found.message) == (Verdict.FAIL, "queue: the query gives 7; allowed is max 5")


LEAVING = state(Phase.SUPERSEDED)


async def test_a_version_that_is_leaving_is_drained_when_two_scrapes_agree(world: World) -> None:
    world.source.scrape(V2, range(50, 103), 9, outcome="ok")
    assert not (await world.look(102, LEAVING)).drained, "it may have answered until its first scrape"
    world.source.scrape(V2, range(103, 106), 0, outcome="ok")
    assert (await world.look(105, LEAVING)).drained


async def test_a_first_scrape_after_the_withdrawal_is_not_enough(world: World) -> None:
    world.source.scrape(V2, range(70, 101, 30), 9, outcome="ok")
    world.source.scrape(V2, [130], 0, outcome="ok")
    assert not (await world.look(131, LEAVING)).drained
    world.source.scrape(V2, [160], 0, outcome="ok")
    assert (await world.look(161, LEAVING)).drained


async def test_a_version_that_goes_on_answering_is_not_drained(world: World) -> None:
    world.source.scrape(V2, range(50, 161), 1, outcome="ok")
    found = await world.look(160, LEAVING)
    assert (found.drained, found.drain_message) == (
        False,
        "the withdrawn version was still answering at its last scrape",
    )
