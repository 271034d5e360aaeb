"""Mails that are sent to be held, the clock that is moved meanwhile, and when the copies came."""
import os
import socket
import struct
import tempfile
import threading
import time

HOUR_MS = 3600 * 1000


class Sender:
    """One connection that pipelines an envelope; knows when it sent each final dot."""

    def __init__(self, address):
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.reply()
        self.say("EHLO hold.example")

    def reply(self):
        while True:
            line = self.file.readline()
            if not line:
                raise ConnectionError("closed")
            if line[3:4] != b"-":
                return int(line[:3]), line.decode("ascii", "replace").strip()

    def say(self, text):
        self.socket.sendall(text.encode() + b"\r\n")
        return self.reply()

    def send(self, token, recipient):
        """(time just before the dot, text of the 250)."""
        self.socket.sendall(f"MAIL FROM:<alice@int.example>\r\nRCPT TO:<{recipient}>\r\n"
                            "DATA\r\n".encode())
        codes = [self.reply() for _ in range(3)]
        if codes[2][0] != 354:
            raise AssertionError(f"refused: {codes}")
        body = (f"From: alice@int.example\r\nSubject: {token}\r\nX-Token: {token}\r\n"
                "\r\nhold\r\n.\r\n")
        at = time.time()
        self.socket.sendall(body.encode())
        code, text = self.reply()
        if code != 250:
            raise AssertionError(f"refused: {text}")
        return at, text

    def close(self):
        self.socket.close()


class Clock:
    """The daemon's wall clock and boot clock, moved through the preloaded library."""

    def __init__(self, build):
        self.file = tempfile.NamedTemporaryFile(prefix="clock.")
        self.set(0)
        self.env = {"LD_PRELOAD": os.path.join(build, "clock_preload.so"),
                    "SEKIMORI_TEST_CLOCK": self.file.name}

    def set(self, wall_ms, boot_ms=0):
        self.file.seek(0)
        self.file.write(struct.pack("=qq", wall_ms, boot_ms))
        self.file.flush()


def arrivals(sink):
    """{token: [time of each copy]}"""
    found = {}
    for row in sink.ledger("got"):
        found.setdefault(row[1], []).append(float(row[3]))
    return found


def in_threads(count, work):
    failures = []

    def guarded(index):
        try:
            work(index)
        except Exception as error:  # told by the caller
            failures.append(error)
    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise failures[0]


def send_all(address, count, holds, prefix, rng, sent, ids=None):
    """`count` mails by four connections; sent[token] = (dot time, hold in seconds). Their ids are
    appended to `ids`."""
    plan = [(f"{prefix}{i}", rng.choice(holds)) for i in range(count)]

    def work(index):
        sender = Sender(address)
        for token, tenths in plan[index::4]:
            at, text = sender.send(token, f"x@h{tenths}.example")
            sent[token] = (at, tenths / 10)
            if ids is not None:
                ids.append(text.rsplit(" ", 1)[1])
        sender.close()
    in_threads(4, work)


def judge_early(sent, sink):
    came = arrivals(sink)
    early = [(t, came[t][0] - at - hold) for t, (at, hold) in sent.items()
             if t in came and min(came[t]) < at + hold]
    twice = [t for t, times in came.items() if len(times) > 1]
    assert not early, f"{len(early)} early, such as {early[:3]}"
    assert not twice, f"{len(twice)} delivered twice, such as {twice[:3]}"
    return came
