"""Delivery: whom it calls, what it says there, and what it makes of the answers."""
import email
import email.policy
import tempfile
import time
import unittest

from harness import (Dns, Drop, Gateway, ScriptSink, demo_policy, server_tls, simple_mail,
                     wait_until)

SENDER = "alice@int.example"


class Case(unittest.TestCase):
    """Exchangers are ScriptSinks at 127.0.2.N, all at one port; mx("x", script) makes the domain
    x.example with one exchanger. Mail leaves at once; int.example has the sink `home`."""
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.home = cls.enterClassContext(ScriptSink(listen=("127.0.2.1", 0)))
        cls.hosts = 1
        cls.dns = cls.enterClassContext(Dns({
            "int.example": {"MX": [(10, "home.int.example")]},
            "home.int.example": {"A": ["127.0.2.1"]}}))
        cls.gate = cls.enterClassContext(Gateway(
            resolver=cls.dns.address, policy=demo_policy("0s"),
            settings={"outbound_port": cls.home.port, **cls.settings}))
        cls.tls = server_tls(cls.enterClassContext(tempfile.TemporaryDirectory()))

    def host(self, name, script=None, **kind):
        """An exchanger, and its address in the DNS."""
        type(self).hosts += 1
        address = f"127.0.2.{self.hosts}"
        sink = ScriptSink(script, listen=(address, self.home.port), **kind)
        self.addCleanup(sink.close)
        self.dns.zones[name] = {"A": [address]}
        return sink

    def dead(self, name):
        """An address at which nobody listens."""
        type(self).hosts += 1
        self.dns.zones[name] = {"A": [f"127.0.2.{self.hosts}"]}

    def mx(self, domain, script=None, **kind):
        sink = self.host(f"mx.{domain}", script, **kind)
        self.dns.zones[domain] = {"MX": [(10, f"mx.{domain}")]}
        return sink

    def send(self, *recipients, sender=SENDER, **kind):
        name = self.id().rpartition(".")[2] + f" {time.monotonic_ns()}"
        self.gate.send(list(recipients), name, sender=sender, **kind)
        return self.gate.mail_with(name)["id"]

    def ends(self, mail, states, seconds=10):
        self.gate.wait_states(mail, states, seconds)

    def dsn_of(self, recipient):
        """The parsed DSN about a recipient, once it is at home."""
        def find():
            for m in self.home.got(SENDER):
                report = email.message_from_bytes(m.content, policy=email.policy.default)
                if report.get_content_type() == "multipart/report" and \
                        recipient.encode() in m.content:
                    return report, m
            return None
        return wait_until(find, 10, f"a DSN about {recipient}")


