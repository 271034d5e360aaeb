"""The gateway on a disk that loses power, or says no (CRASH-02, CRASH-03, CRASH-04, CRASH-05;
promises.md 4).

Each trial starts from a copy of the same small queue on sekimori-faultfs (in memory), sends some
mails while the disk goes wrong, kills the daemon, and starts it on what the disk holds. Then
everything is released, must arrive whole, and the judge looks at it.
"""
import os
import random
import shutil
import subprocess
import tempfile
import time

from gate import (Control, Gate, NotStarted, Sender, Sink, in_background, policy, sender_token,
                  wait_until)
from judge import History, Violation, judge
from test_faultfs import Disk

HELD = ["a@h36000.example", "b@h36000.example"]
GOING = ["c@h0.example", "d@h1.example"]
SIZES = [1000, 9000, 60000, 300000]
CLIENTS = 3
SETTLE_SECONDS = 30


def recipients_of(token):
    return {"d": HELD, "g": GOING}.get(token[:1])


class Bench:
    """What all trials share: a gateway's home, a queue to begin with, and a sink."""

    def __init__(self, build, top, settings=None):
        self.build = build
        self.sink = Sink(build=build)
        self.gate = Gate(build, route=self.sink.address, policy=policy([0, 1, 36000]),
                         settings=settings)
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else top
        self.memory = tempfile.mkdtemp(prefix="crash.", dir=memory)
        self.template = self.gate.data
        self.set_aside = set()
        self.counts = {"torn": 0, "power": 0, "acked": 0, "refused": 0, "unknown": 0}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gate.data = self.template
        self.gate.close()
        self.sink.close()
        shutil.rmtree(self.memory, ignore_errors=True)

    def disk(self, dir_loss=False, fresh=False):
        if self.gate.daemon:  # of a trial that failed
            self.gate.kill()
        backing = os.path.join(self.memory, "backing")
        shutil.rmtree(backing, ignore_errors=True)
        self.gate.data = self.template
        if fresh:
            os.mkdir(backing)
        else:
            self.gate.copy_data(backing)
        disk = Disk(os.path.join(self.build, "sekimori-faultfs"), backing, dir_loss)
        self.gate.data = disk.at
        self.gate.new_log()
        return disk


class Trial:
    """The mails of one life of the queue."""
    number = 0

    def __init__(self, bench, rng):
        self.bench, self.gate, self.rng = bench, bench.gate, rng
        Trial.number += 1
        self.mark = f"{Trial.number}"
        self.history = History(recipients_of, lambda r: 36000.0 if "36000" in r else 0.0)
        self.replies = []

    def send_all(self, count, going=False, sizes=None, until=None):
        """`count` mails over CLIENTS connections, until the disk says no to all of them."""
        def work(client):
            rng = random.Random(self.rng.random())
            sender = None
            for n in range(client, count, CLIENTS):
                if until and until():
                    return
                kind = "g" if going and rng.random() < 0.6 else "d"
                token = f"{kind}{self.mark}-{n:012d}"
                try:
                    sender = sender or Sender(self.gate.relay)
                except OSError:
                    return
                size = rng.choice(sizes or SIZES)
                answer, dotted = sender.send(token, recipients_of(token), size)
                self.note(token, answer, dotted)
                if answer[0] in (0, 421):
                    sender.close()
                    sender = None
            if sender:
                sender.close()
        joins = [in_background(work, client) for client in range(CLIENTS)]
        for join in joins:
            join()

    def note(self, token, answer, dotted):
        self.replies.append((token, answer, dotted))
        if answer[0] == 250:
            self.history.acked[token] = time.time()
        elif answer[0] == 0 and dotted:
            self.history.unknown.add(token)
        else:
            self.history.failed[token] = str(answer[0])

    def without_power(self):
        """A machine without power says nothing: what a daemon, that lives on in this simulation,
        answered after the cut was not heard. Only a 250 is taken by its word."""
        for token, answer, dotted in self.replies:
            if dotted and answer[0] != 250:
                self.history.failed.pop(token, None)
                self.history.unknown.add(token)

    def recover(self, data):
        """Start on what is left, release all, see it arrive, ask the judge."""
        self.gate.data = data
        self.gate.new_log()
        self.history.outages.append((self.crashed_at, time.time()))
        self.gate.start()
        self.look_at_log()
        self.drain()
        self.history.read_sink(self.bench.sink.ledger_path)
        mine = {key: copies for key, copies in self.history.copies.items()
                if key[0][1:].startswith(self.mark + "-") or
                (recipients_of(key[0]) is None and not self.is_return(key))}
        self.history.copies.clear()
        self.history.copies.update(mine)
        self.history.queue(self.gate.list("--all"), sender_token)
        judge(self.history)
        counts = self.bench.counts
        counts["acked"] += len(self.history.acked)
        counts["refused"] += len(self.history.failed)
        counts["unknown"] += len(self.history.unknown)
        if self.gate.stop() != 0:
            raise AssertionError("no clean stop after the recovery")

    def is_return(self, key):
        """The notice to the sender of a mail that was set aside."""
        self.bench.set_aside |= self.history.set_aside
        return key[0] == "-" and key[1].partition("@")[0] in self.bench.set_aside

    def look_at_log(self):
        for event in ("record_damaged", "journal_damaged", "body_damaged"):
            assert not self.gate.log(event), f"damage after a power cut: {self.gate.log(event)[0]}"
        torn = sum(int(row["torn"]) for row in self.gate.log("partition_open"))
        said = len(self.gate.log("torn_group_dropped"))
        assert torn == said, f"{torn} torn groups counted, {said} in the log"
        self.bench.counts["torn"] += torn

    def drain(self):
        control = Control(self.gate.control)

        def quiet():
            listed, _ = control.ask("list")
            for row in listed:
                if any(r["state"] in ("waiting", "held") for r in row["recipients"]):
                    token = sender_token(row)
                    self.history.release_asked |= {(token, r) for r in recipients_of(token) or ()}
                    control.ask("release", id=row["id"])
            if listed:
                control.ask("flush")
            return not listed
        try:
            wait_until(quiet, SETTLE_SECONDS, "an empty queue", every=0.05)
        except AssertionError:
            pass  # the judge says what is still there
        control.close()

    def crash(self):
        self.crashed_at = time.time()
        if self.gate.daemon:
            self.gate.kill()


