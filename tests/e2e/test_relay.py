"""Who may send, and to where: no open relay, and no bounce to who did not send (REL)."""
import time
import unittest

from harness import Client, Gateway, ScriptSink, demo_policy, simple_mail, wait_until

SERVICES = ("relay", "submission", "submissions")
SENDERS = ("x@int.example", "alice@int.example", "", "x@ext.example", "postmaster@int.example",
           "postmaster", "alice@[127.0.0.1]", '"alice@int.example"@ext.example',
           "@int.example:alice@int.example", "MAILER-DAEMON@gate.example")
# Where a relay that reads an address twice, or in parts, would send it.
RECIPIENTS = (
    "u@ext.example", '"u@ext.example"@int.example', '"u@ext.example"', "u%ext.example",
    "u%ext.example@int.example", "ext.example!u", "ext.example!u@int.example",
    "@int.example:u@ext.example", "@int.example,@127.0.0.1:u@ext.example",
    "u@ext.example@int.example", "u%ext.example@[127.0.0.1]", "u@[127.0.0.1]", "u@[192.0.2.1]",
    '"u%ext.example"@int.example', "u%ext.example%int.example", "postmaster",
    "postmaster@ext.example", "postmaster@[127.0.0.1]", "postmaster%ext.example@int.example",
    "u@localhost", "u@gate.example", "u@ext.example.")


def outside(gate):
    """The gateway, when no organisation of it has us in its networks any more."""
    text = gate.ctl("org", "export", "demo")[0][0]["text"]
    changed = text.replace("127.0.0.0/8", "192.0.2.0/24")
    assert changed != text
    published = len(gate.log("published"))
    done = gate.run_ctl("org", "import", "-", json_output=False, stdin=changed)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: len(gate.log("published")) > published, 10, "the new networks")
    time.sleep(0.2)  # each worker takes them at its next turn
    return gate


