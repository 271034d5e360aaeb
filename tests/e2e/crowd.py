#!/usr/bin/env python3
"""Many clients at one gateway: what the others notice of them, and what memory they cost.

    tests/e2e/crowd.py --build build                        the long form: a minute or two
    tests/e2e/crowd.py --build build idle                   one part
    tests/e2e/crowd.py --idle 100 --active 10 --slow 50 --commands 1000 --mails 100

idle      so many idle connections, and so many that send mails at the same time
slow      a normal client before, while and after so many connections send one byte a second in DATA
commands  so many commands of each kind on one connection
large     so many connections, each with a mail of so many MiB at once; then as many where there is
          memory for a few only
held      a restart after kill -9 with so many held mails (a million: bench/compare --million)

One line of JSON a part. Files are limited: ulimit -n must be twice the connections.
"""
import argparse
import json
import os
import re
import resource
import socket
import sys
import threading
import time

from harness import Client, Closed, Gateway, Sink, demo_policy, endpoint, load

MAIL = b"MAIL FROM:<alice@int.example>\r\n"
RCPT = b"RCPT TO:<bob@int.example>\r\n"
# name: lines that come again and again; each has one reply, or as many as are said
KINDS = {
    "NOOP": b"NOOP\r\n", "RSET": b"RSET\r\n", "EHLO": b"EHLO x.example\r\n", "MAIL": MAIL,
    "RCPT": RCPT, "RCPT bad": b"RCPT TO:<bob@int.example> X=Y\r\n", "VRFY": b"VRFY x\r\n",
    "unknown": b"NONSENSE\r\n", "BDAT 0": b"BDAT 0\r\n", "MAIL RSET": MAIL + b"RSET\r\n",
    "BDAT 1": b"BDAT 1\r\n\rBDAT 1\r\n\n",  # byte by byte, and the lines stay short
}
REPLIES = {"MAIL RSET": 2, "BDAT 1": 2}
LAST = ("EHLO", "VRFY")  # nothing may stand behind these before their reply


