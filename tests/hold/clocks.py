"""The clock rows of attacks.md 15, each by its id, on a gateway whose wall clock is moved.

TIME-01  +1 h, +1 d, +10 y, running and stopped, while mails are held: no early release.
TIME-02  -1.5 s, -1 h, to 1970, running and stopped: late at most; ids stay unique; it neither
         spins nor sleeps through what is due; TLS goes on in both directions.
TIME-05  release times on both sides of 2^31 and 2^32 seconds; deadline 0.
"""
import datetime
import os
import signal
import time

from mails import HOUR_MS, Clock, arrivals, judge_early, send_all

DAY_MS = 24 * HOUR_MS
SOON = [30, 45, 60]                  # tenths of a second
LATER = [36000, 864000, 6 * 864000]  # an hour, a day, six days
CPU_SHARE_MAX = 0.05                 # of one core, of all threads together, with nothing to do
LEAD_SECONDS = 9                     # between the start of a gateway and the edge


def cpu_seconds(gate):
    with open(f"/proc/{gate.pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idles(gate, what, seconds=1.5):
    before = cpu_seconds(gate)
    time.sleep(seconds)
    share = (cpu_seconds(gate) - before) / seconds
    assert share <= CPU_SHARE_MAX, f"{what}: {share:.0%} of a core with nothing to do"
    return share


def speaks_tls(gate):
    """Handshake and AUTH on both services; the certificate is of another time by now."""
    for service in ("submission", "submissions"):
        with gate.client(service) as c:
            assert c.command("NOOP").code == 250, service


def is_sane(gate, what):
    """Nothing that was counted from a clock went below zero."""
    status, code = gate.ctl("status")
    row = status[0]
    assert code == 0 and not row["stopping"], row
    numbers = [row["uptime_ms"], *(w["silent_ms"] for w in row["workers"]),
               *(p["late_ms_max"] for p in row["partitions"])]
    assert all(n < HOUR_MS for n in numbers), f"{what}: {row}"
    return row["clock"]


def moment(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def open_tokens(gate):
    """{token: recipient} of what is not finished; a mail's subject is its token."""
    return {row["subject"]: row["recipients"][0] for row in gate.list()}


def forward(build, count, rng):
    from harness import Gateway, Sink, tenths_policy, wait_until
    clock, sent, wall = Clock(build), {}, 0
    with Sink("--tls") as sink:
        with Gateway(route=sink.address, policy=tenths_policy(SOON + LATER), build=build,
                     env=clock.env) as gate:
            for n, jump in enumerate((HOUR_MS, DAY_MS, 3653 * DAY_MS)):
                send_all(gate.relay, count // 6, SOON + LATER, f"r{n}-", rng, sent)
                wall += jump
                clock.set(wall)
                send_all(gate.relay, count // 6, SOON + LATER, f"s{n}-", rng, sent)
                speaks_tls(gate)
                gate.stop()
                wall += jump
                clock.set(wall)
                gate.start()
                is_sane(gate, f"+{jump} ms")
            soon = {t for t, (_, hold) in sent.items() if hold * 10 in SOON}
            wait_until(lambda: soon <= set(arrivals(sink)), 30, "what was held for seconds")
            came = judge_early(sent, sink)
            late = max(min(came[t]) - sent[t][0] - sent[t][1] for t in soon)
            share = idles(gate, "20 years ahead")
            later = open_tokens(gate)
            assert set(later) == set(sent) - soon, "held mails are missing"
            for token, recipient in later.items():
                left = moment(recipient["release_at"]) - (time.time() + wall / 1000)
                gone = time.time() - sent[token][0]
                assert recipient["state"] == "waiting", recipient
                assert abs(left + gone - sent[token][1]) < 5, f"{token}: shown as in {left} s"
            jumps = gate.log("clock_jumped")
            assert len(jumps) >= 6, f"{len(jumps)} jumps in the log"
            for row in gate.list():
                gate.ctl("release", row["id"])
            wait_until(lambda: len(arrivals(sink)) == len(sent), 30, "what was released by hand")
            judge_early({}, sink)
    return (f"{len(sent)} mails, none early, none lost; latest by {late:.2f} s; "
            f"{share:.1%} of a core at rest")


def back(build, count, rng):
    from harness import Gateway, Sink, tenths_policy, wait_until
    clock, sent, ids, shares = Clock(build), {}, [], []
    to_1970 = -int(time.time() * 1000) + 5000
    steps = [("-1.5 s", -1500, False), ("-1 h", -HOUR_MS, False), ("1970", to_1970, False),
             ("1970, started there", to_1970, True), ("-1 h, started there", -HOUR_MS, True),
             ("1970 again", to_1970, False), ("put right", 0, False)]
    # Some are put off, so that retries count from clocks that moved, too.
    with Sink("--tls", "--reject-rcpt", "450:10", content=True) as sink:
        with Gateway(route=sink.address, policy=tenths_policy([0] + SOON), build=build,
                     settings={"retry_first": "1s", "retry_longest": "1s"}, env=clock.env) as gate:
            for n, (what, offset, stopped) in enumerate(steps):
                send_all(gate.relay, count // 14, SOON, f"a{n}-", rng, sent, ids)
                if stopped:
                    gate.stop()
                clock.set(offset)
                if stopped:
                    gate.start()
                shares.append(idles(gate, what))
                send_all(gate.relay, count // 14, [0] + SOON, f"b{n}-", rng, sent, ids)
                speaks_tls(gate)
                os.kill(gate.pid, signal.SIGHUP)
                here = {t for t, (_, hold) in sent.items() if t.startswith(f"b{n}-")}
                wait_until(lambda: here <= set(arrivals(sink)), 60, f"what was sent with {what}")
                is_sane(gate, what)
            judge_early(sent, sink)
            behind = is_sane(gate, "put right")["behind_ms"]
            gate.ctl("clock", "confirm")  # every hold is over, by any clock
            wait_until(lambda: len(arrivals(sink)) == len(sent), 30,
                       "every mail, the clock confirmed")
            came = judge_early(sent, sink)
            assert not gate.list(), "a queue that is not empty"
            clear = [envelope for _, envelope in sink.content() if b"\nTLS yes" not in envelope]
            assert not clear, f"{len(clear)} sent without TLS"
            assert not [row for row in gate.log() if row.get("level") == "error"], "errors logged"
            assert len(gate.log("clock_jumped")) >= 4, "jumps are not in the log"
    assert len(set(ids)) == len(ids) == len(sent), "an id was given twice"
    return (f"{len(came)} mails, none early, none lost, all by TLS; ids unique; at "
            f"most {max(shares):.1%} of a core at rest; {behind // 1000} s behind at the end")


def far(build, count, rng):
    """Each gateway is new, so that it takes the clock as it is."""
    from harness import Gateway, Sink, tenths_policy, wait_until
    words = []
    for edge in (1 << 31, 1 << 32):
        clock, sent = Clock(build), {}
        with Sink() as sink:
            with Gateway(route=sink.address, policy=tenths_policy([0] + SOON + LATER), build=build,
                         env=clock.env, start=False) as gate:
                clock.set(int((edge - time.time() - LEAD_SECONDS) * 1000))
                gate.start()
                ahead = edge - LEAD_SECONDS - time.time()
                send_all(gate.relay, count, [0] + SOON + LATER, "x-", rng, sent)
                soon = {t for t, (_, hold) in sent.items() if hold * 10 not in LATER}
                while time.time() + ahead < edge - 3:
                    time.sleep(0.05)
                send_all(gate.relay, count, SOON, "edge-", rng, sent)
                soon |= {t for t in sent if t.startswith("edge-")}
                wait_until(lambda: soon <= set(arrivals(sink)), 30, f"mails around {edge}")
                came = judge_early(sent, sink)
                late = max(min(came[t]) - sent[t][0] - sent[t][1] for t in soon)
                assert late < 3, f"late by {late} s around {edge}"
                gate.restart(kill=True)
                later = open_tokens(gate)
                assert set(later) == set(sent) - soon, "held mails are missing"
                for token, recipient in later.items():
                    due = sent[token][0] + ahead + sent[token][1]
                    assert abs(moment(recipient["release_at"]) - due) < 5, recipient
                idles(gate, f"beyond {edge}")
                for row in gate.list():
                    gate.ctl("release", row["id"])
                wait_until(lambda: len(arrivals(sink)) == len(sent), 30, "what was released")
                words.append(f"{len(sent)} mails around {edge}, latest by {late:.2f} s")
    return "; ".join(words)
