"""Disks that say no (CRASH-04, CRASH-05), on sekimori-faultfs; see disk.py for the trials."""
import random
import time

from disk import HELD, Bench, One, Trial
from gate import NotStarted, wait_until
from judge import rows

# What fails, and what may become of the partition. "final": it accepts nothing more and says so.
# "either": it may also go on, if it can without having answered for what failed.
FAULTS = [
    ("fsync EIO {n} 1 partition-0/journal-", "final"),
    ("fsync EIO {n} 1 partition-0/body-", "final"),
    ("write EIO {n} 1 partition-0/journal-", "final"),
    ("write EIO {n} 1 partition-0/body-", "either"),
    ("write ENOSPC {n} 1 partition-0/journal-", "either"),
    ("write EDQUOT {n} 1 partition-0/journal-", "either"),
    ("write EFBIG {n} 1 partition-0/journal-", "either"),
    ("write ENOSPC {n} 3 partition-0/body-", "either"),
    ("create ENOSPC {n} 2 partition-0/", "either"),
    ("fsyncdir EIO {n} 1 partition-0", "either"),
    ("fallocate ENOSPC {n} 2 partition-0/", "either"),
    ("write ENOSPC {n} 2 .sst", "either"),
    ("fsync EIO {n} 1 partition-0/index/", "either"),
    ("create EMFILE {n} 1 partition-0/index/", "either"),
]
REFUSALS = (421, 451, 452)
# What each trial ends with: what does the next start find?
ENDINGS = ["drop", "keep", "same"]


def partition_state(gate):
    rows, code = gate.ctl("status", allow=None)
    return rows[0]["partitions"][0]["state"], code


def fault_once(bench, fault, verdict, ending, seed):
    """A word on what happened."""
    trial = Trial(bench, random.Random(seed))
    gate = bench.gate
    what = f"fail {fault.format(n=1 + seed % (2 if 'index' in fault else 4))}"
    with bench.disk() as disk:
        gate.start()
        client = One(trial)
        assert client.send(300000)[0] == 250 and client.send(1000)[0] == 250, "no good start"
        disk.say(what)
        answers, after = [], 0
        # the index is written when there is much journal that it does not cover
        sizes = [250000] * 3 if "index" in fault else [1000, 1000000, 250000]
        for n in range(60):
            hit_before = disk.counts()["failed"]
            answers.append(client.send(sizes[n % 3]))
            code = answers[-1][0]
            assert code == 250 or code in REFUSALS, f"answered {answers[-1]}"
            if verdict == "final" and hit_before:
                assert code != 250, "accepted after the disk had failed"
            after += bool(hit_before)
            if after > 4:
                break
        hit = disk.counts()["failed"]
        state, code = partition_state(gate)
        if verdict == "final" and hit:
            assert state == "failed" and code == 1, f"state {state}, exit status {code}"
        assert (state == "failed") == (code == 1) == bool(gate.log("partition_failed")), \
            f"state {state}, exit status {code}, log {gate.log('partition_failed')}"
        if state != "failed":
            # what it could not take it takes now, without an operator
            disk.say("fail clear")
            wait_until(lambda: client.send(1000)[0] == 250, 15, f"acceptance after {what}",
                       every=0.2)
        word = f"{state}" if hit else "not hit"
        listed = {row["sender"].partition("@")[0] for row in gate.list()}
        missing = [t for t in trial.history.acked if t not in listed]
        assert not missing, f"{missing} not listed while it runs ({state})"
        trial.crash()
        disk.say("fail clear")
        if ending == "same":
            # no power was lost: the next process sees what the page cache shows
            trial.recover(disk.at)
        else:
            disk.say(f"cut now {ending} {seed}")
    if ending != "same":
        trial.recover(disk.backing)
    return word


def faults(build, rounds, seed, top):
    rng = random.Random(seed)
    words = {}
    with Bench(build, top) as bench:
        first = rng.randrange(3)
        for _ in range(rounds):
            for i, (fault, verdict) in enumerate(FAULTS):
                ending = ENDINGS[(first + i) % 3]
                try:
                    word = fault_once(bench, fault, verdict, ending, rng.randrange(1000))
                except Exception as error:
                    raise AssertionError(f"{fault}, then {ending}: {error}") from error
                words[word] = words.get(word, 0) + 1
            first += 1
        return f"{words}, {bench.counts}"


def fsync_once(build, seed, top):
    """EIO once, then all is well (fsyncgate), and a new process reads what was never durable."""
    words = []
    with Bench(build, top) as bench:
        for fault in ("fsync EIO {n} 1 partition-0/journal-", "fsync EIO {n} 1 partition-0/body-",
                      "write EIO {n} 1 partition-0/journal-"):
            for ending in ENDINGS:
                try:
                    words.append(fault_once(bench, fault, "final", ending, seed % 4))
                except Exception as error:
                    raise AssertionError(f"{fault}, then {ending}: {error}") from error
    return f"{len(words)} times {set(words)}, {bench.counts}"


