"""kill -9 at random times and at every killpoint, under load (CRASH-01, 08, 09, 11; H-1, H-2, H-7).

One sink for the whole run. Clients send mails of one and of four recipients with holds from none to
two seconds, some so large that their bodies go to extents. A person discards and releases. The
daemon is killed and started again and again on the same directory; at the end everything must
settle, and the judge looks at both ledgers, at what was promised to the person, and at what the
gateway says itself.
"""
import collections
import os
import random
import threading
import time

from gate import (Control, Gate, Load, NotStarted, Sink, in_background, policy, sender_token,
                  wait_until)
from judge import History, judge

HOLDS = [0, 3, 10, 20, 36000]
MANY = ["a@h0.example", "b@h0.example", "c@h3.example", "d@h20.example"]
ONE = ["e@h10.example"]
LONG = ["f@h36000.example"]  # survivors, so that reclaim has something to copy; released at the end
ROUND_SECONDS = 8
SETTLE_SECONDS = 60
# How late a killpoint may be passed: a count that leaves some time for work before it.
POINTS = {"before-write": 60, "after-write": 60, "after-sync": 60, "after-answer": 60,
          "after-index": 60, "mid-reclaim": 3, "mid-recycle": 2, "mid-replay": 40}


def recipients_of(token):
    return {"m": MANY, "o": ONE, "l": LONG}.get(token[:1])


def hold_of(recipient):
    return int(recipient.partition("@h")[2].partition(".")[0]) / 10


class Person:
    """Discards and releases what waits, whether or not the gateway lives to answer."""

    def __init__(self, gate, history, rng):
        self.gate, self.history, self.rng = gate, history, rng
        self.over = threading.Event()
        self.counts = collections.Counter()
        self.control = self.join = None

    def come(self):
        self.join = in_background(self.work)

    def leave(self):
        self.over.set()
        if self.join:
            self.join()
        self.join = None

    def work(self):
        while not self.over.is_set():
            try:
                self.control = self.control or Control(self.gate.control)
                self.some()
            except (OSError, ValueError):
                if self.control:
                    self.control.close()
                self.control = None
            time.sleep(0.03)

    def some(self):
        listed, _ = self.control.ask("list")
        waiting = [(row, r["address"]) for row in listed if sender_token(row)
                   for r in row["recipients"] if r["state"] in ("waiting", "held", "retry")]
        for row, address in self.rng.sample(waiting, min(len(waiting), 4)):
            verb = self.rng.choice(["discard", "discard", "release", "hold"])
            whole = self.rng.random() < 0.3
            self.change(verb, row, None if whole else address)
            if verb == "hold":
                self.change("release", row, None if whole else address)

    def change(self, verb, row, address):
        token = sender_token(row)
        keys = {(token, r["address"]) for r in row["recipients"] if address in (None, r["address"])}
        if verb == "discard":
            self.history.discard_asked |= keys
        else:
            self.history.release_asked |= keys
        only = {"recipient": address} if address else {}
        answers, _ = self.control.ask(verb, id=row["id"], **only)
        done = {(token, a["address"]) for a in answers if a["done"]}
        self.counts[verb] += len(done)
        if verb == "discard":
            self.history.discard_done |= done