class Routes(Case):
    def test_recipients_of_one_domain_in_one_transaction(self):
        a, b = self.mx("many.example"), self.mx("other.example")
        people = [f"r{n}@many.example" for n in range(10)]
        mail = self.send(*people, "x@other.example")
        self.ends(mail, "delivered")
        self.assertEqual([m.recipients for m in a.got()], [people])
        self.assertEqual([m.recipients for m in b.got()], [["x@other.example"]])

    def test_domains_are_compared_without_case_local_parts_kept(self):
        a = self.mx("case.example")
        self.ends(self.send("Mixed.Case@CASE.example", "x@Case.Example"), "delivered")
        self.assertEqual(len(a.got()), 1)
        self.assertEqual([r.partition("@")[0] for r in a.got()[0].recipients], ["Mixed.Case", "x"])

    def test_mx_preference(self):
        hosts = [self.host(f"mx{n}.pref.example") for n in range(3)]
        self.dns.zones["pref.example"] = {"MX": [
            (30, "mx2.pref.example"), (10, "mx0.pref.example"), (20, "mx1.pref.example")]}
        for _ in range(5):
            self.ends(self.send("x@pref.example"), "delivered")
        self.assertEqual([len(h.got()) for h in hosts], [5, 0, 0])

    def test_fallback_to_the_next_exchanger(self):
        rows = {"dead": None, "5xx greeting": {"banner": b"554 no\r\n"},
                "421 greeting": {"banner": b"421 no\r\n"}, "closed": {"banner": Drop()},
                "EHLO refused": {"ehlo": b"421 no\r\n"}}
        for n, (row, script) in enumerate(rows.items()):
            with self.subTest(first=row):
                domain = f"fall{n}.example"
                if script is None:
                    self.dead(f"a.{domain}")
                else:
                    self.host(f"a.{domain}", script)
                second = self.host(f"b.{domain}")
                self.dns.zones[domain] = {"MX": [(10, f"a.{domain}"), (20, f"b.{domain}")]}
                self.ends(self.send(f"x@{domain}"), "delivered")
                self.assertEqual(len(second.got()), 1)

    def test_implicit_mx(self):
        sink = self.host("implicit.example")
        self.ends(self.send("x@implicit.example"), "delivered")
        self.assertEqual(len(sink.got()), 1)

    def test_no_implicit_mx_beside_mx_records(self):
        sink = self.host("explicit.example")
        self.dns.zones["explicit.example"]["MX"] = [(10, "nowhere.explicit.example")]
        mail = self.send("x@explicit.example")
        wait_until(lambda: self.gate.states(mail)["x@explicit.example"] in ("retry", "bounced"), 10)
        self.assertEqual(sink.transcript, [])

    def test_null_mx(self):
        self.dns.zones["null.example"] = {"MX": [(0, "")], "A": ["127.0.2.1"]}
        self.ends(self.send("x@null.example"), "bounced")
        report, _ = self.dsn_of("x@null.example")
        self.assertIn("5.1.10", report.as_string())

    def test_no_such_domain(self):
        self.ends(self.send("x@nowhere.example"), "bounced")
        report, _ = self.dsn_of("x@nowhere.example")
        self.assertIn("5.1.2", report.as_string())

    def test_servfail_then_well(self):
        sink = self.host("mx.servfail.example")
        self.dns.zones["servfail.example"] = "SERVFAIL"
        mail = self.send("x@servfail.example")
        self.ends(mail, "retry", 40)
        self.dns.zones["servfail.example"] = {"MX": [(10, "mx.servfail.example")]}

        def delivered():
            self.gate.ctl("flush")
            return self.gate.states(mail)["x@servfail.example"] == "delivered"
        wait_until(delivered, 30, "delivery once the DNS answers", every=0.5)
        self.assertEqual(len(sink.got()), 1)

    def test_a_dead_server_holds_up_nobody(self):
        self.mx("hang.example", {"banner": 60})
        good = self.mx("quick.example")
        for n in range(30):
            self.gate.send(f"x{n}@hang.example", "hangs")
        began = time.monotonic()
        for _ in range(10):
            self.send("x@quick.example")
        wait_until(lambda: len(good.got()) == 10, 5, "ten mails")
        self.assertLess(time.monotonic() - began, 5)

    def test_connections_are_used_again(self):
        sink = self.mx("reuse.example")
        for _ in range(10):
            self.ends(self.send("x@reuse.example"), "delivered")
        self.assertEqual(len(sink.got()), 10)
        self.assertLess(len(sink.sessions), 4, "each shard keeps one")

    def test_an_idle_connection_that_the_hop_closed(self):
        """A mail must not wait five minutes because an old connection is gone."""
        sink = self.mx("closes.example")
        for _ in range(6):
            self.ends(self.send("x@closes.example"), "delivered")
            for session in sink.sessions:
                session.abort()
        self.assertEqual(len(sink.got()), 6)


class Answers(Case):
    STAGES = ("banner", "ehlo", "mail", "rcpt", "data", "dot")

    def retried(self, mail, domain, sink):
        """It waits for its retry; the next try, by an honest hop, delivers it."""
        self.ends(mail, "retry")
        sink.script = {}

        def delivered():
            self.gate.ctl("flush", f"to:{domain}")
            return self.gate.states(mail)[f"x@{domain}"] == "delivered"
        wait_until(delivered, 10, "delivery at the second try", every=0.3)

    def test_4xx_at_each_stage(self):
        for stage in self.STAGES:
            for code in (421, 451):
                with self.subTest(stage=stage, code=code):
                    domain = f"t{code}{stage}.example"
                    sink = self.mx(domain, {stage: b"%d 4.3.0 later\r\n" % code})
                    self.retried(self.send(f"x@{domain}"), domain, sink)
                    self.assertEqual(len(sink.got()), 1)

    def test_5xx_at_each_stage(self):
        for stage in ("mail", "rcpt", "data", "dot"):
            with self.subTest(stage=stage):
                domain = f"p{stage}.example"
                sink = self.mx(domain, {stage: b"550 5.7.1 never\r\n"})
                self.ends(self.send(f"x@{domain}"), "bounced")
                self.assertEqual(len(sink.got()), 0)
                report, _ = self.dsn_of(f"x@{domain}")
                self.assertIn("550 5.7.1 never", report.as_string())

    def test_each_recipient_has_its_own_end(self):
        answers = {b"a": None, b"b": b"550 5.1.1 unknown\r\n", b"c": b"451 4.2.1 later\r\n",
                   b"d": None}
        self.mx("mixed.example", {"rcpt": lambda s, line: answers[line[9:10]]})
        mail = self.send(*[f"{n}@mixed.example" for n in "abcd"])
        self.ends(mail, {"a@mixed.example": "delivered", "b@mixed.example": "bounced",
                         "c@mixed.example": "retry", "d@mixed.example": "delivered"})
        report, _ = self.dsn_of("b@mixed.example")
        for name in "acd":
            self.assertNotIn(f"{name}@mixed.example", report.get_payload()[1].as_string())

    def test_dropped_at_each_stage(self):
        for stage in ("banner", "ehlo", "mail", "rcpt", "data"):
            for rst in (False, True):
                with self.subTest(stage=stage, rst=rst):
                    domain = f"d{stage}{rst:d}.example"
                    sink = self.mx(domain, {stage: Drop(rst=rst)})
                    self.retried(self.send(f"x@{domain}"), domain, sink)
                    self.assertEqual(len(sink.received), 1)

    def test_dropped_after_the_dot(self):
        """The unavoidable window: it comes again, the same bytes (H-4), and is not taken back."""
        sink = self.mx("window.example", {"dot": Drop()})
        mail = self.send("x@window.example")
        self.ends(mail, "retry")
        self.assertEqual(self.gate.run_ctl("discard", mail).returncode, 1)
        self.retried(mail, "window.example", sink)
        self.assertEqual(len(sink.received), 2)
        self.assertEqual(sink.received[0].content, sink.received[1].content)

    def test_data_taken_back_by_the_hop_keeps_the_connection_in_step(self):
        sink = self.mx("step.example", {"data": [b"451 later\r\n", None]})
        first = self.send("x@step.example")
        self.ends(first, "retry")
        self.ends(self.send("y@step.example"), "delivered")
        self.assertEqual([m.recipients for m in sink.got()], [["y@step.example"]])


