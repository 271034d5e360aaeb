"""What rules do to a mail, as its sender and its recipients see it (product.md 1.5 to 1.7, 2)."""
import datetime
import email
import os
import subprocess
import tempfile
import time
import unittest
import zoneinfo

from harness import Gateway, ScriptSink, demo_policy, program, simple_mail, wait_until

SENDER = "alice@int.example"
RULES = """
  - name: no mail to rivals
    when: {recipient: {domain: rival.example}}
    then: {reject: {in: smtp, text: 競合他社には送信できません。}}
  - name: not there by mail
    when: {recipient: {domain: closed.example}}
    then: {reject: {in: mail, text: この宛先には送れません。宛先を外してください。}}
  - name: not to this one
    when: {recipient: {domain: gone.example}}
    then: {reject: {in: mail, only: recipient, text: 取引は終了しました。}}
  - name: ten outsiders in the header
    when: {external_in_header: {at_least: 10}}
    then: {reject: {in: smtp, text: "To と Cc の社外アドレスが 10 件以上です。"}}
  - name: drafts stay here
    when: {header: {name: X-Draft, is: ["yes", "下書き"]}}
    then: {reject: {in: smtp, text: 下書きです。}}
  - name: no newsletters
    when: {header: {name: Subject, matches: ["*メルマガ*"]}}
    then: {reject: {in: smtp, text: メルマガは専用の仕組みで送ってください。}}
  - name: staggered
    when: {sender: {address: bob@int.example}}
    then: {hold: 0s, stagger: {internal: 0s, affiliate: 1s, external: 1h}}
"""
OUTSIDERS = [f"a{n}@ext{n}.example" for n in range(10)]


