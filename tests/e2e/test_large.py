"""Large mails: at constant memory, whole, and refused where they are too large."""
import hashlib
import os
import re
import threading
import time
import unittest

from harness import Closed, Gateway, ScriptSink, Sink, load, sanitized, wait_until

MIB = 1 << 20
MAILS = 10 if sanitized() else 100
SIZE = 40 * MIB
MEMORY_MAX = (2000 if sanitized() else 200) * MIB


class Reader(threading.Thread):
    """Hashes what a sink has received, behind the first line of the body (the only one in which the
    mails of sekimori-load differ), and takes it off the disk."""

    def __init__(self, sink):
        super().__init__(daemon=True)
        self.sink, self.hashes, self.ending = sink, {}, threading.Event()
        self.heads = []
        self.start()

    def run(self):
        while not self.ending.wait(0.2):
            for row in self.sink.ledger("got"):
                if row[1] not in self.hashes:
                    self.look()

    def look(self):
        for name in sorted(os.listdir(self.sink.content_dir)):
            path = os.path.join(self.sink.content_dir, name)
            if not name.isdigit() or not self.is_whole(path):
                continue
            with open(path, "rb") as f:
                head = f.read(65536)
                at = head.index(b"\r\n\r\n") + 4
                token = re.search(rb"X-Token: (\S+)", head)[1].decode()
                rest = hashlib.sha256(head[head.index(b"\r\n", at):])
                while chunk := f.read(MIB):
                    rest.update(chunk)
            self.heads.append(head[:at])
            self.hashes.setdefault(token, []).append(rest.hexdigest())
            os.unlink(path)

    def is_whole(self, path):
        """The ledger has its size already."""
        sizes = {int(row[5]) for row in self.sink.ledger("got")}
        return os.stat(path).st_size in sizes


class InFlight(unittest.TestCase):
    def test_a_hundred_of_40_MiB(self):
        settings = {"segment_bytes": "256MiB", "outbound_connections": "10"}
        with Sink(content=True) as sink, Gateway(route=sink.address, settings=settings) as gate:
            reader = Reader(sink)
            ran = load("--to", gate.relay, "--connections", MAILS, "--messages", MAILS,
                       "--size", SIZE, "--timeout", 200, "--from", "alice@int.example",
                       "--rcpt", "u%d@int.example", timeout=220)
            self.assertEqual((ran["messages"], ran["unsent"]), (MAILS, 0))
            self.assertEqual(ran["latency_us"]["transaction"]["count"], MAILS)
            wait_until(lambda: len(reader.hashes) == MAILS, 120, "all mails at the sink")
            reader.ending.set()
            self.assertEqual({len(h) for h in reader.hashes.values()}, {1}, "a mail came twice")
            self.assertEqual(len({h[0] for h in reader.hashes.values()}), 1, "contents differ")
            for head in reader.heads:
                self.assertTrue(head.startswith(b"Received: "))
                self.assertEqual(head.count(b"Received: "), 1)
            sizes = {int(row[5]) for row in sink.ledger("got")}
            self.assertTrue(all(SIZE < size < SIZE + 1000 for size in sizes), sizes)
            peak = gate.memory_peak()
            print(f"memory peak {peak / MIB:.0f} MiB, {ran['seconds']:.1f} s to accept")
            self.assertLess(peak, MEMORY_MAX)


class Limits(unittest.TestCase):
    LINE = b"x" * 78 + b"\r\n"

    def body(self, size):
        head = b"Subject: large\r\n\r\n"
        lines, rest = divmod(size - len(head), len(self.LINE))
        return head + self.LINE * (lines - 1) + b"y" * (len(self.LINE) + rest - 2) + b"\r\n"

    def test_at_the_limit_and_over_it(self):
        with ScriptSink() as sink, Gateway(route=sink.address,
                                           settings={"message_size": "1MiB"}) as gate:
            for over in (0, 1, MIB):
                with self.subTest(over=over), gate.client() as c:
                    self.assertEqual(c.features["SIZE"], str(MIB))
                    content = self.body(MIB + over)
                    self.assertEqual(len(content), MIB + over)
                    reply = c.mail("alice@int.example", "bob@int.example", content)
                    self.assertEqual(reply.code, 552 if over else 250)
                    c.expect(f"MAIL FROM:<alice@int.example> SIZE={MIB + over}",
                             552 if over else 250)
            wait_until(sink.got, 10, "the mail at the limit")
            time.sleep(0.3)
            self.assertEqual(len(sink.received), 1)
            self.assertTrue(sink.got()[0].content.endswith(self.body(MIB)))

    def test_200_MiB_when_set(self):
        with Sink() as sink, Gateway(route=sink.address, settings={
                "message_size": "200MiB", "segment_bytes": "64MiB"}) as gate:
            with gate.client() as c:
                self.assertEqual(c.features["SIZE"], str(200 * MIB))
                c.expect(f"MAIL FROM:<alice@int.example> SIZE={200 * MIB}", 250)
                c.expect("RCPT TO:<bob@int.example>", 250)
                c.expect("DATA", 354)
                c.send(b"Subject: huge\r\n\r\n")
                piece = self.LINE * 13107  # almost 1 MiB
                for _ in range(199):
                    c.send(piece)
                c.send(b".\r\n")
                self.assertEqual(c.reply(60).code, 250)
            row = wait_until(lambda: sink.ledger("got"), 60, "the mail")[0]
            content = b"Subject: huge\r\n\r\n" + piece * 199
            self.assertLess(int(row[5]) - len(content), 1000)
            self.assertGreater(int(row[5]), len(content))
            self.assertLess(gate.memory_peak(), MEMORY_MAX)

    def test_a_client_that_never_ends(self):
        """Content without end is eaten to a limit, and no memory."""
        with Gateway(route="127.0.0.1:1", settings={"message_size": "1MiB"}) as gate:
            with gate.client() as c:
                c.envelope("alice@int.example", "bob@int.example")
                c.expect("DATA", 354)
                try:
                    for _ in range(100):
                        c.send(self.LINE * 13107)
                    c.send(b".\r\n")
                    self.assertEqual(c.reply(30).code, 552)
                except Closed:
                    pass
            self.assertLess(gate.memory_peak(), MEMORY_MAX)
            self.assertEqual(gate.list("--all"), [])


if __name__ == "__main__":
    unittest.main()