class One:
    """A client that sends one mail after another, and so knows which one the fault was for."""

    def __init__(self, trial):
        self.trial, self.number, self.sender = trial, 0, None

    def send(self, size, kind="d"):
        token = f"{kind}{self.trial.mark}-{self.number:012d}"
        self.number += 1
        try:
            self.sender = self.sender or Sender(self.trial.gate.relay)
        except OSError:
            self.trial.note(token, (421, "no connection"), False)
            return (421, "no connection")
        answer, dotted = self.sender.send(token, recipients_of(token), size)
        self.trial.note(token, answer, dotted)
        if answer[0] in (0, 421):
            self.sender.close()
            self.sender = None
        return answer


def cut_once(bench, at, mode, seed, going, dir_loss, fresh=False):
    """False: the run ended before its N-th sync."""
    trial = Trial(bench, random.Random(seed))
    with bench.disk(dir_loss=dir_loss, fresh=fresh) as disk:
        disk.say(f"cut {at} {mode} {seed}")

        def is_off():
            return disk.counts()["power"] == "off"
        try:
            bench.gate.start()
            trial.send_all(0 if fresh else 15, going)
            if not is_off():
                time.sleep(0.1)
        except NotStarted:
            if not is_off():
                raise
        trial.crash()
        cut = is_off()
        bench.counts["power"] += cut
    trial.without_power()
    trial.recover(disk.backing)
    return cut


def count_syncs(bench, going, fresh=False):
    trial = Trial(bench, random.Random(1))
    with bench.disk(fresh=fresh) as disk:
        bench.gate.start()
        trial.send_all(0 if fresh else 15, going)
        time.sleep(0.1)
        trial.crash()
        syncs = disk.counts()["syncs"]
    trial.recover(disk.backing)
    return syncs


MODES = [f"{mode}-{when}" for mode in ("keep", "drop", "garble", "mix")
         for when in ("before", "after")]


def cuts(build, going, dir_loss, trials, seed, top):
    """Power cuts at `trials` of the syncs of a run (None: at each), modes and seeds in turn."""
    rng = random.Random(seed)
    with Bench(build, top) as bench:
        syncs = count_syncs(bench, going)
        chosen = list(range(1, syncs + 4))
        if trials is not None:
            chosen = sorted(rng.sample(chosen, min(trials, len(chosen))))
        first = rng.randrange(len(MODES))
        for i, at in enumerate(chosen):
            mode = MODES[(first + i) % len(MODES)]
            try:
                cut_once(bench, at, mode, rng.randrange(1 << 20), going, dir_loss)
            except Exception as error:
                raise AssertionError(f"cut {at} {mode}: {error}") from error
        return f"{len(chosen)} runs of about {syncs} syncs, {bench.counts}"


def states(gate):
    return {(sender_token(row), r["address"]): r["state"] for row in gate.list("--all")
            if sender_token(row) for r in row["recipients"]}