class Policy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(ScriptSink())
        cls.gate = cls.enterClassContext(Gateway(
            route=cls.sink.address, policy=demo_policy("0s", RULES)))

    def setUp(self):
        self.subject = self.id().rpartition(".")[2]

    def copies(self, address=None):
        needle = f"Subject: {self.subject}\r\n".encode()
        return [m for m in self.sink.got() if m.sender and needle in m.content
                and (not address or address in m.recipients)]

    def answer(self, recipients, sender=SENDER, service="relay", content=None, **more):
        with self.gate.client(service) as c:
            return c.mail(sender, recipients, content or simple_mail(
                sender, recipients, self.subject, **more))

    def refused(self, *words, **more):
        reply = self.answer(*words, **more)
        self.assertEqual(reply.code, 550, reply)
        time.sleep(0.3)
        self.assertEqual(self.copies(), [])
        self.assertEqual([m for m in self.gate.list("--all") if m["subject"] == self.subject], [])
        return reply

    def report(self):
        """The DSN about this mail: of multipart/report, for people and for programs."""
        def there():
            return [m for m in self.sink.got() if m.sender == "" and
                    self.subject.encode() in m.content]
        return wait_until(there, 10, "a report")[0]

    # --- reject in the reply -------------------------------------------------------------------
    def test_refused_in_the_reply_in_the_words_of_the_rule(self):
        for service in ("relay", "submission"):
            reply = self.refused(["x@ext.example", "ceo@rival.example"], service=service)
            self.assertIn("5.7.1 競合他社には送信できません。 (rule 'no mail to rivals')",
                          str(reply))

    def test_the_log_names_the_rule(self):
        self.refused(["ceo@rival.example"])
        rows = [r for r in self.gate.log("refused_by_policy") if r["from"] == SENDER]
        self.assertIn("no mail to rivals", rows[-1]["rule"])

    def test_a_null_sender_hears_it_in_the_reply(self):
        """It could not be told by mail."""
        self.assertIn("宛先を外して", str(self.refused(["x@closed.example"], sender="")))

    # --- reject by mail ------------------------------------------------------------------------
    def test_rejected_by_mail_with_reason(self):
        self.assertEqual(self.answer(["x@closed.example", "y@ext.example"]).code, 250)
        row = self.gate.mail_with(self.subject)
        self.gate.wait_states(row["id"], "bounced")
        report = self.report()
        self.assertEqual(report.recipients, [SENDER])
        text = decoded(report.content)
        for word in ("この宛先には送れません。宛先を外してください。", "not there by mail",
                     "x@closed.example", "y@ext.example", "Status: 5.7.1"):
            self.assertIn(word, text)
        self.assertEqual(self.copies(), [])
        shown = self.gate.show(row["id"])["recipients"]
        self.assertEqual({r["rule"] for r in shown}, {"not there by mail"})

    def test_one_recipient_only(self):
        self.assertEqual(self.answer(["x@gone.example", "y@ext.example"]).code, 250)
        row = self.gate.mail_with(self.subject)
        self.gate.wait_states(row["id"], {"x@gone.example": "bounced",
                                          "y@ext.example": "delivered"})
        text = decoded(self.report().content)
        self.assertIn("取引は終了しました。", text)
        self.assertNotIn("; y@ext.example", text)  # no Final-Recipient
        self.assertEqual([m.recipients for m in self.copies()], [["y@ext.example"]])

    def test_what_was_rejected_stays_so_after_a_crash(self):
        self.assertEqual(self.answer(["x@gone.example", "y@closed.example"]).code, 250)
        row = self.gate.mail_with(self.subject)
        self.gate.restart(kill=True)
        self.gate.wait_states(row["id"], "bounced")
        self.report()
        self.assertEqual(self.copies(), [])

    # --- conditions ----------------------------------------------------------------------------
    def test_ADDR_15_ten_outsiders_in_the_header_nine_pass(self):
        """Groups, comments and repeated fields count; the same address counts once."""
        nine, ten = OUTSIDERS[:9], OUTSIDERS
        few = (f"From: <{SENDER}>\r\nTo: friends: {', '.join(nine)};\r\n"
               f"Cc: {nine[0].replace('ext', 'EXT')} (again), in@int.example\r\n"
               f"Subject: {self.subject}\r\n\r\nx\r\n").encode()
        self.assertEqual(self.answer(["x@ext.example"], content=few).code, 250)
        wait_until(lambda: len(self.copies()) == 1, 10, "nine")
        self.sink.received.clear()
        many = (f"From: <{SENDER}>\r\nTo: friends: {', '.join(nine)};\r\n"
                f"Cc: in@int.example,\r\n ({ten[0]}) last <{ten[9]}>\r\n"
                f"Subject: {self.subject}-ten\r\n\r\nx\r\n").encode()
        reply = self.answer(["x@ext.example"], content=many)
        self.assertEqual(reply.code, 550)
        self.assertIn("10 件以上", str(reply))

    def test_header_field_is(self):
        self.refused(["x@ext.example"], extra="X-Draft: YES\r\n")
        self.refused(["x@ext.example"], extra="x-draft: =?iso-2022-jp?B?GyRCMjw9cSQtGyhC?=\r\n")
        self.assertEqual(self.answer(["x@ext.example"], extra="X-Draft: no\r\n").code, 250)

    def test_header_field_matches_what_is_decoded(self):
        for raw in ("=?utf-8?B?5LuK6YCx44Gu44Oh44Or44Oe44KsIHZvbDE=?=",
                    "=?utf-8?B?44Oh?=\r\n =?utf-8?B?44Or44Oe44Ks?="):
            content = (f"From: <{SENDER}>\r\nTo: x@ext.example\r\nSubject: {raw}\r\n\r\nx\r\n"
                       ).encode()
            self.assertEqual(self.answer(["x@ext.example"], content=content).code, 550)

    # --- stagger -------------------------------------------------------------------------------
    def test_insiders_first_then_affiliates_outsiders_much_later(self):
        sent = time.monotonic()
        self.assertEqual(self.answer(["i@int.example", "g@group.example", "e@ext.example"],
                                     sender="bob@int.example").code, 250)
        row = self.gate.mail_with(self.subject)
        wait_until(lambda: self.copies("i@int.example"), 5, "the insider's")
        wait_until(lambda: self.copies("g@group.example"), 5, "the affiliate's")
        self.assertGreaterEqual(time.monotonic() - sent, 1.0)
        self.assertEqual(self.gate.states(row["id"])["e@ext.example"], "waiting")
        self.gate.ctl("discard", row["id"], "--recipient", "e@ext.example")
        self.assertEqual(self.gate.states(row["id"])["e@ext.example"], "discarded")
        content = {m.content for m in self.copies()}
        self.assertEqual(len({c.partition(b"\r\n\r\n")[2] for c in content}), 1)


