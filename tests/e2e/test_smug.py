"""Smuggling, inbound: only CRLF ends a line, only CRLF.CRLF ends a mail, on each service and at
each cut (attacks.md 1). Every client here comes from 127.0.0.1, a trusted network: SMUG-21."""
import time
import unittest

from harness import Client, Closed, Gateway, ScriptSink, simple_mail, wait_until

SERVICES = ("relay", "submission", "submissions")
ENDS = {
    "SMUG-01": b"\n.\n", "SMUG-02": b"\n.\r\n", "SMUG-03": b"\n.\r", "SMUG-04": b"\r.\n",
    "SMUG-05": b"\r.\r", "SMUG-06": b"\r.\r\n", "SMUG-07": b"\r\n.\n", "SMUG-08": b"\r\n.\r",
    "SMUG-09": b"\r\n.\r\r\n", "SMUG-10": b"\r\r\n.\r\r\n", "SMUG-11": b"\r\n\0.\r\n",
    "SMUG-12": b"\r\n.\0\r\n",
}
SECOND = (b"mail FROM:<smuggled@int.example>\r\nrcpt TO:<x@int.example>\r\ndata\r\n"
          b"Subject: SMUGGLED\r\n\r\nx\r\n.\r\n")
SENDER, RECIPIENT = "alice@int.example", "bob@int.example"


class Case(unittest.TestCase):
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(ScriptSink())
        cls.gate = cls.enterClassContext(Gateway(route=cls.sink.address, settings=cls.settings))

    def open_data(self, service):
        c = self.gate.client(service)
        c.envelope(SENDER, RECIPIENT)
        c.expect("DATA", 354)
        return c

    def assert_nothing_entered(self):
        """Neither queue nor sink has anything from these tests but what subject `plain` names."""
        for m in self.gate.list("--all"):
            self.assertEqual((m["subject"], m["sender"]), ("plain", SENDER))
        for m in self.sink.received:
            self.assertNotIn(b"SMUGGLED", m.content)
            self.assertIn(b"Subject: plain\r\n", m.content)

    def assert_refused_once(self, c, replies):
        self.assertEqual([r.code for r in replies], [550], replies)
        c.close()


