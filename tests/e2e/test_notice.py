"""Hold notices and the replies that act on them (product.md 1.1)."""
import base64
import email
import email.policy
import time
import unittest

from harness import Gateway, ScriptSink, simple_mail, wait_until

SENDER = "alice@int.example"
SUBJECT = "御見積書の件"


def encoded(text):
    return "=?UTF-8?B?" + base64.b64encode(text.encode()).decode() + "?="


class Notice(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(ScriptSink())
        cls.gate = cls.enterClassContext(
            Gateway(route=cls.sink.address, settings={"notices": "on"}))

    def setUp(self):
        self.name = self.id().rpartition(".")[2]

    def notices(self, about=None):
        """Parsed notices whose subject ends with `about`, with their envelopes."""
        parsed = [(email.message_from_bytes(m.content, policy=email.policy.default), m)
                  for m in list(self.sink.got())]
        return [(n, m) for n, m in parsed if (n["Subject"] or "").startswith("[配送保留]") and
                (n["Subject"] or "").endswith(about or self.name)]

    def hold(self, recipients=("x@ext.example",), sender=SENDER, user=SENDER, extra=""):
        """(mail, notice): a held mail and what its sender was told."""
        with self.gate.client("submission", user=user) as c:
            subject = encoded(f"{SUBJECT} {self.name}")
            reply = c.mail(sender, recipients, simple_mail(sender, list(recipients), subject,
                                                           extra=extra))
            self.assertEqual(reply.code, 250)
        mail = self.gate.mail_with(f"{SUBJECT} {self.name}")
        found = wait_until(self.notices, 10, "the notice")
        self.assertEqual(len(found), 1)
        return mail["id"], found[0][0]

    def answer(self, notice, body, sender=SENDER, user=SENDER, service="submission", head="",
               to=None):
        """The reply to a mail to the notice's Reply-To; `body` in bytes."""
        to = to or notice["Reply-To"].addresses[0].addr_spec
        with self.gate.client(service, user=user) as c:
            return c.mail(sender, to, (f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: Re: x\r\n"
                                       f"{head}\r\n").encode() + body)

    def test_what_a_notice_says(self):
        mail, notice = self.hold(["x@ext.example", "y@group.example", "bob@int.example"])
        self.assertEqual(notice["Subject"], f"[配送保留] {SUBJECT} {self.name}")
        self.assertEqual(notice["Auto-Submitted"], "auto-generated")
        self.assertEqual(notice["To"].addresses[0].addr_spec, SENDER)
        self.assertEqual(notice["From"].addresses[0].domain, "gate.example")
        reply_to = notice["Reply-To"].addresses
        self.assertEqual(len(reply_to), 1)
        self.assertRegex(reply_to[0].addr_spec, r"^gate\+[0-9A-Za-z_-]{16,}@gate\.example$")
        self.assertEqual(notice["In-Reply-To"], notice["References"])
        self.assertTrue(notice["Date"].datetime)
        self.assertEqual(notice.defects, [])
        self.assertEqual(notice.get_content_type(), "multipart/alternative")
        parts = {p.get_content_type(): p.get_content() for p in notice.iter_parts()}
        self.assertEqual(set(parts), {"text/plain", "text/html"})
        for kind, text in parts.items():
            with self.subTest(part=kind):
                for word in ("一時保留", "on hold", "破棄", "cancel", "今すぐ", "release", SUBJECT,
                             "x@ext.example", "y@group.example", "bob@int.example", "社外",
                             "準社内", "社内", "external", "affiliate", "internal"):
                    self.assertIn(word, text)
        envelope = self.notices()[0][1]
        self.assertEqual((envelope.sender, envelope.recipients), ("", [SENDER]))
        self.assertNotIn("http", parts["text/plain"], "no URL before the portal listens")
        self.assertEqual(self.gate.states(mail)["x@ext.example"], "waiting")

    def test_markup_of_a_subject_is_text(self):
        evil = f"<script>alert(1)</script> & \"x\" {self.name}"
        self.gate.send("x@ext.example", evil)
        notice = wait_until(self.notices, 10, "the notice")[0][0]
        html = notice.get_body(("html",)).get_content()
        self.assertNotIn("<script>", html)
        self.assertIn("&lt;script&gt;", html)

    def test_wire_form(self):
        self.hold()
        for _, m in self.notices():
            for line in m.content.split(b"\r\n"):
                self.assertLessEqual(len(line), 998)
                self.assertTrue(all(b < 128 for b in line), line)

    def test_commands_are_obeyed(self):
        b64 = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n"
        jis = "Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n"
        html = ("MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n")
        rows = {
            "word": ("", b"cancel\r\n\r\n> quoted\r\n", "discarded"),
            "capitals": ("", b"\r\n\r\nCANCEL.\r\n", "discarded"),
            "base64": (b64, base64.b64encode("破棄\r\n> release".encode()) + b"\r\n", "discarded"),
            "jis": (jis, "破棄\r\n".encode("iso2022_jp"), "discarded"),
            "alternative": (html, b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" +
                            "破棄してください\r\n--b\r\nContent-Type: text/html\r\n\r\n"
                            "<b>no</b>\r\n--b--\r\n".encode(), "discarded"),
            "release": ("", b"release\r\n", "delivered"),
            "now": (b64, base64.b64encode("今すぐ\r\n".encode()) + b"\r\n", "delivered"),
        }
        base = self.name
        for row, (head, body, state) in rows.items():
            with self.subTest(row=row):
                self.name = f"{base} {row}"
                mail, notice = self.hold()
                reply = self.answer(notice, body, head=head)
                self.assertEqual(reply.code, 250, reply)
                self.gate.wait_states(mail, state)
                again = self.answer(notice, b"cancel\r\n")
                self.assertEqual(again.code // 100, 2 if state == "discarded" else 5, again)
                self.assertEqual(set(self.gate.states(mail).values()), {state})
        self.assertFalse([m for m in self.sink.received for r in m.recipients if "gate+" in r])
        self.assertFalse([m for m in self.gate.list("--all")
                          for r in m["recipients"] if "gate+" in r["address"]])

    def test_others_are_not_obeyed(self):
        mail, notice = self.hold()
        attempts = {
            "another user": dict(user="bob@int.example", sender="bob@int.example"),
            "an approver": dict(user="carol@int.example", sender="carol@int.example"),
            "the relay port, in the sender's name": dict(service="relay"),
            "the relay port, null sender": dict(service="relay", sender=""),
        }
        for name, how in attempts.items():
            with self.subTest(who=name):
                reply = self.answer(notice, b"cancel\r\n", **how)
                self.assertEqual(reply.code // 100, 5, reply)
                self.assertEqual(self.gate.states(mail)["x@ext.example"], "waiting")

    def test_wrong_tokens_and_words(self):
        mail, notice = self.hold()
        address = notice["Reply-To"].addresses[0].addr_spec
        local, _, domain = address.partition("@")
        wrong = local[:-1] + ("a" if local[-1] != "a" else "b")
        for to, body in ((f"{wrong}@{domain}", b"cancel\r\n"), (f"gate+x@{domain}", b"cancel\r\n"),
                         (address, b"please cancel\r\n"), (address, b"> cancel\r\n"),
                         (address, b"cancellation is a word\r\n"), (address, b"")):
            with self.subTest(to=to, body=body):
                reply = self.answer(notice, body, to=to)
                self.assertEqual(reply.code // 100, 5, reply)
                self.assertEqual(self.gate.states(mail)["x@ext.example"], "waiting")

    def test_gate_and_people_together_are_refused(self):
        mail, notice = self.hold()
        to = notice["Reply-To"].addresses[0].addr_spec
        with self.gate.client("submission") as c:
            reply = c.mail(SENDER, [to, "bob@int.example"], b"Subject: x\r\n\r\ncancel\r\n")
        self.assertEqual(reply.code // 100, 5, reply)
        self.assertEqual(self.gate.states(mail)["x@ext.example"], "waiting")

    def test_an_administrator_is_obeyed(self):
        mail, notice = self.hold()
        reply = self.answer(notice, b"cancel\r\n", user="admin@int.example",
                            sender="admin@int.example")
        self.assertEqual(reply.code, 250, reply)
        self.assertEqual(self.gate.states(mail), {"x@ext.example": "discarded"})

    def test_a_member_of_the_shared_mailbox_is_obeyed(self):
        mail, notice = self.hold(sender="help@int.example", user="bob@int.example")
        self.assertEqual(notice["To"].addresses[0].addr_spec, "help@int.example")
        self.assertEqual(self.answer(notice, b"cancel\r\n").code // 100, 5)
        reply = self.answer(notice, b"cancel\r\n", user="bob@int.example", sender="bob@int.example")
        self.assertEqual(reply.code, 250, reply)
        self.assertEqual(self.gate.states(mail), {"x@ext.example": "discarded"})

    def test_nobody_is_told_where_nobody_asked(self):
        """Null senders and automatic mails are held like any, and get no notice; internal ones wait
        for nothing."""
        rows = {"null": ("", ""), "auto": (SENDER, "Auto-Submitted: auto-replied\r\n"),
                "generated": (SENDER, "Auto-Submitted: auto-generated\r\n")}
        for row, (sender, extra) in rows.items():
            with self.gate.client("relay") as c:
                reply = c.mail(sender, "x@ext.example", simple_mail(
                    sender or "postmaster@int.example", "x@ext.example", f"{self.name} {row}",
                    extra=extra))
                self.assertEqual(reply.code, 250)
        self.gate.send("bob@int.example", f"{self.name} internal")
        for row in rows:
            mail = self.gate.mail_with(f"{self.name} {row}")
            self.assertEqual(mail["state"], "waiting", row)
        self.hold()  # a notice that comes after those that must not be
        time.sleep(0.2)
        for row in (*rows, "internal"):
            self.assertEqual(self.notices(f"{self.name} {row}"), [], row)

    def test_auto_submitted_no_is_a_persons_mail(self):
        self.hold(extra="Auto-Submitted: no\r\n")

    def test_a_notice_is_no_mail_of_its_own_with_a_notice(self):
        self.hold()
        time.sleep(0.5)
        self.assertEqual(len(self.notices()), 1)
        self.assertFalse([n for n, _ in self.notices("") if n["Subject"].count("配送保留") > 1])


class Off(unittest.TestCase):
    def test_the_sandbox_has_no_notices(self):
        with ScriptSink() as sink, Gateway(route=sink.address) as gate:
            gate.send("x@ext.example", "quiet")
            gate.send("bob@int.example", "marker")
            wait_until(sink.got, 10, "the marker")
            time.sleep(0.3)
            self.assertEqual([m.recipients for m in sink.got()], [["bob@int.example"]])


if __name__ == "__main__":
    unittest.main()
