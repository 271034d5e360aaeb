"""The transaction and its end (attacks.md 2): nothing survives a refusal, and a mail is ours
exactly when its dot was complete."""
import socket
import time
import unittest

from harness import Client, Closed, Gateway, ScriptSink, simple_mail, stuffed, wait_until

SENDER, RECIPIENT = "alice@int.example", "bob@int.example"
SERVICES = ("relay", "submission", "submissions")


class Case(unittest.TestCase):
    settings = {"message_size": "64KiB"}

    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(ScriptSink())
        cls.gate = cls.enterClassContext(Gateway(route=cls.sink.address, settings=cls.settings))

    def subjects(self):
        return [m["subject"] for m in self.gate.list("--all")]


class Refused(Case):
    # What ends a transaction without a mail: lines with their codes; bytes are sent as they are.
    ENDS = {
        "odd header": [("DATA", 354), (b"Subject: x\r\n \r\nTo: y\r\n\r\nz\r\n.\r\n", 550)],
        "long line": [("DATA", 354), (b"Subject: x\r\n\r\n" + b"y" * 1200 + b"\r\n.\r\n", 550)],
        "too large": [("DATA", 354),
                      (b"Subject: x\r\n\r\n" + (b"y" * 78 + b"\r\n") * 1000 + b".\r\n", 552)],
        "loop": [("DATA", 354), (b"Received: x\r\n" * 120 + b"\r\nbody\r\n.\r\n", 554)],
        "RSET": [("RSET", 250)],
        "HELO": [("HELO again.example", 250)],
        "EHLO": [("EHLO again.example", 250)],
    }

    def test_STATE_01_and_02_on_every_service(self):
        for service in SERVICES:
            for why, steps in self.ENDS.items():
                with self.subTest(service=service, why=why), self.gate.client(service) as c:
                    c.envelope(SENDER, [RECIPIENT, "x@ext.example"])
                    for line, code in steps:
                        self.assertEqual(c.command(line).code, code, line[:20])
                    c.expect("RCPT TO:<c@ext.example>", 503)
                    c.expect("DATA", 503)
                    reply = c.mail(SENDER, RECIPIENT, simple_mail(SENDER, RECIPIENT, "afresh"))
                    self.assertEqual(reply.code, 250)
                    c.quit()
        self.assertEqual(self.subjects(), ["afresh"] * len(SERVICES) * len(self.ENDS))
        wait_until(lambda: len(self.sink.got()) == len(SERVICES) * len(self.ENDS), 10, "all mails")
        self.assertEqual({tuple(m.recipients) for m in self.sink.got()}, {(RECIPIENT,)})

    def test_STATE_02_size_refused_at_mail(self):
        with self.gate.client() as c:
            c.expect(f"MAIL FROM:<{SENDER}> SIZE=70000", 552)
            c.expect(f"RCPT TO:<{RECIPIENT}>", 503)
            c.expect("DATA", 503)

    def test_STATE_02_auth_refused(self):
        with self.gate.client("submissions", user=None) as c:
            self.assertEqual(c.auth(SENDER, "wrong").code, 535)
            c.expect(f"MAIL FROM:<{SENDER}>", 530)
            c.expect(f"RCPT TO:<{RECIPIENT}>", 503)
            c.expect("DATA", 503)

    def test_STATE_09_order(self):
        with self.gate.client() as c:
            c.expect(f"RCPT TO:<{RECIPIENT}>", 503)
            c.expect("DATA", 503)
            c.expect(f"MAIL FROM:<{SENDER}>", 250)
            c.expect("DATA", 503)
            c.expect(f"MAIL FROM:<{SENDER}>", 503)
            c.expect(f"RCPT TO:<{RECIPIENT}>", 250)
            c.expect("DATA", 354)
            c.send(b"Subject: ordered\r\n\r\nDATA\r\n.\r\n")
            self.assertEqual(c.reply().code, 250)
            c.expect("DATA", 503)
            c.quit()
        self.assertEqual(self.subjects().count("ordered"), 1)

    def test_STATE_09_only_recipient_refused(self):
        with self.gate.client() as c:
            c.expect(f"MAIL FROM:<{SENDER}>", 250)
            c.expect("RCPT TO:<>", 5)
            c.expect("DATA", 5)
            c.expect("QUIT", 221)

    def test_STATE_09_before_ehlo(self):
        with Client(self.gate.relay) as c:
            c.expect(f"MAIL FROM:<{SENDER}>", 503)
            c.expect("NOOP", 250)

    def test_STATE_11_chatter_leaves_the_transaction_alone(self):
        for service in SERVICES:
            with self.subTest(service=service), self.gate.client(service) as c:
                c.expect(f"MAIL FROM:<{SENDER}>", 250)
                for line, code in (("NOOP", 250), ("NOOP with words", 250), ("HELP", 214),
                                   ("VRFY x", 252), ("EXPN x", 502), ("WHAT", 500)):
                    c.expect(line, code)
                    c.expect(f"RCPT TO:<r{code}@int.example>", 250)
                c.expect("DATA", 354)
                c.send(f"Subject: chatter {service}\r\n\r\n.\r\n".encode())
                self.assertEqual(c.reply().code, 250)
            mail = self.gate.mail_with(f"chatter {service}")
            self.assertEqual([r["address"] for r in mail["recipients"]],
                             [f"r{code}@int.example" for code in (250, 250, 214, 252, 502, 500)])

    def test_STATE_11_quit_within_a_transaction(self):
        with self.gate.client() as c:
            c.envelope(SENDER, RECIPIENT)
            c.quit()

    def test_STATE_12_never_confirms(self):
        with self.gate.client() as c:
            for name in ("alice", "alice@int.example", "<alice@int.example>", "nobody", "helpdesk"):
                answers = {verb: c.command(f"{verb} {name}") for verb in ("VRFY", "EXPN")}
                self.assertEqual((answers["VRFY"].code, answers["EXPN"].code), (252, 502))
                for reply in answers.values():
                    self.assertNotIn("alice", reply.text)
                    self.assertNotIn("@", reply.text)


