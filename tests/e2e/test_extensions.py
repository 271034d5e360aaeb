"""The extensions that EHLO offers, through the daemon: CHUNKING, SMTPUTF8, FUTURERELEASE."""
import hashlib
import time
import unittest

from harness import Client, Gateway, ScriptSink, Sink, demo_policy, simple_mail, wait_until

SENDER = "alice@int.example"
UTF8 = "山田@ext.example"


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


class Offers(unittest.TestCase):
    def test_what_ehlo_says_on_every_service(self):
        with Gateway() as gate:
            for service in ("relay", "submission", "submissions"):
                with gate.client(service) as c:
                    words = " ".join(c.command("EHLO src.example").lines)
                    for word in ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING",
                                 "LIMITS RCPTMAX=1000", "FUTURERELEASE 604800",
                                 "ENHANCEDSTATUSCODES"):
                        self.assertIn(word, words, service)
                    for word in ("BINARYMIME", "REQUIRETLS", "DELIVERBY"):
                        self.assertNotIn(word, words, service)


class Chunks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(Sink(content=True))
        cls.gate = cls.enterClassContext(Gateway(route=cls.sink.address,
                                                 policy=demo_policy("0s", "")))

    def send(self, content, sizes, recipient):
        """By BDAT in chunks of these sizes, pipelined; the last one is LAST."""
        with Client(self.gate.relay, ehlo="src.example") as c:
            for line in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{recipient}>"):
                self.assertEqual(c.command(line).code, 250)
            at = 0
            for n, size in enumerate(sizes):
                last = b" LAST" if n == len(sizes) - 1 else b""
                c.send(b"BDAT %d%s\r\n" % (size, last) + content[at:at + size])
                at += size
            return [c.reply() for _ in sizes]

    def arrived(self, recipient):
        def find():
            return [body for body, envelope in self.sink.content()
                    if f"<{recipient}>".encode() in envelope]
        return wait_until(find, 60, f"a mail for {recipient}")

    def test_small_chunks(self):
        content = simple_mail(SENDER, ["small@ext.example"], "small") + b"..dots\r\n.\r\n"
        replies = self.send(content, [7, 0, len(content) - 8, 1], "small@ext.example")
        self.assertEqual([r.code for r in replies], [250] * 4, replies)
        self.assertTrue(self.arrived("small@ext.example")[0].endswith(content))

    def test_large_chunks_go_to_the_disk_as_they_come(self):
        line = b"0123456789abcdef" * 4 + b"\r\n"
        content = b"Subject: large\r\n\r\n" + line * 300000  # 20 MB
        half = len(content) // 2 + 1
        replies = self.send(content, [half, len(content) - half, 0], "large@ext.example")
        self.assertEqual([r.code for r in replies], [250] * 3, replies)
        got = self.arrived("large@ext.example")[0]
        self.assertEqual(hashlib.sha256(got[-len(content):]).digest(),
                         hashlib.sha256(content).digest())

    def test_STATE_04_many_chunks_of_one_byte_at_bounded_memory(self):
        count = 100000
        with Client(self.gate.relay, ehlo="src.example", timeout=60) as c:
            for line in (f"MAIL FROM:<{SENDER}>", "RCPT TO:<x@ext.example>"):
                self.assertEqual(c.command(line).code, 250)
            before = self.gate.memory_peak()
            for _ in range(count // 1000):
                c.send(b"BDAT 1\r\nx" * 100 + b"BDAT 2\r\n\r\n" * 900)
                for _ in range(1000):
                    self.assertEqual(c.reply().code, 250)
            self.assertLess(self.gate.memory_peak() - before, 32 << 20)

    def test_lost_between_chunks_is_nobodys(self):
        with Client(self.gate.relay, ehlo="src.example") as c:
            for line in (f"MAIL FROM:<{SENDER}>", "RCPT TO:<lost@ext.example>"):
                c.command(line)
            c.send(b"BDAT 4\r\nhi\r\n")
            self.assertEqual(c.reply().code, 250)
        time.sleep(0.3)
        self.assertFalse([m for m in self.gate.list("--all")
                          if m["recipients"][0]["address"] == "lost@ext.example"])


class Future(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(ScriptSink())
        cls.gate = cls.enterClassContext(Gateway(route=cls.sink.address))

    def held(self, subject, parameters, recipient, service):
        with self.gate.client(service) as c:
            reply = c.mail(SENDER, [recipient], simple_mail(SENDER, [recipient], subject),
                           " " + parameters)
        self.assertEqual(reply.code, 250, reply)
        return self.gate.mail_with(subject)

    def test_HOLDFOR_makes_it_later_on_every_service(self):
        for service in ("relay", "submission", "submissions"):
            row = self.held(f"for {service}", "HOLDFOR=2", "bob@int.example", service)
            self.assertEqual(row["state"], "waiting")
            begin = time.monotonic()
            self.gate.wait_states(row["id"], "delivered", 10)
            self.assertGreater(time.monotonic() - begin, 1.0)

    def test_HOLDUNTIL(self):
        row = self.held("until", f"HOLDUNTIL={stamp(3)}", "bob@int.example", "submission")
        self.assertEqual(row["state"], "waiting")
        self.gate.wait_states(row["id"], "delivered", 10)

    def test_never_earlier_than_the_policy(self):
        for parameters in ("HOLDFOR=1", f"HOLDUNTIL={stamp(-60)}", f"HOLDUNTIL={stamp(1)}"):
            row = self.held("policy " + parameters, parameters, "x@ext.example", "submission")
            time.sleep(2)
            self.assertEqual(self.gate.states(row["id"]), {"x@ext.example": "waiting"})

    def test_what_was_past_asks_for_nothing(self):
        row = self.held("past", f"HOLDUNTIL={stamp(-3600)}", "bob@int.example", "submission")
        self.gate.wait_states(row["id"], "delivered")

    def test_a_report_tells_what_was_asked(self):
        until = stamp(1)
        for parameters, want in (("HOLDFOR=1", "for;1"), (f"HOLDUNTIL={until}", f"until;{until}"),
                                 ("RET=HDRS", None)):
            with self.subTest(parameters=parameters), \
                    ScriptSink({"rcpt": lambda _, line: (
                        b"550 5.1.1 nobody\r\n" if b"<x@ext" in line else None)}) as sink, \
                    Gateway(route=sink.address, policy=demo_policy("0s", "")) as gate:
                with gate.client() as c:
                    c.mail(SENDER, ["x@ext.example"],
                           simple_mail(SENDER, ["x@ext.example"], "told"), " " + parameters)
                if want:
                    gate.restart()  # it is on the disk, too
                report = wait_until(sink.got, 20, "the report")[0].content.decode()
                fields = report.partition("message/delivery-status")[2].partition("\r\n\r\n")[2]
                fields = fields.partition("\r\n\r\n")[0]
                self.assertIn("Reporting-MTA: ", fields)
                self.assertEqual([l for l in fields.splitlines() if l.startswith("Future-")],
                                 [f"Future-Release-Request: {want}"] if want else [])

    def test_it_can_be_released_and_discarded(self):
        row = self.held("let go", "HOLDFOR=3600", "bob@int.example", "submission")
        self.gate.ctl("release", row["id"])
        self.gate.wait_states(row["id"], "delivered")
        row = self.held("take back", "HOLDFOR=3600", "bob@int.example", "submission")
        self.gate.ctl("discard", row["id"])
        self.gate.wait_states(row["id"], "discarded")


class Utf8(unittest.TestCase):
    def test_passed_on_where_the_hop_has_it(self):
        sink = self.enterContext(ScriptSink(features=("8BITMIME", "SMTPUTF8")))
        gate = self.enterContext(Gateway(route=sink.address, policy=demo_policy("0s", "")))
        content = simple_mail(SENDER, ["x@ext.example"], "utf8").replace(
            b"Subject: utf8", "Subject: 件名".encode())
        with gate.client() as c:
            self.assertEqual(c.command(f"MAIL FROM:<{SENDER}> SMTPUTF8 BODY=8BITMIME").code, 250)
            c.send(f"RCPT TO:<{UTF8}>\r\n".encode())
            self.assertEqual(c.reply().code, 250)
            self.assertEqual(c.command("DATA").code, 354)
            c.send(content + b".\r\n")
            self.assertEqual(c.reply().code, 250)
        mail = wait_until(sink.got, 10, "the mail")[0]
        self.assertIn("SMTPUTF8", str(mail.mail_line))
        self.assertIn(b"with UTF8SMTP id", mail.content)

    def test_ORCPT_in_utf8_is_passed_on_as_the_hop_takes_it(self):
        rows = ((("DSN", "8BITMIME", "SMTPUTF8"), UTF8, "utf-8;花@old.example"),
                (("DSN",), "x@ext.example", "utf-8;\\x{82B1}@old.example"))
        for features, to, want in rows:
            with self.subTest(features=features), ScriptSink(features=features) as sink, \
                    Gateway(route=sink.address, policy=demo_policy("0s", "")) as gate, \
                    gate.client() as c:
                c.expect(f"MAIL FROM:<{SENDER}> SMTPUTF8", 250)
                c.send(f"RCPT TO:<{to}> ORCPT=utf-8;花@old.example NOTIFY=DELAY\r\n".encode())
                self.assertEqual(c.reply().code, 250)
                c.expect("DATA", 354)
                c.send(simple_mail(SENDER, ["x@ext.example"], "orcpt") + b".\r\n")
                self.assertEqual(c.reply().code, 250)
                wait_until(sink.got, 10, "the mail")
                self.assertEqual(sink.commands("RCPT")[0].decode(),
                                 f"RCPT TO:<{to}> NOTIFY=DELAY ORCPT={want}")

if __name__ == "__main__":
    unittest.main()