def index_full(build, seed, top):
    """No room for any file of the index, at the start and while it runs. The daemon refuses to
    start, or mail; it does not die, for then the other partitions die with it."""
    with Bench(build, top) as bench:
        for rule in ("write ENOSPC 1 forever /index/", "write EROFS 1 forever"):
            with bench.disk() as disk:
                disk.say("fail " + rule)
                try:
                    bench.gate.start()
                    bench.gate.stop()
                except NotStarted as no:
                    assert no.status == 69, f"{rule}: {no}"
                disk.say("fail clear")
        return fault_once(bench, "write ENOSPC 1 forever /index/", "either", "drop", seed)


def unreadable(build, seed, top):
    """A body that cannot be read when its time has come is named, and nobody else suffers."""
    words = []
    with Bench(build, top) as bench:
        for part in ("journal-", "body-"):
            for times in ("1 2", "1 forever"):
                trial, gate = Trial(bench, random.Random(seed)), bench.gate
                with bench.disk() as disk:
                    gate.start()
                    client = One(trial)
                    for size in (1000, 300000, 1000, 300000):
                        assert client.send(size)[0] == 250, "no good start"
                    disk.say(f"fail read EIO {times} partition-0/{part}")
                    for row in gate.list():
                        gate.ctl("release", row["id"])
                    bad = set()
                    wait_until(lambda: len(gone(bench, trial)) >= 2, 10, "what can be read")
                    time.sleep(0.5)
                    disk.say("fail clear")
                    for row in gate.log("body_damaged"):
                        bad.add(row["from"].partition("@")[0])
                        assert row["id"], row
                    trial.history.set_aside |= bad
                    trial.history.release_asked |= {(t, r) for t in trial.history.acked
                                                    for r in HELD}
                    words.append(f"{part} {times}: {len(bad)} set aside")
                    trial.crash()
                trial.recover(disk.backing)
    return ", ".join(words)


def gone(bench, trial):
    """Tokens of the trial that are at the sink."""
    return {row[1] for row in rows(bench.sink.ledger_path)
            if row[1][1:].startswith(trial.mark + "-")}


def full(build, seed, top):
    """The disk fills up for a while: 452 4.3.1, what is held is delivered, and then all goes on."""
    with Bench(build, top, {"disk_reserve": "12MiB"}) as bench:
        trial = Trial(bench, random.Random(seed))
        gate = bench.gate
        with bench.disk() as disk:
            gate.start()
            client = One(trial)
            for size in (1000, 300000, 9000):
                assert client.send(size)[0] == 250, "no good start"
            for room in ("8388608", "0"):
                disk.say(f"space {room}")
                wait_until(lambda: client.send(1000)[0] != 250, 5, "a refusal on a full disk")
                for size in (1000, 300000, 1000):
                    answer = client.send(size)
                    assert answer[1].startswith("452 4.3.1"), f"answered {answer}"
                wait_until(lambda: partition_state(gate) == ("full", 0), 2, "state full")
                assert gate.log("disk_full"), "nothing in the log"
                # held mail goes out meanwhile
                row = gate.list()[0]
                token = row["sender"].partition("@")[0]
                trial.history.release_asked |= {(token, r) for r in HELD}
                gate.ctl("release", row["id"])
                gate.wait_states(row["id"], "delivered", 10)
                disk.say("space off")
                wait_until(lambda: client.send(1000)[0] == 250, 10, "acceptance with room")
                wait_until(lambda: partition_state(gate) == ("ok", 0), 2, "state ok")
            assert not gate.log("partition_failed"), "a full disk made the partition fail"
            assert len(gate.log("disk_free_again")) >= 2, "the end is not in the log"
            trial.crash()
        trial.recover(disk.backing)
        return f"{len(trial.history.acked)} acked, {len(trial.history.failed)} refused"


def filling(build, seed, top):
    """No reserve, and less room from mail to mail until nothing fits, not even the index: refused
    or accepted, nothing is lost, and with room it goes on by itself."""
    with Bench(build, top) as bench:
        trial = Trial(bench, random.Random(seed))
        gate, rng = bench.gate, random.Random(seed)
        with bench.disk() as disk:
            gate.start()
            client = One(trial)
            for room in (20 << 20, 6 << 20, 300 << 10, 5000, 0):
                disk.say(f"space {room}")
                for _ in range(30):
                    answer = client.send(rng.choice([1000, 60000, 300000]))
                    assert answer[0] == 250 or answer[0] in REFUSALS, f"answered {answer}"
                    if answer[0] != 250:
                        break
            state, _ = partition_state(gate)
            disk.say("space off")
            if state != "failed":
                wait_until(lambda: client.send(1000)[0] == 250, 20, "acceptance with room again")
            trial.crash()
        trial.recover(disk.backing)
        assert state != "failed", "lack of space made the partition fail for good"
        return f"{len(trial.history.acked)} acked, {len(trial.history.failed)} refused"