class Outside(unittest.TestCase):
    """A client that no organisation knows."""

    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(ScriptSink())
        cls.gate = cls.enterClassContext(Gateway(
            route=cls.sink.address, policy=demo_policy("0s", ""),
            settings={"errors": "1000", "errors_per_client_minute": "1000000"}))
        outside(cls.gate)

    def tearDown(self):
        self.assertEqual(self.gate.list("--all"), [], "a mail was taken")
        self.assertEqual(self.sink.transcript, [], "a mail was sent")

    def connect(self, service):
        return self.gate.client(service, user=None)

    def probe(self, c, sender, recipient):
        """The codes of a whole transaction, in lockstep; none may be good."""
        lines = f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA"
        codes = [c.command(line).code for line in lines]
        self.assertFalse([code for code in codes if code < 500], (sender, recipient, codes))
        return codes

    def test_REL_01_nobody_unknown_may_send(self):
        for service in SERVICES:
            with self.subTest(service=service), self.connect(service) as c:
                first = self.probe(c, "x@ext.example", "y@ext.example")[0]
                self.assertEqual(first, 550 if service == "relay" else 530)
                first = self.probe(c, "alice@int.example", "bob@int.example")[0]
                self.assertEqual(first, 550 if service == "relay" else 530)

    def test_REL_01_nor_by_a_name_or_in_one_segment(self):
        for name in ("int.example", "localhost", "[127.0.0.1]", "[192.0.2.1]", "gate.example",
                     "smtp.int.example"):
            with self.subTest(name=name), Client(self.gate.relay, ehlo=name) as c:
                c.send(b"MAIL FROM:<alice@int.example>\r\nRCPT TO:<y@ext.example>\r\nDATA\r\n")
                self.assertEqual([c.reply().code // 100 for _ in range(3)], [5, 5, 5])

    def test_REL_02_the_classic_probes(self):
        for service in SERVICES:
            with self.connect(service) as c:
                for sender in SENDERS:
                    with self.subTest(service=service, sender=sender):
                        self.probe(c, sender, "u@ext.example")
                for recipient in RECIPIENTS:
                    for sender in ("x@int.example", ""):
                        with self.subTest(service=service, sender=sender, recipient=recipient):
                            self.probe(c, sender, recipient)


class Inside(unittest.TestCase):
    """A mail server of the organisation, and its user: they may send, but the probes lead nowhere
    else for them either."""

    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(ScriptSink())
        cls.gate = cls.enterClassContext(Gateway(
            route=cls.sink.address, policy=demo_policy("0s", ""),
            settings={"errors": "1000", "errors_per_relay_minute": "1000000"}))

    def test_REL_02_what_is_taken_goes_where_it_says(self):
        for service in ("relay", "submission"):
            taken = {}
            with self.gate.client(service) as c:
                for recipient in RECIPIENTS:
                    c.expect("MAIL FROM:<alice@int.example>", 250)
                    reply = c.command(f"RCPT TO:<{recipient}>")
                    if reply.code == 250:
                        c.expect("DATA", 354)
                        c.send(simple_mail("alice@int.example", ["x@int.example"]) + b".\r\n")
                        taken[recipient] = c.reply().text.split()[-1]
                    c.expect("RSET", 250)
            for recipient, mail in taken.items():
                with self.subTest(service=service, recipient=recipient):
                    kept = self.gate.show(mail)["recipients"]
                    self.assertEqual(len(kept), 1)
                    local, at, domain = kept[0]["address"].rpartition("@")
                    # the last @ outside of quotes decides; needless quotes go, and nothing else
                    want = recipient.rpartition(":")[2].rstrip(".")
                    want = {'"u%ext.example"@int.example': "u%ext.example@int.example",
                            "postmaster": "postmaster@int.example"}.get(want, want)
                    self.assertEqual(local + at + domain, want)
                    self.assertEqual(kept[0]["class"],
                                     "internal" if domain == "int.example" else "external")
                    if domain in ("int.example", "ext.example"):
                        self.gate.wait_states(mail, "delivered")
                        self.assertIn(want, self.sink.got(want)[-1].recipients)
            self.assertIn("u@ext.example", taken)
            for refused in ('"u@ext.example"', "u%ext.example", "ext.example!u",
                            "u@ext.example@int.example", "u%ext.example%int.example"):
                self.assertNotIn(refused, taken)


class Backscatter(unittest.TestCase):
    """REL-07: a hop that refuses every recipient, and senders who did not send."""

    def setUp(self):
        self.sink = self.enterContext(ScriptSink({"rcpt": b"550 5.1.1 nobody\r\n"}))

    def reports(self):
        return [line for line in self.sink.commands("RCPT") if b"victim" in line]

    def test_REL_07_spoofed_senders_are_refused_in_the_session(self):
        with Gateway(route=self.sink.address, policy=demo_policy("0s", "")) as gate:
            for service in SERVICES:
                with self.subTest(service=service), gate.client(service) as c:
                    for sender in ("victim@ext.example", "victim@group.example",
                                   "victim@sub.int.example", "victim@int.example.ext.example"):
                        c.expect(f"MAIL FROM:<{sender}>", 550)
                        c.expect("RCPT TO:<nobody@int.example>", 503)
            self.assertEqual(gate.list("--all"), [])
        self.assertEqual(self.sink.transcript, [])

    def test_REL_07_from_outside_too(self):
        with Gateway(route=self.sink.address, policy=demo_policy("0s", "")) as gate:
            with outside(gate).client("relay") as c:
                for sender in ("victim@ext.example", "victim@int.example", ""):
                    c.expect(f"MAIL FROM:<{sender}>", 550)
                    c.expect("RCPT TO:<nobody@int.example>", 503)
            self.assertEqual(gate.list("--all"), [])
        self.assertEqual(self.sink.transcript, [])

    def test_REL_07_a_null_sender_gets_no_report(self):
        with Gateway(route=self.sink.address, policy=demo_policy("0s", "")) as gate:
            with gate.client("relay") as c:
                for more in ("", " RET=HDRS ENVID=x"):
                    reply = c.mail("", ["nobody@ext.example"], (
                        b"From: victim@ext.example\r\nReply-To: victim@ext.example\r\n"
                        b"Return-Path: <victim@ext.example>\r\nErrors-To: victim@ext.example\r\n"
                        b"Subject: spoofed\r\n\r\nx\r\n"), more)
                    self.assertEqual(reply.code, 250)
                    gate.wait_states(reply.text.split()[-1], "bounced")
            time.sleep(0.5)
            self.assertEqual(len(gate.list("--all")), 2, "a report was made")
        self.assertEqual(self.reports(), [])

    def test_REL_07_the_report_goes_to_who_sent(self):
        self.sink.script["rcpt"] = lambda _, line: (
            None if b"<alice@int" in line else b"550 5.1.1 nobody\r\n")
        with Gateway(route=self.sink.address, policy=demo_policy("0s", "")) as gate:
            with gate.client("submission") as c:
                reply = c.mail("alice@int.example", ["nobody@ext.example"], (
                    b"From: alice@int.example\r\nReply-To: victim@ext.example\r\n"
                    b"Errors-To: victim@ext.example\r\nSubject: mine\r\n\r\nx\r\n"))
                self.assertEqual(reply.code, 250)
            report = wait_until(self.sink.got, 20, "the report")[0]
            self.assertEqual((report.sender, report.recipients), ("", ["alice@int.example"]))
        self.assertEqual(self.reports(), [])


if __name__ == "__main__":
    unittest.main()