class Slow(Case):
    settings = {"command_timeout": "1s"}

    def test_STATE_02_data_timeout(self):
        for sent in (b"", b"Subject: never\r\n\r\nhalf a li", b"Subject: never\r\n\r\nx\r\n."):
            with self.subTest(sent=sent), self.gate.client() as c:
                c.envelope(SENDER, RECIPIENT)
                c.expect("DATA", 354)
                c.send(sent)
                replies = c.replies_until_close(10)
                self.assertEqual([r.code for r in replies], [421], replies)
        self.assertEqual(self.subjects(), [])
        self.assertEqual(self.sink.received, [])


class Cut(Case):
    """STATE-10. The session is sent byte by byte up to a cut, then FIN or RST."""
    BODY = (b"filler " * 10 + b"\r\n") * 20

    def session(self, subject):
        """(bytes, replies to wait for behind them)"""
        content = simple_mail(SENDER, RECIPIENT, subject, body="") + self.BODY
        return [(b"EHLO src.example\r\n", 1),
                (f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n".encode(), 3),
                (stuffed(content) + b".\r\n", 0)]

    def cut(self, at, subject, end):
        """How many replies came in the end; the whole session if `at` is behind its last byte."""
        with Client(self.gate.relay) as c:
            for data, replies in self.session(subject):
                c.send(data[:at])
                at -= len(data)
                if at < 0:
                    break
                for _ in range(replies):
                    c.reply()
            if end == "RST":
                c.reset()
                return
            c.socket.shutdown(socket.SHUT_WR)
            try:
                c.replies_until_close(10)
            except AssertionError as e:
                self.fail(f"cut at {at}: {e}")

    def test_STATE_10_cut_at_every_byte(self):
        whole = sum(len(data) for data, _ in self.session("cut-0000-FIN"))
        filler = range(whole - len(self.BODY) + 100, whole - 100)
        complete = []
        for end in ("FIN", "RST"):
            for at in range(whole + 1):
                if at in filler and at % 19:
                    continue
                self.cut(at, f"cut-{at:04}-{end}", end)
            for again in range(20):
                complete.append(f"end-{again:03}-{end}")
                self.cut(whole, complete[-1], end)
        self.judge({f"cut-{whole:04}-FIN", f"cut-{whole:04}-RST", *complete})

    def judge(self, may):
        """What was complete is there once or not at all; nothing else is."""
        time.sleep(0.5)
        listed = [m for m in self.gate.list("--all") if m["subject"].startswith(("cut-", "end-"))]
        subjects = [m["subject"] for m in listed]
        self.assertEqual(len(subjects), len(set(subjects)), "one mail was taken twice")
        self.assertEqual(set(subjects) - may, set(), "taken without a complete dot")
        self.assertGreater(len(subjects), len(may) // 4, "FIN behind the dot never leaves a mail")
        wait_until(lambda: not self.gate.list(), 20, "all delivered")
        got = [line[9:].decode() for m in self.sink.got() for line in m.content.split(b"\r\n")
               if line.startswith(b"Subject: ")]
        self.assertEqual(sorted(s for s in got if s in may or "cut-" in s), sorted(subjects))
        self.assertEqual(self.gate.ctl("status")[1], 0)

    def test_STATE_10_lost_before_the_reply_is_read(self):
        """The client dies just behind the dot: committed or not, and then delivered once."""
        for n in range(50):
            c = self.gate.client()
            c.envelope(SENDER, RECIPIENT)
            c.expect("DATA", 354)
            c.send(simple_mail(SENDER, RECIPIENT, f"end-x{n}-FIN") + b".\r\n")
            c.close()
        self.judge({f"end-x{n}-FIN" for n in range(50)} |
                   {s for s in self.subjects() if "-x" not in s})


if __name__ == "__main__":
    unittest.main()