class Ends(Case):
    def refuse(self, service, end):
        with self.open_data(service) as c:
            c.send(b"Subject: SMUGGLER\r\n\r\ntext" + end + SECOND)
            self.assert_refused_once(c, c.replies_until_close(10))

    def test_SMUG_01_to_12_and_21_on_every_service(self):
        for service in SERVICES:
            for name, end in ENDS.items():
                with self.subTest(service=service, row=name):
                    self.refuse(service, end)
        self.assert_nothing_entered()

    def test_a_true_end_is_one_on_every_service(self):
        """The control of all the others: with CRLF.CRLF the second mail is taken, too."""
        for service in SERVICES:
            wait_until(lambda: not self.gate.list(), 10, "the end of other tests' mails")
            before = len(self.sink.got())
            with self.gate.client(service) as c:
                for _ in range(2):
                    reply = c.mail(SENDER, RECIPIENT, b"Subject: plain\r\n\r\n..\r\n.\r\n")
                    self.assertEqual(reply.code, 250)
                c.quit()
            wait_until(lambda n=before: len(self.sink.got()) == n + 2, 10, f"{service}: two mails")

    def test_SMUG_13_at_every_cut(self):
        for name in ("SMUG-01", "SMUG-02", "SMUG-09"):
            stream = b"Subject: SMUGGLER\r\n\r\nt" + ENDS[name] + SECOND
            for cut in range(1, len(stream)):
                with self.subTest(row=name, cut=cut), self.open_data("relay") as c:
                    try:
                        c.send(stream[:cut])
                        time.sleep(0.001)
                        c.send(stream[cut:])
                    except Closed:
                        pass  # it was refused already
                    self.assert_refused_once(c, c.replies_until_close(10))
        self.assert_nothing_entered()

    def test_SMUG_13_a_true_end_at_every_cut(self):
        stream = b"Subject: plain\r\n\r\n.." + b"\r\n.\r\n"
        before = len(self.sink.got())
        for cut in range(1, len(stream)):
            with self.subTest(cut=cut), self.open_data("relay") as c:
                c.send(stream[:cut])
                time.sleep(0.001)
                c.send(stream[cut:])
                self.assertEqual(c.reply().code, 250)
                c.quit()
        wait_until(lambda: len(self.sink.got()) == before + len(stream) - 1, 10, "all mails")
        self.assertEqual({m.content.partition(b"\r\n\r\n")[2] for m in self.sink.got()[before:]},
                         {b".\r\n"})

    def test_SMUG_13_at_the_edges_of_buffers(self):
        head = b"Subject: plain\r\n\r\n"
        for edge in (4096, 8192, 16384):
            for shift in range(-4, 3):
                line = b"x" * 62 + b"\r\n"
                room = edge + shift - len(head)
                body = (line * (room // 64 + 1))[:room - room % 64] + b"y" * (room % 64)
                for end, code in ((b"\r\n.\r\n", 250), (b"\n.\r\n", 550), (b"\r.\r\n", 550)):
                    stream = head + body + end
                    with self.subTest(edge=edge, shift=shift, end=end), \
                            self.open_data("relay") as c:
                        c.send(stream[:edge], stream[edge:] + (SECOND if code == 550 else b""))
                        self.assertEqual(c.reply().code, code)
                        if code == 550:
                            self.assertEqual(c.replies_until_close(10), [])
        self.assert_nothing_entered()


class Late(Case):
    """SMUG-14: what was refused before its end stays data up to the end."""
    settings = {"message_size": "64KiB"}
    REFUSED = {
        "too large": b"Subject: SMUGGLER\r\n\r\n" + b"y" * 70 + b"\r\n",
        "long line": b"Subject: SMUGGLER\r\n\r\n" + b"y" * 1200 + b"\r\n",
        "odd header": b"Subject: SMUGGLER\r\n \r\nTo: x\r\n\r\n",
    }

    def test_SMUG_14(self):
        for why, head in self.REFUSED.items():
            if why == "too large":
                head += (b"z" * 70 + b"\r\n") * 1000
            for name, end in {"plain": b"\r\n..\r\n", **ENDS}.items():
                with self.subTest(why=why, row=name), self.open_data("relay") as c:
                    c.send(head + b"t" + end + SECOND)
                    self.assertEqual(c.reply().code // 100, 5)
                    try:  # closed now, or in step and without a transaction
                        c.send(b"RCPT TO:<x@int.example>\r\nQUIT\r\n")
                        rest = [r.code for r in c.replies_until_close(10)]
                    except Closed:
                        rest = []
                    self.assertIn(rest, ([], [503, 221]))
                    if name == "plain":
                        self.assertTrue(rest)
        self.assert_nothing_entered()


class Heads(Case):
    GAPS = {"CR CRLF": b"\r\r\n", "blank": b" \r\n", "tab": b"\t\r\n", "NUL": b"\0\r\n"}
    STARTS = {"mbox": b"From x@y Mon Nov 24 05:00:00 2026\r\n", "space": b" a: b\r\n",
              "tab": b"\ta: b\r\n", "empty": b"\r\n", "dot": b".\r\n",
              "no field": b"what is this\r\n"}

    def test_SMUG_16_gap_between_header_and_body(self):
        for name, gap in self.GAPS.items():
            with self.subTest(gap=name), self.open_data("relay") as c:
                c.send(b"Subject: SMUGGLER\r\n" + gap + b"To: x@int.example\r\n\r\nbody\r\n.\r\n")
                self.assertEqual(c.reply().code, 550)
        self.assert_nothing_entered()

    def test_SMUG_17_odd_first_lines(self):
        """Refused, or one mail, whose bytes follow our trace fields as they are; a mailbox's From_
        line, which no server may see as a field or a body, is cut out."""
        for name, start in self.STARTS.items():
            with self.subTest(start=name), self.gate.client("relay") as c:
                before = len(self.sink.got())
                content = start + b"Subject: plain\r\n\r\nbody\r\n"
                reply = c.mail(SENDER, RECIPIENT, content)
                if reply.code // 100 == 5:
                    continue
                self.assertEqual(reply.code, 250)
                c.quit()
                wait_until(lambda n=before: len(self.sink.got()) > n, 10, "the mail")
                time.sleep(0.1)
                self.assertEqual(len(self.sink.got()), before + 1)
                got = self.sink.got()[-1].content
                self.assertTrue(got.startswith(b"Received: "), got[:200])
                kept = content.removeprefix(start) if name == "mbox" else content
                self.assertTrue(got.endswith(kept), got[-200:])
                self.assertNotIn(b"\r\nFrom ", got)

    def test_SMUG_15_dots_on_their_way_out(self):
        body = b"".join(line + b"\r\n" for line in (
            b".", b"..", b"...", b".foo", b"", b"a.", b" .", b".\t", b"..foo", b".", b""))
        content = simple_mail(SENDER, RECIPIENT, "plain", body="") + body
        for service in SERVICES:
            before = len(self.sink.got())
            self.gate.send(RECIPIENT, service=service, content=content)
            wait_until(lambda n=before: len(self.sink.got()) > n, 10, "the mail")
            mail = self.sink.got()[-1]
            self.assertTrue(mail.content.endswith(content))
            wire = mail.wire.split(b"\r\n")
            self.assertFalse([x for x in wire if b"\r" in x or b"\n" in x])
            self.assertFalse([x for x in wire if x.startswith(b".") and not x.startswith(b"..")])
        self.assertEqual(len(self.sink.commands("MAIL")), len(self.sink.received))


class Commands(Case):
    def test_SMUG_18_before_the_greeting(self):
        """Strictly ordered, or refused: never a reply before the greeting."""
        for _ in range(20):
            with Client(self.gate.relay, greet=False) as c:
                c.send(b"EHLO early.example\r\n")
                first = c.reply().code
                self.assertIn(first, (220, 554))
                self.assertIn(c.reply().code if first == 220 else None, (250, None))

    def test_SMUG_18_behind_commands_that_change_the_state(self):
        for service in SERVICES:
            with self.subTest(service=service, behind="DATA"), self.gate.client(service) as c:
                c.envelope(SENDER, RECIPIENT)
                c.send(b"DATA\r\nSubject: SMUGGLER\r\n\r\nx\r\n.\r\n" + SECOND)
                replies = c.replies_until_close(10)
                self.assertEqual([r.code for r in replies], [503], replies)
        with Client(self.gate.relay) as c:
            c.send(b"EHLO a.example\r\nMAIL FROM:<alice@int.example>\r\n")
            self.assertEqual([r.code for r in c.replies_until_close(10)], [503])
        self.assert_nothing_entered()

    def test_SMUG_19_and_20_in_commands(self):
        rows = {"SMUG-19": b"\n", "SMUG-20": b"\r", "NUL": b"\0"}
        lines = (b"MAIL FROM:<alice@int.example>%bRCPT TO:<bob@int.example>\r\n",
                 b"MAIL FROM:<alice@int.example>%b", b"NOOP%bRSET\r\n",
                 b"MAIL FROM:<alice@int.example> SIZE=1%bRCPT TO:<bob@int.example>\r\n",
                 b"MAIL FROM:<al%bice@int.example>\r\n")
        for service in SERVICES:
            for row, byte in rows.items():
                for line in lines:
                    if byte != b"\n" and not line.endswith(b"\r\n"):
                        continue
                    with self.subTest(service=service, row=row, line=line), \
                            self.gate.client(service) as c:
                        c.send(line % byte)
                        replies = c.replies_until_close(10)
                        self.assertEqual([r.code // 100 for r in replies], [5], replies)
        self.assert_nothing_entered()


if __name__ == "__main__":
    unittest.main()
