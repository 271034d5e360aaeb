"""Hold, release, discard and stop, as sekictl shows and does them (product.md 1.1, sandbox.md)."""
import time
import unittest

from harness import Drop, Gateway, ScriptSink, demo_policy, wait_until

SENDER = "alice@int.example"
KEYS = ["id", "state", "sender", "recipients", "accepted_at", "release_at", "size", "subject"]
RECIPIENT_KEYS = ["address", "class", "state", "release_at", "form", "rule"]
UNKNOWN = "0" + "3" * 12


class Hold(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(ScriptSink())
        cls.gate = cls.enterClassContext(Gateway(route=cls.sink.address))

    def setUp(self):
        self.sink.script = {}
        self.subject = self.id().rpartition(".")[2]

    def hold(self, *recipients):
        """A mail of this test, as `list` shows it."""
        self.gate.send(list(recipients) or ["x@ext.example"], self.subject, service="submission")
        return self.gate.mail_with(self.subject)

    def copies(self):
        needle = f"Subject: {self.subject}\r\n".encode()
        return [m for m in self.sink.got() if needle in m.content]

    def assert_silent(self, seconds=0.5, copies=0):
        time.sleep(seconds)
        self.assertEqual(len(self.copies()), copies)

    def refused(self, *words):
        """The reason why sekictl refuses."""
        done = self.gate.run_ctl(*words)
        self.assertEqual(done.returncode, 1, done)
        self.assertTrue(done.stderr.strip(), "no reason on stderr")
        return done.stderr

    def test_json_shape(self):
        row = self.hold("x@ext.example", "y@group.example", "z@ext.example")
        self.assertEqual(list(row), KEYS)
        self.assertEqual((row["sender"], row["state"]), (SENDER, "waiting"))
        self.assertIsInstance(row["size"], int)
        self.assertGreater(row["size"], 0)
        for r, (address, kind) in zip(row["recipients"], (
                ("x@ext.example", "external"), ("y@group.example", "affiliate"),
                ("z@ext.example", "external"))):
            self.assertEqual(list(r), RECIPIENT_KEYS)
            self.assertEqual((r["address"], r["class"], r["state"], r["form"]),
                             (address, kind, "waiting", "plain"))
            self.assertIsInstance(r["rule"], str)
        shown = self.gate.show(row["id"])
        self.assertEqual({k: shown[k] for k in KEYS if k != "recipients"},
                         {k: row[k] for k in KEYS if k != "recipients"})
        self.assertEqual([{k: r[k] for k in RECIPIENT_KEYS} for r in shown["recipients"]],
                         row["recipients"])
        self.assertEqual(self.gate.ctl("explain", row["id"])[0][0]["id"], row["id"])

    def test_times(self):
        from datetime import datetime
        row = self.hold()
        when = [datetime.fromisoformat(row[k].replace("Z", "+00:00")) for k in
                ("accepted_at", "release_at")]
        self.assertAlmostEqual((when[1] - when[0]).total_seconds(), 300, delta=0.01)
        self.assertAlmostEqual(when[0].timestamp(), time.time(), delta=5)

    def test_subject_is_decoded(self):
        mail = "=?ISO-2022-JP?B?GyRCOCtAUT1xGyhC?= =?UTF-8?Q?=E6=A1=88?="
        self.gate.send("x@ext.example", mail)
        self.assertEqual(self.gate.mail_with("見積書案")["sender"], SENDER)

    def test_held_then_released(self):
        mail = self.hold()["id"]
        self.assert_silent()
        self.gate.ctl("release", mail)
        self.gate.wait_states(mail, "delivered")
        self.assertEqual(len(self.copies()), 1)
        self.assertNotIn(mail, [m["id"] for m in self.gate.list()])
        self.assertIn(mail, [m["id"] for m in self.gate.list("--all")])
        self.refused("release", mail)

    def test_one_recipient_released(self):
        mail = self.hold("x@ext.example", "y@ext.example")["id"]
        self.gate.ctl("release", mail, "--recipient", "y@ext.example")
        self.gate.wait_states(mail, {"x@ext.example": "waiting", "y@ext.example": "delivered"})
        self.assert_silent(0.3, copies=1)
        self.assertEqual(self.copies()[0].recipients, ["y@ext.example"])

    def test_discarded(self):
        mail = self.hold()["id"]
        self.gate.ctl("discard", mail)
        self.assertEqual(self.gate.states(mail), {"x@ext.example": "discarded"})
        self.refused("release", mail)
        self.refused("hold", mail)
        self.gate.ctl("flush")
        self.assert_silent()
        self.assertNotIn(mail, [m["id"] for m in self.gate.list()])

    def test_one_recipient_discarded(self):
        mail = self.hold("x@ext.example", "y@ext.example")["id"]
        self.gate.ctl("discard", mail, "--recipient", "x@ext.example")
        self.assertEqual(self.gate.states(mail),
                         {"x@ext.example": "discarded", "y@ext.example": "waiting"})
        self.gate.ctl("release", mail)
        self.gate.wait_states(mail, {"x@ext.example": "discarded", "y@ext.example": "delivered"})
        self.assertEqual([m.recipients for m in self.copies()], [["y@ext.example"]])

    def test_stopped_then_released(self):
        mail = self.hold()["id"]
        self.gate.ctl("hold", mail)
        self.assertEqual(self.gate.states(mail), {"x@ext.example": "held"})
        self.assertEqual(self.gate.show(mail)["state"], "held")
        self.assertIsNone(self.gate.show(mail)["recipients"][0]["release_at"])
        self.gate.ctl("flush")
        self.assert_silent()
        self.gate.ctl("release", mail)
        self.gate.wait_states(mail, "delivered")
        self.assertEqual(len(self.copies()), 1)

    def test_stopped_then_discarded(self):
        mail = self.hold("x@ext.example", "y@ext.example")["id"]
        self.gate.ctl("hold", mail, "--recipient", "y@ext.example")
        self.assertEqual(self.gate.states(mail),
                         {"x@ext.example": "waiting", "y@ext.example": "held"})
        self.gate.ctl("discard", mail)
        self.assertEqual(set(self.gate.states(mail).values()), {"discarded"})
        self.assert_silent()

    def test_discard_after_delivery_is_refused(self):
        mail = self.hold()["id"]
        self.gate.ctl("release", mail)
        self.gate.wait_states(mail, "delivered")
        self.refused("discard", mail)
        self.refused("discard", mail, "--recipient", "x@ext.example")
        self.assertEqual(self.gate.states(mail), {"x@ext.example": "delivered"})

    def test_discard_during_delivery_is_refused(self):
        """The hop has the content and has not answered: it may be delivered (H-2)."""
        self.sink.script = {"dot": 2}
        mail = self.hold()["id"]
        self.gate.ctl("release", mail)
        wait_until(lambda: any(self.subject.encode() in m.content for m in self.sink.received), 5)
        self.refused("discard", mail)
        self.gate.wait_states(mail, "delivered")
        self.assertEqual(len(self.copies()), 1)

    def test_discard_of_what_may_have_arrived_is_refused(self):
        self.sink.script = {"dot": [Drop(), None]}
        self.sink.times.clear()
        mail = self.hold()["id"]
        self.gate.ctl("release", mail)
        self.gate.wait_states(mail, "retry")
        self.refused("discard", mail)
        self.gate.ctl("flush")
        self.gate.wait_states(mail, "delivered")

    def test_discard_of_a_retry_without_content(self):
        self.sink.script = {"mail": b"451 later\r\n"}
        mail = self.hold()["id"]
        self.gate.ctl("release", mail)
        self.gate.wait_states(mail, "retry")
        self.gate.ctl("discard", mail)
        self.sink.script = {}
        self.gate.ctl("flush")
        self.assert_silent()
        self.assertEqual(self.gate.states(mail), {"x@ext.example": "discarded"})

    def test_flush_makes_a_retry_due(self):
        self.sink.script = {"rcpt": b"451 later\r\n"}
        mail = self.hold()["id"]
        self.gate.ctl("release", mail)
        self.gate.wait_states(mail, "retry")
        self.sink.script = {}
        self.assert_silent(0.3)
        self.gate.ctl("flush")
        self.gate.wait_states(mail, "delivered")

    def test_internal_at_once_external_waits(self):
        mail = self.hold("bob@int.example", "x@ext.example")["id"]
        self.gate.wait_states(mail, {"bob@int.example": "delivered", "x@ext.example": "waiting"}, 5)
        self.assert_silent(0.3, copies=1)
        self.assertEqual(self.copies()[0].recipients, ["bob@int.example"])
        self.assertEqual([m["id"] for m in self.gate.list() if m["subject"] == self.subject],
                         [mail])

    def test_unknown_mail_and_wrong_usage(self):
        for verb in ("show", "explain", "release", "discard", "hold"):
            self.refused(verb, UNKNOWN)
            self.assertEqual(self.gate.run_ctl(verb).returncode, 2)
        mail = self.hold()["id"]
        self.refused("release", mail, "--recipient", "nobody@ext.example")
        self.assertEqual(self.gate.run_ctl("frobnicate").returncode, 2)
        self.assertEqual(self.gate.run_ctl("list", "state:purple").returncode in (1, 2), True)

    def test_filters(self):
        mail = self.hold("filter@ext.example")["id"]
        for words in (["to:filter@ext.example"], [f"from:{SENDER}", "to:filter@ext.example"],
                      [f"subject:{self.subject}"], [f"id:{mail}"]):
            self.assertEqual([m["id"] for m in self.gate.list(*words)], [mail], words)
        self.assertEqual(self.gate.list("to:filter@ext.example", "state:held"), [])
        self.assertEqual(self.gate.list("from:bob@int.example", f"id:{mail}"), [])


class Restart(unittest.TestCase):
    def restart(self, kill):
        with ScriptSink() as sink, Gateway(route=sink.address) as gate:
            for n in range(20):
                gate.send(["x@ext.example", "y@ext.example"], f"mail {n}")
            before = sorted(gate.list(), key=lambda m: m["id"])
            self.assertEqual(len(before), 20)
            gate.ctl("hold", before[0]["id"])
            gate.ctl("discard", before[1]["id"], "--recipient", "x@ext.example")
            before = sorted(gate.list(), key=lambda m: m["id"])
            gate.restart(kill=kill)
            self.assertEqual(sorted(gate.list(), key=lambda m: m["id"]), before)
            self.assertEqual(sink.received, [])
            for mail in before:
                gate.ctl("release", mail["id"])
            wait_until(lambda: sum(len(m.recipients) for m in sink.got()) == 39, 10, "39 copies")
            wait_until(lambda: not gate.list(), 10, "an empty list")

    def test_a_restart_keeps_holds(self):
        self.restart(kill=False)

    def test_a_crash_keeps_holds(self):
        self.restart(kill=True)

    def test_released_by_its_time(self):
        with ScriptSink() as sink, Gateway(route=sink.address, policy=demo_policy("2s")) as gate:
            began = time.time()
            gate.send("x@ext.example", "timed")
            wait_until(sink.got, 6, "the mail")
            self.assertGreaterEqual(sink.got()[0].at, began + 2)
            self.assertLess(sink.got()[0].at, began + 3.5)


if __name__ == "__main__":
    unittest.main()
