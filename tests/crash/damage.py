"""Bits rot, blocks go blank (CRASH-06, CRASH-13, promises.md 4.3).

A queue of held mails is kept twice: as a kill left it (the journal has to be replayed) and as a
clean stop left it (the index knows all). Each case damages a copy, starts the gateway on it and
releases everything. What arrives must be what arrives from the undamaged copy. What does not arrive
must be named in the log, or the start be refused with the name of what is broken.
"""
import glob
import os
import random
import shutil
import struct
import time

from disk import Bench, One, Trial
from gate import NotStarted, sender_token, wait_until
from judge import rows

BLOCK = 4096
SIZES = [1000, 1000, 60000, 1000, 300000, 1000, 200000, 1000, 700000, 1000]
TYPES = {1: "BODY", 2: "ACCEPT", 3: "MOVE", 13: "LINE", 10: "RESERVE", 11: "DIRECTORY", 6: "ANCHOR"}


def groups(path):
    """Groups of a journal segment by storage/journal.c: where they are, and their records."""
    with open(path, "rb") as f:
        data = f.read()
    found, at, generation = [], 0, None
    while at + 64 <= len(data) and data[at:at + 4] == b"SKMG":
        gen, _, sequence, length, count = struct.unpack_from(">IIQII", data, at + 8)
        if generation not in (None, gen):
            break
        generation = gen
        records, pos = [], at + 64
        for _ in range(count):
            kind, mail_id, size = data[pos + 3], *struct.unpack_from(">QI", data, pos + 8)
            records.append({"type": TYPES.get(kind, kind), "id": mail_id, "at": pos, "bytes": size})
            pos += (32 + size + 7) // 8 * 8
        whole = (64 + length + BLOCK - 1) // BLOCK * BLOCK
        found.append({"at": at, "bytes": whole, "sequence": sequence, "records": records})
        at += whole
    return found


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 0x10]))


def zero(path, at, length=BLOCK):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(bytes(length))


def truncate(path, at):
    with open(path, "r+b") as f:
        f.truncate(at)