def aftershock_once(bench, at, seed, word):
    """The process dies between write and sync; the next one shows what it found; then power goes.
    What was shown must still be there, and nothing that was synced is missing: there is no
    damage."""
    rng = random.Random(seed)
    trial = Trial(bench, rng)
    with bench.disk() as disk:
        bench.gate.start({"SEKIMORI_KILL_AT": f"after-write:{at}"})
        trial.send_all(60, sizes=[20000, 250000], until=lambda: bench.gate.ended())
        word["died"] = word.get("died", 0) + bench.gate.ended(0.2)
        trial.crash()
        bench.gate.start()
        shown = states(bench.gate)
        disk.say(f"cut now {rng.choice(['drop', 'garble', 'mix'])} {seed}")
        trial.crash()
    trial.history.failed.clear()  # the first process was killed: whoever heard nothing is unknown
    trial.history.unknown |= {t for t, answer, dotted in trial.replies if dotted and answer[0] == 0}
    bench.gate.data = disk.backing
    bench.gate.start()
    now = states(bench.gate)
    bench.gate.kill()
    gone = {key: (state, now.get(key)) for key, state in shown.items() if key not in now}
    assert not gone, f"shown after the crash, gone after the power cut: {list(gone.items())[:3]}"
    trial.recover(disk.backing)


def aftershock(build, trials, seed, top):
    rng = random.Random(seed)
    word = {}
    with Bench(build, top) as bench:
        for i in range(trials):
            at = 3 + i if trials > 20 else rng.randint(3, 40)
            try:
                aftershock_once(bench, at, rng.randrange(1 << 20), word)
            except Exception as error:
                raise AssertionError(f"after-write:{at}: {error}") from error
    return f"{trials} runs, {word}, {bench.counts}"


def segment_end(build, passes, seed, top):
    """The same, where the last group fills its segment: the next one does not sync the same file.
    One client: 15 groups of 62 blocks, then groups of one, so that the end comes at about the
    107th."""
    with Bench(build, top) as bench:
        for at in passes:
            trial = Trial(bench, random.Random(seed))
            with bench.disk() as disk:
                bench.gate.start({"SEKIMORI_KILL_AT": f"after-write:{at}"})
                client = One(trial)
                size = 250000
                while client.number < 200 and client.send(size)[0]:
                    size = 250000 if client.number < 15 else 1000
                trial.crash()
                bench.gate.start()
                shown = states(bench.gate)
                disk.say(f"cut now drop {at}")
                trial.crash()
            bench.gate.data = disk.backing
            bench.gate.start()
            now = states(bench.gate)
            bench.gate.kill()
            gone = [key for key in shown if key not in now]
            assert not gone, f"after-write:{at}: shown after the crash, gone after the cut: {gone}"
            trial.recover(disk.backing)
        return f"{len(passes)} runs"


# The journal and the bodies are opened with O_DIRECT; the index is synced as ever.
NO_SYNC = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
int fdatasync(int fd)
{
    return fcntl(fd, F_GETFL) & O_DIRECT ? 0 : (int)syscall(SYS_fdatasync, fd);
}
"""


def control(build, seed, top):
    """Are the cuts harsh enough? With a libc whose syncs do nothing the judge must find loss."""
    source, library = os.path.join(top, "nosync.c"), os.path.join(top, "nosync.so")
    with open(source, "w", encoding="utf-8") as f:
        f.write(NO_SYNC)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    with Bench(build, top) as bench:
        for preload in (None, library):
            trial = Trial(bench, random.Random(seed))
            with bench.disk() as disk:
                bench.gate.start({"LD_PRELOAD": preload} if preload else {})
                trial.send_all(10)
                disk.say(f"cut now drop {seed}")
                trial.crash()
            assert len(trial.history.acked) == 10
            try:
                trial.recover(disk.backing)
            except Violation as found:
                assert preload and "lost" in found.kinds, f"with syncs: {found}"
                return f"without syncs: {str(found)[:80]}"
        raise AssertionError("nobody noticed that nothing was synced")


def first_start(build, trials, seed, top):
    """Power cuts during the very first start: whatever is left, the next start works."""
    rng = random.Random(seed)
    with Bench(build, top) as bench:
        syncs = count_syncs(bench, False, fresh=True)
        chosen = list(range(1, syncs + 1))
        if trials is not None:
            chosen = sorted(rng.sample(chosen, min(trials, len(chosen))))
        for at in chosen:
            mode = rng.choice(MODES)
            try:
                cut_once(bench, at, mode, rng.randrange(1 << 20), False, True, fresh=True)
            except Exception as error:
                raise AssertionError(f"cut {at} {mode}: {error}") from error
        return f"{len(chosen)} of {syncs} syncs, {bench.counts}"