class Review(unittest.TestCase):
    """sekictl policy test and diff: without a gateway."""

    def setUp(self):
        self.dir = self.enterContext(tempfile.TemporaryDirectory(prefix="policy."))

    def file(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def ctl(self, *words):
        done = subprocess.run([program("sekictl"), "policy", *words], capture_output=True,
                              text=True, timeout=30)
        return done.returncode, done.stdout, done.stderr

    def test_why_recipient_by_recipient(self):
        rules = self.file("rules.yaml", demo_policy("5m", RULES))
        mail = self.file("mail.eml", f"From: {SENDER}\nTo: x@ext.example\nX-Draft: yes\n\nx\n")
        status, out, _ = self.ctl("test", mail, "--policy", rules, "--from", SENDER,
                                  "--to", "x@ext.example", "--to", "I@INT.example")
        self.assertEqual(status, 0)
        for line in ("I@int.example", "class: internal", "  header: X-Draft: yes",
                     "rule 'no mail to rivals': no, by recipient.domain",
                     "rejected by rule 'drafts stay here'",
                     "the whole mail is rejected, by rule 'drafts stay here' for x@ext.example"):
            self.assertIn(line, out.splitlines())

    def test_what_is_wrong_is_said(self):
        rules = self.file("rules.yaml", demo_policy("5m", RULES))
        mail = self.file("mail.eml", "\n")
        bad = self.file("bad.yaml", "organisation: demo\ndomains: [int.example]\nrule: []\n")
        for words, status, why in (
                (("test", mail), 2, "add --policy FILE"),
                (("test", "--policy", rules), 2, "usage: sekictl policy test FILE"),
                (("test", mail, "--policy", rules), 1, "add --to ADDRESS"),
                (("test", mail, "--policy", rules, "--to", "x@y@z"), 1,
                 "'x@y@z' is not an address"),
                (("test", mail, "--policy", bad, "--to", "x@ext.example"), 1,
                 f"{bad}:3:1: unknown key 'rule' of an organisation (did you mean 'rules'?)"),
                (("test", "/nonexistent", "--policy", rules, "--to", "x@ext.example"), 1,
                 "/nonexistent: No such file"),
                (("diff", rules), 2, "usage: sekictl policy diff OLD NEW")):
            with self.subTest(words):
                code, _, err = self.ctl(*words)
                self.assertEqual(code, status)
                self.assertIn(why, err)

    def test_diff(self):
        before = self.file("a.yaml", demo_policy("5m", RULES))
        after = self.file("b.yaml", demo_policy("9m", RULES))
        self.assertEqual(self.ctl("diff", before, before)[:2], (0, "no difference\n"))
        self.assertEqual(self.ctl("diff", before, after)[:2],
                         (0, "- defaults: {hold: 5m}\n+ defaults: {hold: 9m}\n"))


def calendar_policy(zone="Asia/Tokyo"):
    """Calendars that are open or closed today, whenever the test runs."""
    now = datetime.datetime.now(zoneinfo.ZoneInfo(zone))
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    around = [names[(now.weekday() + n) % 7] for n in (-1, 0, 1)]  # it may become midnight
    others = [d for d in names if d not in around]
    dates = [f'"{(now + datetime.timedelta(days=n)).date()}"' for n in (-1, 0, 1)]
    text = demo_policy("0s", """
  - name: office is closed
    when: {sender: {address: alice@int.example}, outside: business}
    then: {reject: {in: smtp, text: 営業時間外は送信できません。}}
  - name: holidays too
    when: {sender: {address: bob@int.example}, outside: holidays}
    then: {reject: {in: smtp, text: 休業日です。}}
  - name: not on other days
    when: {sender: {address: carol@int.example}, outside: always}
    then: {reject: {in: smtp, text: never said}}
  - name: by day
    when: {sender: {address: carol@int.example}, during: always}
    then: {hold: 1h}
""")
    calendars = f"""calendars:
  business: {{days: [{", ".join(others)}], hours: "09:00-19:00"}}
  holidays: {{holidays: [japan, {", ".join(dates)}]}}
  always: {{hours: ["00:00-12:00", "12:00-24:00"]}}
"""
    head, _, tail = text.partition("rules:")
    return head.replace("time_zone: Asia/Tokyo", f"time_zone: {zone}") + calendars + "rules:" + tail


class Calendars(unittest.TestCase):
    def gate(self, policy):
        sink = self.enterContext(ScriptSink())
        return self.enterContext(Gateway(route=sink.address, policy=policy))

    def test_TIME_04_nothing_leaves_outside_business_hours_or_on_holidays(self):
        for zone in ("Asia/Tokyo", "America/New_York", "Australia/Lord_Howe"):
            with self.subTest(zone):
                gate = self.gate(calendar_policy(zone))
                for sender, words in (
                        ("alice", "営業時間外は送信できません。 (rule 'office is closed')"),
                        ("bob", "休業日です。")):
                    with gate.client() as c:
                        reply = c.mail(f"{sender}@int.example", ["x@ext.example"], simple_mail(
                            f"{sender}@int.example", ["x@ext.example"], "late"))
                    self.assertEqual(reply.code, 550)
                    self.assertIn(words, str(reply))
                self.assertEqual(gate.list("--all"), [])
                gate.send(["x@ext.example"], "open", sender="carol@int.example")
                row = gate.mail_with("open")["recipients"][0]
                self.assertEqual((row["rule"], row["state"]), ("by day", "waiting"))

    def test_calendars_outlive_a_restart(self):
        gate = self.gate(calendar_policy())
        gate.restart()
        with self.assertRaisesRegex(AssertionError, "営業時間外"):
            gate.send(["x@ext.example"], "late")

    def test_a_zone_that_nobody_knows(self):
        gate = self.gate(demo_policy("0s", ""))
        path = os.path.join(gate.dir, "other.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write("organisation: other\ndomains: [other.example]\n"
                    "time_zone: Asia/Tokio\nusers: []\n")
        done = gate.run_ctl("org", "import", path)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("other.yaml:3:12: 'Asia/Tokio': no such time zone here", done.stderr)


def decoded(content):
    """All text of a report, its base64 parts too."""
    parts = email.message_from_bytes(content).walk()
    return "\n".join((p.get_payload(decode=True) or b"").decode("utf-8", "replace")
                     if not p.is_multipart() else str(p) for p in parts)


if __name__ == "__main__":
    unittest.main()
