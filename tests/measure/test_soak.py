"""A short evening with guests who misbehave; the long one is ``duologue bench soak``."""

from __future__ import annotations

import asyncio
import json

import pytest
import websockets.asyncio.client as ws
from click.testing import CliRunner

from duologue.measure.cli import bench
from duologue.measure.serving import own_server
from duologue.measure.soak import Look, slope, thirds
from duologue.measure.trouble import MISBEHAVIOURS, make_trouble
from duologue.protocol.moshi import HANDSHAKE


def test_the_slope_is_megabytes_an_hour() -> None:
    steady = [Look(at, 100.0 + at / 3600, 10) for at in range(0, 600, 5)]
    assert slope(steady, 0.0) == pytest.approx(1.0)
    early = [Look(at, 50.0 + at, 10) for at in range(0, 100, 5)]
    later = [Look(at, 150.0, 10) for at in range(100, 600, 5)]
    assert slope([*early, *later], 100.0) == pytest.approx(0.0, abs=1e-6), "what is loaded once is no leak"
    assert slope(steady[:1], 0.0) == 0.0


def test_memory_is_told_alone_and_in_the_halves_beside_others() -> None:
    looks = [Look(at, megabytes, 10) for at, megabytes in ((5, 900), (65, 100), (80, 110), (95, 120))]
    looks += [Look(at, 200 + at / 10, 10) for at in (110, 150, 190, 210, 250, 290, 300.1)]
    assert thirds(looks, 300.0) == (110.0, 215.0, 227.0)
    assert thirds([], 300.0) == (0.0, 0.0, 0.0)


def test_nobody_is_lost_and_nothing_is_left_behind() -> None:
    done = CliRunner().invoke(
        bench, ["soak", "--minutes", "0.4", "--sessions", "1", "--troublemakers", "3", "--seed", "3", "--json"]
    )
    assert done.exit_code == 0, done.output
    run = json.loads(done.stdout)
    assert run["asked"] >= 3
    assert run["unanswered"] == [0, 0]
    assert sum(run["misbehaved"].values()) >= 4
    assert set(run["misbehaved"]) == set(MISBEHAVIOURS["realtime"])
    before, after = run["descriptors"]
    assert after <= before + 2, "sockets of those who died are closed"


async def test_a_server_of_moshis_protocol_outlives_them_too() -> None:
    kinds = MISBEHAVIOURS["moshi"]
    async with own_server(model="echo", sessions=len(kinds)) as server:
        each = (make_trouble(server.url, 1, 1.0, kind, protocol="moshi") for kind in kinds)
        done = [list(deeds.items()) for deeds in await asyncio.gather(*each)]
        assert [(name, many > 0) for ((name, many),) in done] == [(kind, True) for kind in kinds]
        async with ws.connect(server.url.replace("http", "ws", 1) + "/api/chat", proxy=None) as socket:
            assert await asyncio.wait_for(socket.recv(), 5.0) == HANDSHAKE