class Queue:
    def __init__(self, bench, top):
        self.bench, self.gate, self.top = bench, bench.gate, top
        self.ids, self.whole = {}, {}
        self.killed, self.clean = os.path.join(top, "killed"), os.path.join(top, "clean")
        self.fill()
        copy = os.path.join(top, "case")
        shutil.copytree(self.clean, copy)
        self.whole = self.deliver(copy)[0]
        missing = set(self.ids) - {token for token, _ in self.whole}
        assert not missing, f"not delivered without damage: {missing}"

    def fill(self):
        gate = self.gate
        gate.data = gate.data + "-damage"
        shutil.copytree(self.bench.template, gate.data)
        gate.start()
        client = One(Trial(self.bench, random.Random(1)))
        for size in SIZES:
            code, text = client.send(size)
            assert code == 250, text
            self.ids[f"{list(client.trial.history.acked)[-1]}"] = text.rsplit(" ", 1)[1]
            time.sleep(0.05)  # longer than a confirming group takes
        gate.kill()
        gate.copy_data(self.killed)
        gate.start()
        gate.stop()
        gate.copy_data(self.clean)
        shutil.rmtree(gate.data)

    def deliver(self, data):
        """({(token, recipient): {sha}}, status, its exit code): `data` started, all released."""
        gate = self.gate
        gate.data = data
        gate.new_log()
        skip = len(rows(self.bench.sink.ledger_path))
        gate.start()

        def came():
            found = {}
            for row in rows(self.bench.sink.ledger_path)[skip:]:
                if row[1] in self.ids:
                    found.setdefault((row[1], row[2]), set()).add((row[4], row[5]))
            return found

        def settled():
            listed, status = gate.ctl("list", allow=None)
            if status:
                return True  # it does not answer for its queue any more
            for row in listed:
                if sender_token(row) and any(r["state"] == "waiting" for r in row["recipients"]):
                    gate.ctl("release", row["id"], json=False, allow=None)
            gate.ctl("flush", json=False, allow=None)
            there = {token for token, _ in came()}
            text = self.log_text()
            return all(t in there or mail_id in text for t, mail_id in self.ids.items()) or \
                "partition_failed" in text
        try:
            wait_until(settled, 8, every=0.1)
            time.sleep(0.3)
        except AssertionError:
            pass
        status, code = gate.ctl("status", allow=None)
        gate.kill()
        return came(), status, code

    def log_text(self):
        path = os.path.join(self.gate.dir, "sekimori.log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as f:
            return "".join(line for line in f if "damaged" in line or "partition_failed" in line)

    def judge(self, damage, what, found, status, code):
        """One word, or an AssertionError."""
        for key, shas in found.items():
            assert shas == self.whole[key], f"{key} was delivered garbled"
        lost = [t for t in self.ids if not any(token == t for token, _ in found)]
        half = [t for t in self.ids if t not in lost and
                any(token == t and (token, r) not in found for token, r in self.whole)]
        assert not half, f"{half} delivered in part"
        text = self.log_text()
        if "partition_failed" in text:
            assert code == 1, "a partition failed, and sekictl status exits with 0"
            return "partition failed"
        unnamed = [t for t in lost if self.ids[t] not in text or
                   (damage in STORED_ENVELOPE and f"{t}@" not in text)]
        if what == "nameless" and "journal_damaged" in text:
            unnamed = unnamed[1:]  # a whole group is gone, and with it what could tell its name
        assert not unnamed, f"{unnamed} ({[self.ids[t] for t in unnamed]}) lost in silence"
        if lost:
            assert status[0]["counters"]["storage_damaged"] > 0, "not counted"
            assert len(lost) < len(self.ids), "others are lost too"
            assert what != "harmless", f"{lost} lost, although nothing that counts was damaged"
        return f"{len(lost)} set aside" if lost else "all delivered"


# A case is a function (data directory, rng) that damages it. It may return "harmless", when nothing
# that counts is touched, or "nameless", when a whole group goes, its directory too.

def journal(data):
    return os.path.join(data, "partition-0", "journal-000001")


def mails(data):
    """(group, ACCEPT, BODY or None) of each mail in the journal."""
    found = []
    for g in groups(journal(data)):
        for i, r in enumerate(g["records"]):
            if r["type"] == "ACCEPT":
                body = g["records"][i - 1] if i and g["records"][i - 1]["type"] == "BODY" else None
                found.append((g, r, body))
    return found


def in_record(rng, record):
    return record["at"] + 32 + rng.randrange(record["bytes"])


def head(data, rng):
    flip(journal(data), rng.randrange(60))


def first_block(data, rng):
    zero(journal(data), 0)


def group_header(data, rng):
    group, _, _ = rng.choice(mails(data))
    flip(journal(data), group["at"] + rng.randrange(60))


def accept(data, rng):
    _, record, _ = rng.choice(mails(data)[:-1])
    flip(journal(data), in_record(rng, record))


def accept_header(data, rng):
    _, record, _ = rng.choice(mails(data)[:-1])
    flip(journal(data), record["at"] + rng.randrange(32))


def body(data, rng):
    flip(journal(data), in_record(rng, rng.choice([b for _, _, b in mails(data) if b])))


def directory(data, rng):
    group, _, _ = rng.choice(mails(data))
    flip(journal(data), in_record(rng, group["records"][-1]))


def blank_block(data, rng):
    group, _, _ = rng.choice(mails(data)[1:-1])
    blocks = group["bytes"] // BLOCK
    zero(journal(data), group["at"] + rng.randrange(max(1, blocks - 1)) * BLOCK)
    return "nameless" if blocks == 1 else None


def blank_end(data, rng):
    """ACCEPT and DIRECTORY go, the beginning of the BODY stays, and in it the id."""
    group = rng.choice([g for g, _, _ in mails(data)[1:-1] if g["bytes"] > BLOCK])
    zero(journal(data), group["at"] + group["bytes"] - BLOCK)


def last_confirmed(data, rng):
    flip(journal(data), in_record(rng, mails(data)[-1][1]))


def torn_tail(data, rng):
    last = groups(journal(data))[-1]
    kinds = {r["type"] for r in last["records"]}
    assert not kinds & {"ACCEPT", "BODY"}, "the last group is not a confirming one"
    flip(journal(data), last["at"] + rng.randrange(60))
    return "harmless"


def body_segment(data, rng):
    # the first two extents of it are used by 300,000 and 700,000 bytes
    path = glob.glob(os.path.join(data, "partition-0", "body-*"))[0]
    flip(path, rng.choice([0, 1 << 20]) + rng.randrange(250000))


def body_segment_blank(data, rng):
    path = glob.glob(os.path.join(data, "partition-0", "body-*"))[0]
    zero(path, rng.choice([0, 1 << 20]) + rng.randrange(60) * BLOCK)


def one_of(data, pattern):
    paths = glob.glob(os.path.join(data, "partition-0", "index", pattern))
    found = sorted(paths, key=os.path.getsize)
    assert found, pattern
    return found[-1]


def sst_data(data, rng):
    path = one_of(data, "*.sst")
    flip(path, rng.randrange(os.path.getsize(path) // 2))


def sst_any(data, rng):
    path = one_of(data, "*.sst")
    flip(path, rng.randrange(os.path.getsize(path)))


def sst_blank(data, rng):
    path = one_of(data, "*.sst")
    zero(path, 0, min(BLOCK, os.path.getsize(path)))


def sst_short(data, rng):
    path = one_of(data, "*.sst")
    truncate(path, rng.randrange(os.path.getsize(path)))


def sst_gone(data, _rng):
    os.unlink(one_of(data, "*.sst"))


def manifest(data, rng):
    path = one_of(data, "MANIFEST-*")
    flip(path, rng.randrange(os.path.getsize(path)))


def manifest_short(data, rng):
    path = one_of(data, "MANIFEST-*")
    truncate(path, rng.randrange(os.path.getsize(path)))


def current(data, rng):
    path = one_of(data, "CURRENT")
    flip(path, rng.randrange(os.path.getsize(path)))


def current_empty(data, _rng):
    truncate(one_of(data, "CURRENT"), 0)


def current_gone(data, _rng):
    os.unlink(one_of(data, "CURRENT"))


def identity(data, rng):
    flip(os.path.join(data, "partition-0", "identity"), rng.randrange(40))


def journal_gone(data, _rng):
    os.unlink(journal(data))


def journal_short(data, rng):
    group, _, _ = rng.choice(mails(data))
    truncate(journal(data), group["at"] + rng.randrange(group["bytes"]))


def bodies_gone(data, _rng):
    for path in glob.glob(os.path.join(data, "partition-0", "body-*")):
        os.unlink(path)


REPLAYED = [head, first_block, group_header, accept, accept_header, body, directory, blank_block,
            last_confirmed, torn_tail, body_segment, identity, sst_any, journal_gone]
COVERED = [head, group_header, accept, body, blank_block, body_segment, body_segment_blank,
           bodies_gone, sst_data, sst_any, sst_blank, sst_short, sst_gone, manifest,
           manifest_short, current,
           current_empty, current_gone, identity, journal_gone, journal_short]
# The envelope is intact, so the sender can be named too.
STORED_ENVELOPE = [body, body_segment, body_segment_blank, bodies_gone]


def one_case(queue, template, damage, seed):
    data = os.path.join(queue.top, "case")
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(template, data)
    what = damage(data, random.Random(seed))
    try:
        found, status, code = queue.deliver(data)
    except NotStarted as refused:
        names = ("index", "journal-", "identity", "body-")
        assert refused.status == 69 and any(n in refused.text for n in names), \
            f"refused, but with {refused.status} and {refused.text!r}"
        assert what != "harmless", f"refused: {refused.text}"
        return "refused"
    return queue.judge(damage, what, found, status, code)


def nameless(build, seed, top):
    with Bench(build, top) as bench:
        queue = Queue(bench, top)
        return one_case(queue, queue.killed, blank_end, seed)


def damages(build, long, seed, top):
    rng = random.Random(seed)
    words, failures = {}, []
    with Bench(build, top) as bench:
        queue = Queue(bench, top)
        for rounds in range(10 if long else 1):
            for kind, template, cases in (("replayed", queue.killed, REPLAYED),
                                          ("covered", queue.clean, COVERED)):
                for damage in cases:
                    one = rng.randrange(1 << 20)
                    try:
                        word = one_case(queue, template, damage, one)
                    except Exception as error:
                        failures.append(f"{kind} {damage.__name__} (seed {one}): {error}")
                        if bench.gate.daemon:
                            bench.gate.kill()
                        continue
                    words.setdefault(word, []).append(f"{kind} {damage.__name__}")
    assert not failures, f"{len(failures)} cases: " + "; ".join(failures)
    return "; ".join(f"{word}: {len(cases)}" for word, cases in sorted(words.items()))