class Content(Case):
    def test_bytes_are_kept(self):
        sink = self.mx("bytes.example")
        body = bytes(range(1, 10)) + bytes(range(11, 13)) + bytes(range(14, 256)) + b"\r\n"
        content = (b"From: <alice@int.example>\r\nX-Odd:   two  blanks \r\n\tfolded\r\n"
                   b"Subject: =?utf-8?q?a?=\r\nx-lower: y\r\nX-8bit: \xe3\x81\x82\r\n\r\n"
                   b"\r\n.\r\n..\r\n \r\n" + body + b"x" * 998 + b"\r\n\r\n\r\n")
        self.gate.send("x@bytes.example", content=content)
        wait_until(sink.got, 10, "the mail")
        got = sink.got()[0]
        self.assertTrue(got.content.endswith(content))
        added = got.content[:-len(content)]
        self.assertRegex(added, rb"^Received: [^\0]*\r\n$")
        self.assertEqual(added.count(b"\r\nReceived"), 0)
        self.assertNotIn(b"x@bytes.example", added)

    def test_bcc_leaves_with_nobody(self):
        sink = self.mx("bcc.example")
        extra = ("Bcc: secret@bcc.example,\r\n other@bcc.example\r\nX-Kept: yes\r\n"
                 "BCC: third@bcc.example\r\nResent-Bcc: fourth@bcc.example\r\n")
        content = simple_mail(SENDER, "x@bcc.example", "bcc", extra=extra, body="Bcc: in body\r\n")
        self.gate.send(["x@bcc.example", "secret@bcc.example"], content=content)
        wait_until(sink.got, 10, "the mail")
        got = sink.got()[0].content
        for name in (b"secret", b"other@", b"third", b"fourth"):
            self.assertNotIn(name, got)
        self.assertTrue(got.endswith(content.replace(extra.encode(), b"X-Kept: yes\r\n")))

    def test_8bitmime(self):
        offers = self.mx("offers8.example", features=("8BITMIME", "SIZE 10000000"))
        content = "Subject: x\r\n\r\nあいう\r\n".encode()
        with self.gate.client() as c:
            c.mail(SENDER, ["x@offers8.example"], content, " BODY=8BITMIME")
        wait_until(offers.got, 10, "the mail")
        self.assertIn(b" BODY=8BITMIME", offers.got()[0].mail_line)
        self.assertIn(b" SIZE=", offers.got()[0].mail_line)
        self.assertTrue(offers.got()[0].content.endswith(content))

    def test_helo_where_ehlo_is_unknown(self):
        sink = self.mx("old.example", {"ehlo": b"502 what\r\n"})
        self.ends(self.send("x@old.example"), "delivered")
        self.assertEqual(len(sink.got()), 1)

    def test_tls_where_it_is_offered(self):
        sink = self.mx("tls.example", tls=self.tls)
        self.ends(self.send("x@tls.example"), "delivered")
        self.assertTrue(sink.got()[0].tls)
        self.assertEqual(len(sink.commands("EHLO")), 2)

    def test_plain_where_tls_fails(self):
        refused = self.mx("refuses.example", {"starttls": b"454 not now\r\n"}, tls=self.tls)
        broken = self.mx("broken.example", {"starttls": self.no_tls}, tls=self.tls)
        for domain, sink in (("refuses.example", refused), ("broken.example", broken)):
            with self.subTest(domain=domain):
                self.ends(self.send(f"x@{domain}"), "delivered")
                self.assertFalse(sink.got()[0].tls)

    @staticmethod
    def no_tls(session, _):
        session.socket.sendall(b"220 go on\r\n")
        session.socket.recv(65536)  # ClientHello
        return Drop(b"this is no TLS\r\n")

    def test_bytes_behind_the_reply_to_starttls(self):
        """A reply in clear text is never taken for one inside TLS."""
        sink = self.mx("inject.example", {"starttls": [
            b"220 go\r\n250-evil\r\n250 AUTH\r\n", None]}, tls=self.tls)
        mail = self.send("x@inject.example")
        wait_until(lambda: self.gate.states(mail)["x@inject.example"] in ("retry", "delivered"), 10)
        self.assertLessEqual(len(sink.got()), 1)