def memory(pid):
    """Resident now, in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1]) * 1024


class Crowd:
    """Connections that were greeted; nobody reads what else is said to them."""

    def __init__(self, address, count, first=b""):
        self.sockets = []
        for at in range(0, count, 500):
            batch = [socket.create_connection(endpoint(address), 20)
                     for _ in range(min(500, count - at))]
            for s in batch:
                s.settimeout(20)
                if not s.recv(512).startswith(b"220 "):
                    raise AssertionError(f"refused after {len(self.sockets)}")
            for s in batch if first else []:
                s.sendall(first)
            self.sockets += batch

    def each(self, data):
        """How many could still be written to."""
        written = 0
        for s in self.sockets:
            try:
                s.send(data)
                written += 1
            except OSError:
                pass
        return written

    def answered(self, data, want):
        """How many answer `data` with a reply that begins with `want`."""
        self.each(data)
        good = 0
        for s in self.sockets:
            try:
                good += s.recv(512).startswith(want)
            except OSError:
                pass
        return good

    def close(self):
        for s in self.sockets:
            s.close()


def send_mails(gate, connections, mails):
    return load("--to", gate.relay, "--connections", connections, "--messages", mails,
                "--size", "4k", "--from", "alice@int.example", "--rcpt", "u%d@int.example")


def idle(a):
    with Sink() as sink, Gateway(route=sink.address, build=a.build, shards=2) as gate:
        before = memory(gate.pid)
        crowd = Crowd(gate.relay, a.idle, b"EHLO idle.example\r\n")
        for s in crowd.sockets:
            s.recv(4096)
        each = (memory(gate.pid) - before) / max(1, a.idle)
        ran = send_mails(gate, a.active, a.mails)
        there = crowd.answered(b"NOOP\r\n", b"250 ")
        crowd.close()
        return {"idle": a.idle, "idle_answering_after": there, "active": a.active,
                "bytes_each_idle": round(each), "mails": ran["messages"], "unsent": ran["unsent"],
                "mails_per_second": round(ran["messages"] / ran["seconds"]),
                "p99_us": ran["latency_us"]["transaction"]["p99"]}


def slow(a):
    settings = {"data_grace": "1h"}  # else they are ended before we are through
    with Sink() as sink, Gateway(route=sink.address, build=a.build, settings=settings) as gate:
        run = lambda: send_mails(gate, 1, a.mails)["latency_us"]["transaction"]["p99"]
        run()
        p99 = {"before": run()}
        before = memory(gate.pid)
        crowd = Crowd(gate.relay, a.slow, b"EHLO slow.example\r\n")
        for line in (MAIL + RCPT + b"DATA\r\n", b""):
            for s in crowd.sockets:
                s.recv(4096)
            crowd.each(line) if line else None
        ending, rounds = threading.Event(), []

        def trickle():
            turn = 0
            while not ending.is_set():  # a fiftieth of them each 20 ms: they do not know each other
                start = time.monotonic()
                for s in crowd.sockets[turn % 50::50]:
                    s.send(b"x")
                turn += 1
                rounds[:] = [turn // 50]
                ending.wait(max(0, 0.02 - (time.monotonic() - start)))
        thread = threading.Thread(target=trickle)
        thread.start()
        time.sleep(1.5)
        p99["while"] = run()
        each = (memory(gate.pid) - before) / max(1, a.slow)
        ending.set()
        thread.join()
        written = crowd.each(b"y")
        crowd.close()
        time.sleep(0.5)
        p99["after"] = run()
        return {"slow": a.slow, "still_connected": written, "rounds": rounds[0],
                "bytes_each": round(each), "p99_us": p99,
                "ratio": round(p99["while"] / max(1, (p99["before"] + p99["after"]) / 2), 2)}


def repeat(c, name, count):
    """How many replies came."""
    line, batch, got = KINDS[name], 1 if name in LAST else 200, 0
    each = REPLIES.get(name, 1)
    try:
        while got < count:
            n = min(batch, -(-(count - got) // each))
            c.send(line * n)
            for _ in range(n * each):
                c.reply()
                got += 1
    except Closed:
        pass
    return got


def commands(a):
    settings = {"errors": "1000000", "errors_per_relay_minute": "1000000000"}
    with Gateway(route="127.0.0.1:1", build=a.build, settings=settings, shards=1) as gate:
        result = {}
        for name in KINDS:
            with Client(gate.relay, ehlo="src.example", timeout=60) as c:
                if name.startswith("RCPT") or name.startswith("BDAT"):
                    c.send(MAIL)
                    c.reply()
                if name.startswith("BDAT"):
                    c.send(RCPT)
                    c.reply()
                repeat(c, name, min(2000, a.commands // 10))
                before = memory(gate.pid)
                start = time.monotonic()
                got = repeat(c, name, a.commands)
                result[name] = {"replies": got, "seconds": round(time.monotonic() - start, 1),
                                "growth_KiB": (memory(gate.pid) - before) // 1024}
        return {"commands": a.commands, **result}


def send_large(gate, a):
    return load("--to", gate.relay, "--connections", a.large, "--messages", a.large,
                "--size", f"{a.large_size}m", "--timeout", 300, "--from", "alice@int.example",
                "--rcpt", "u%d@held.example", timeout=600, allow=(0, 1))


def large(a):
    """Nothing is delivered, so that what is acknowledged can be counted in the queue."""
    result = {"connections": a.large, "MiB": a.large_size}
    for name, more in (("enough", {}), ("short", {"mail_memory": "2MiB"})):
        settings = {"segment_bytes": "64MiB", "message_size": "64MiB", **more}
        with Gateway(route="127.0.0.1:1", build=a.build, settings=settings) as gate:
            before = memory(gate.pid)
            ran = send_large(gate, a)
            listed = len(gate.list())
            told = gate.ctl("status")[0][0]
            result[name] = {"acked": ran["acked"], "refused": ran["failed"],
                            "in_queue": listed, "shed": told["counters"]["smtpd_shed"],
                            "seconds": round(ran["seconds"], 1),
                            "growth_MiB": (gate.memory_peak() - before) >> 20,
                            "after": gate.send("u@held.example").code}
    return result


def held(a):
    """Its memory and its first 250, beside those of an empty queue."""
    with Gateway(route="127.0.0.1:1", build=a.build, policy=demo_policy("7200s")) as gate:
        def again():
            gate.kill()
            begin = time.monotonic()
            gate.start()
            code = gate.send("u@ext.example").code
            return code, time.monotonic() - begin, memory(gate.pid)
        _, before, empty = again()
        ran = load("--to", gate.relay, "--connections", 64, "--messages", a.held, "--size", "1k",
                   "--from", "alice@int.example", "--rcpt", "u%d@ext.example", timeout=600)
        count = lambda: sum(p["messages"] for p in gate.ctl("status")[0][0]["partitions"])
        code, first, full = again()
        until = time.monotonic() + 5  # what keepers publish is a tenth of a second old
        while count() - 2 != ran["acked"] and time.monotonic() < until:
            time.sleep(0.05)
        return {"held": a.held, "acked": ran["acked"], "in_queue": count() - 2, "code": code,
                "seconds_to_250": round(first, 2), "seconds_when_empty": round(before, 2),
                "bytes_each": round((full - empty) / a.held)}


PARTS = {"idle": idle, "slow": slow, "commands": commands, "large": large, "held": held}


def arguments(words=None):
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("parts", nargs="*", choices=[[], *PARTS])
    p.add_argument("--build", default=os.environ.get("SEKIMORI_BUILD", "build"))
    p.add_argument("--idle", type=int, default=10000)
    p.add_argument("--active", type=int, default=1000)
    p.add_argument("--slow", type=int, default=5000)
    p.add_argument("--commands", type=int, default=1000000)
    p.add_argument("--mails", type=int, default=20000)
    p.add_argument("--large", type=int, default=200)
    p.add_argument("--large-size", type=int, default=25)
    p.add_argument("--held", type=int, default=300000)
    a = p.parse_args(words)
    a.build = os.path.abspath(a.build)
    return a


def main():
    a = arguments()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for name in a.parts or PARTS:
        print(json.dumps({name: PARTS[name](a)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