class Run:
    def __init__(self, gate, sink, rng, top):
        self.gate, self.sink, self.rng = gate, sink, rng
        self.history = History(recipients_of, hold_of)
        self.person = Person(gate, self.history, random.Random(rng.random()))
        self.ledger = os.path.join(top, "load")
        self.loads, self.round, self.log = [], 0, []
        self.fired = collections.Counter()
        self.restart_seconds = []
        self.points = []

    def keep_loading(self):
        if any(load.running() for load in self.loads):
            return
        self.round += 1
        for load in self.loads:
            load.kill()
        seed = self.rng.randrange(1 << 30)
        self.loads = [
            Load(self.gate, f"m{self.round}", MANY, "2k:60,20k:30,200k:10", 50, ROUND_SECONDS,
                 self.ledger, seed=seed),
            Load(self.gate, f"o{self.round}", ONE, "1k:60,300k:30,1m:10", 8, ROUND_SECONDS,
                 self.ledger, connections=3, seed=seed),
            Load(self.gate, f"l{self.round}", LONG, "4k", 3, ROUND_SECONDS, self.ledger,
                 connections=1, seed=seed)]

    def warm(self):
        """Fill segments and leave something long-lived in each, so that reclaim has work."""
        loads = [Load(self.gate, "o0", ONE, "200k", 50, 4, self.ledger),
                 Load(self.gate, "l0", LONG, "2k", 40, 4, self.ledger, connections=2)]
        self.start()
        for load in loads:
            load.wait()
            load.kill()
        assert self.gate.kill() == -9
        self.history.outages.append((time.time(), None))

    def next_point(self):
        if not self.points:
            self.points = list(POINTS)
            self.rng.shuffle(self.points)
        return self.points.pop()

    def start(self, env=None):
        """False: it died at its killpoint before it was ready."""
        try:
            self.gate.start(env)
        except NotStarted as refused:
            if refused.status != -9 or not env:
                raise
            return False
        finally:
            self.fix_outage()
        self.restart_seconds.append(self.gate.started_at - self.gate.spawned_at)
        return True

    def fix_outage(self):
        """The crash before this start is over: from now on another process delivers."""
        if self.history.outages and self.history.outages[-1][1] is None:
            self.history.outages[-1] = (self.history.outages[-1][0], self.gate.spawned_at)

    def crash(self):
        """Live a while, then die, at a point or at a time."""
        point = self.next_point() if self.rng.random() < 0.5 else None
        env = {}
        if point:
            env["SEKIMORI_KILL_AT"] = f"{point}:{self.rng.randint(1, POINTS[point])}"
        alive = self.start(env)
        down = time.time()
        if alive:
            if point:
                died = self.gate.ended(3.0)
            else:
                longest = self.rng.choice([0.0, 0.05, 0.3, 0.8, 1.5])
                died = self.gate.ended(longest * self.rng.random())
                assert not died, "the daemon died by itself"
            down = time.time()
            status = self.gate.kill()
            assert status == -9, f"the daemon ended with {status} by itself"
            self.fired[point if died else "a time"] += 1
        else:
            self.fired[point] += 1
        self.history.outages.append((down, None))

    def settle(self):
        self.start()
        for load in self.loads:
            load.wait()
            load.kill()
        self.loads = []
        self.person.leave()
        self.person.control = Control(self.gate.control)

        def quiet():
            listed = self.gate.list()
            for row in listed:
                if any(r["state"] in ("waiting", "held") for r in row["recipients"]):
                    self.person.change("release", row, None)
            self.gate.ctl("flush", json=False, allow=None)
            return not listed
        try:
            wait_until(quiet, SETTLE_SECONDS, "an empty queue", every=0.3)
        except AssertionError:
            pass  # the judge says what is still there
        self.history.read_load(self.ledger)
        self.history.read_sink(self.sink.ledger_path)
        self.history.queue(self.gate.list("--all"), sender_token)


def kills(build, count, seed, top):
    """A line of numbers, or an exception."""
    rng = random.Random(seed)
    shards = rng.choice([1, 2])
    with Sink(build=build) as sink, \
            Gate(build, route=sink.address, policy=policy(HOLDS), shards=shards) as gate:
        run = Run(gate, sink, rng, top)
        run.warm()
        run.person.come()
        try:
            for _ in range(count):
                run.keep_loading()
                run.crash()
            run.settle()
        finally:
            run.person.leave()
            for load in run.loads:
                load.kill()
        numbers = judge(run.history)
        assert gate.stop() == 0, "no clean stop"
        check_log(gate)
    restart = sorted(run.restart_seconds)
    return (f"{shards} shards; {numbers}; person: {dict(run.person.counts)}; "
            f"died at {dict(run.fired)}; restart median "
            f"{restart[len(restart) // 2]:.2f} s, longest {restart[-1]:.2f} s")


def check_log(gate):
    """A process that dies tears nothing: the page cache lives on. So there is no damage at all."""
    for event in ("record_damaged", "journal_damaged", "body_damaged", "partition_failed"):
        assert not gate.log(event), f"the log says {gate.log(event)[0]}"