class Reports(Case):
    def test_a_dsn_by_rfc_3464(self):
        self.mx("report.example", {"rcpt": b"550 5.1.1 no such user here\r\n"})
        content = simple_mail(SENDER, "gone@report.example", "御見積",
                              extra="Bcc: hidden@report.example\r\nX-Mark: 1\r\n",
                              body="SECRET\r\n")
        self.gate.send("gone@report.example", content=content)
        report, envelope = self.dsn_of("gone@report.example")
        self.assertEqual((envelope.sender, envelope.recipients), ("", [SENDER]))
        self.assertEqual(report.get_param("report-type"), "delivery-status")
        self.assertEqual(report["Auto-Submitted"], "auto-replied")
        self.assertEqual(report["To"].addresses[0].addr_spec, SENDER)
        self.assertIn("MAILER-DAEMON", report["From"])
        self.assertTrue(report["Message-ID"])
        people, status, original = report.iter_parts()
        self.assertIn("gone@report.example", people.get_content())
        self.assertEqual(status.get_content_type(), "message/delivery-status")
        whole, one = status.get_payload()
        self.assertEqual(whole["Reporting-MTA"], "dns; sandbox.example")
        self.assertEqual(one["Final-Recipient"], "rfc822; gone@report.example")
        self.assertEqual((one["Action"], one["Status"]), ("failed", "5.1.1"))
        self.assertEqual(one["Diagnostic-Code"], "smtp; 550 5.1.1 no such user here")
        self.assertEqual(original.get_content_type(), "text/rfc822-headers")
        text = original.get_content()
        self.assertIn("X-Mark: 1", text)
        self.assertNotIn("hidden@", text)
        self.assertNotIn("SECRET", envelope.content.decode("latin-1"))
        for line in envelope.content.split(b"\r\n"):
            self.assertLessEqual(len(line), 998)

    def test_several_failures_in_one_dsn(self):
        self.mx("two.example", {"rcpt": b"550 5.1.1 unknown\r\n"})
        self.ends(self.send("a@two.example", "b@two.example"), "bounced")
        report, _ = self.dsn_of("a@two.example")
        status = list(report.iter_parts())[1].get_payload()
        self.assertEqual([s["Final-Recipient"] for s in status[1:]],
                         ["rfc822; a@two.example", "rfc822; b@two.example"])

    def test_no_dsn_to_nobody(self):
        self.mx("nobody.example", {"rcpt": b"550 5.1.1 unknown\r\n"})
        before = len(self.home.received)
        self.ends(self.send("x@nobody.example", sender=""), "bounced")
        time.sleep(0.5)
        self.assertEqual(len(self.home.received), before)
        self.assertFalse([m for m in self.gate.list("--all")
                          if m["sender"] == "" and m["subject"].startswith("[配送不能]")
                          and "test_no_dsn" in m["subject"]])

    def test_a_dsn_that_bounces_ends(self):
        self.home.script = {
            "rcpt": lambda s, line: b"550 5.2.1 away\r\n" if b"bob" in line else None}
        self.addCleanup(self.home.script.clear)
        self.mx("loop.example", {"rcpt": b"550 5.1.1 unknown\r\n"})
        self.ends(self.send("x@loop.example", sender="bob@int.example"), "bounced")
        wait_until(lambda: not self.gate.list(), 10, "an end of all")
        self.assertEqual(len([x for x in self.home.commands("RCPT") if b"<bob@" in x]), 1)


class GivingUp(Case):
    settings = {"retry_first": "1s", "retry_longest": "1s", "retry_for": "4s"}

    def test_returned_when_the_time_is_over(self):
        sink = self.mx("never.example", {"rcpt": b"451 4.2.1 later\r\n"})
        mail = self.send("x@never.example")
        self.ends(mail, "bounced", 20)
        self.assertGreaterEqual(len(sink.commands("RCPT")), 3)
        report, _ = self.dsn_of("x@never.example")
        self.assertIn("x@never.example", report.as_string())


if __name__ == "__main__":
    unittest.main()
