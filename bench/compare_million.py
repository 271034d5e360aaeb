"""A million held mails: memory, restart, and all of them due in one second.

How all become due in one second, though a million takes longer than that to submit: each second has
a recipient domain of its own, h<N>.example, and a rule that holds it N seconds. The batch that is
sent N seconds before the moment goes there, so its mails are due within the second that begins at
the moment. Mails of no batch are held two hours and stay out of the wheel.
"""
import math
import os
import shutil
import smtplib
import threading
import time

from compare_servers import Failure, Load, Sekimori, Sink, rule, run_load

BATCH_CONNECTIONS = 64
AFTER_SUBMISSION_S = 100  # time for two restarts and the rate before the burst
LONGEST_S = 3400          # "within the hour"
LEAD_S = 12               # accepting alone, before the burst
BURST_S = 25              # and with it
AIM_S = 5                 # all should be taken in this time; what is accepted in it counts
DRAIN_S = 300


def say(text):
    print("million: " + text, flush=True)


def messages(s):
    return sum(p["messages"] for p in s.status()["partitions"])


def calibrate(a, s):
    told = run_load(a.build, s.port, "--connections", str(BATCH_CONNECTIONS), "--size", a.size,
                    "--seconds", "3", "--rcpt", "user%d@warm.example", timeout=60)
    return told["rate_per_second"]


def batches(a, s, moment, first):
    """Submit until the count is reached. Returns how many were acknowledged, and the seconds."""
    sent, begin = 0, time.monotonic()
    while sent < a.count:
        left = moment - time.time()
        hold = math.floor(left)
        if hold < AFTER_SUBMISSION_S:
            say(f"too slow: {sent:,} were submitted in time")
            break
        time.sleep(left - hold)
        told = run_load(a.build, s.port, "--connections", str(BATCH_CONNECTIONS), "--size", a.size,
                        "--seconds", "0.93", "--messages", str(a.count - sent),
                        "--rcpt", f"user%d@h{min(hold, first)}.example", timeout=60)
        sent += told["acked"] + told["warmup_messages"]
    return sent, time.monotonic() - begin


def try_250(port):
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=2) as c:
            c.sendmail("sender@int.example", ["user@warm.example"], "Subject: first\r\n\r\n.\r\n")
            return True
    except (OSError, smtplib.SMTPException):
        return False


def restart(a, options, directory, port, rules):
    """Start what is there; seconds until the first 250, counted from the start of tools/sandbox."""
    found = []

    def knock(begin):
        while time.monotonic() - begin < 90:
            if try_250(port):
                found.append(time.monotonic() - begin)
                return
            time.sleep(0.01)

    s = Sekimori(directory, "2h", rules=rules, **options)
    thread = threading.Thread(target=knock, args=(s.started,))
    thread.start()
    s.wait()
    thread.join()
    return s, found[0] if found else None


class Watch(threading.Thread):
    """What the gateway says of itself, ten times a second."""

    def __init__(self, s):
        super().__init__()
        self.s, self.rows, self.stopping = s, [], False

    def run(self):
        while not self.stopping:
            try:
                asked = time.time()
                status = self.s.status()
            except (Failure, OSError):
                time.sleep(0.1)
                continue
            parts = status["partitions"]
            self.rows.append({
                "asked": asked, "told": time.time(),
                "armed": sum(p["armed"] for p in parts), "held": sum(p["held"] for p in parts),
                "late_ms_max": max(p["late_ms_max"] for p in parts),
                "ring_kept": sum(w["ring_kept"] for w in status["workers"]),
                "delivered": status["counters"]["delivered"]})
            time.sleep(0.1)


def burst(a, s, moment, sink):
    """Accept before and during it; the wheel is empty when all were handed to the workers."""
    time.sleep(max(0, moment - LEAD_S - time.time()))
    watch = Watch(s)
    watch.start()
    began = time.time()
    load = Load(a.build, s.port, "--connections", str(BATCH_CONNECTIONS), "--size", a.size,
                "--seconds", str(LEAD_S + BURST_S), "--rcpt", "user%d@warm.example")
    told = load.result(LEAD_S + BURST_S + 60)
    end = time.monotonic() + DRAIN_S
    while watch.rows and watch.rows[-1]["delivered"] < a.count and time.monotonic() < end:
        time.sleep(0.5)
    watch.stopping = True
    watch.join()
    by_second = told["acked_by_second"]
    offset = moment - began  # seconds of the load that lie before the moment
    before = by_second[2:int(offset) - 1]
    taken = [r for r in watch.rows if r["asked"] >= moment + 1 and r["armed"] == 0
             and r["ring_kept"] == 0]
    result = {"acked_by_second": by_second, "moment_in_seconds": offset, "watch": watch.rows}
    if taken:
        # the last mail is due at the end of the second
        result["taken_seconds"] = taken[0]["told"] - moment
    during = by_second[math.ceil(offset):math.ceil(offset) + AIM_S]
    if before and during:
        result["accept_before"] = sum(before) / len(before)
        result["accept_during"] = sum(during) / len(during)
        result["accept_share_in_burst"] = result["accept_during"] / result["accept_before"]
    all_out = [r for r in watch.rows if r["delivered"] >= a.count]
    result["delivered"] = watch.rows[-1]["delivered"] if watch.rows else None
    result["delivered_seconds"] = all_out[0]["told"] - moment if all_out else None
    return result


def run(a):
    directory = os.path.join(a.run, "million")
    free = shutil.disk_usage(a.run).free
    size = int(a.size.lower().replace("k", "")) * (1024 if "k" in a.size.lower() else 1)
    need = a.count * (size + 1024) * 2 + (2 << 30)
    if free < need:
        return {"wrong": f"{free >> 30} GiB are free, {need >> 30} are needed"}
    m = {"count": a.count, "size": a.size, "shards": a.shards or 2}
    sink = Sink(a.build, words=("--threads", "1"))
    options = {**a.options, "shards": m["shards"], "sink_port": sink.port}
    s = Sekimori(directory, "2h", **options)
    try:
        s.wait()
        rate = calibrate(a, s)
        first = min(LONGEST_S, int(a.count / rate * 1.6) + AFTER_SUBMISSION_S + 20)
        rules = "".join(rule(f"h{n}", f"h{n}.example", f"{n}s")
                        for n in range(first, AFTER_SUBMISSION_S - 1, -1))
        say(f"{rate:,.0f} mails/s in the trial; due in {first} s")
        s.stop()
        s = Sekimori(directory, "2h", rules=rules, **options).wait()
        calibrate(a, s)  # what grows once has grown
        time.sleep(2)
        before, count = s.memory(), messages(s)
        moment = math.floor(time.time()) + first + 1
        m["submitted"], m["submit_seconds"] = batches(a, s, moment, first)
        time.sleep(3)
        after, m["queued"] = s.memory(), messages(s) - count
        m["memory_before_kib"], m["memory_after_kib"] = before, after
        for kind in before:
            m[f"{kind}_bytes_per_mail"] = (after[kind] - before[kind]) * 1024 / max(1, m["queued"])
        say(f"{m['queued']:,} queued in {m['submit_seconds']:.0f} s; bytes a mail: "
            f"RSS {m['rss_bytes_per_mail']:.0f}, anonymous {m['anonymous_bytes_per_mail']:.0f}")
        if m["queued"] < m["submitted"]:
            m["wrong"] = f"{m['submitted']} acknowledged, {m['queued']} in the queue"
        port = s.port
        s.stop()
        s, m["restart_clean_seconds"] = restart(a, options, directory, port, rules)
        s.crash()
        s, m["restart_crash_seconds"] = restart(a, options, directory, port, rules)
        time.sleep(2)
        m["memory_after_restart_kib"] = s.memory()
        m["queued_after_restarts"] = messages(s) - count
        say(f"first 250 after {m['restart_clean_seconds']} s, after kill -9 "
            f"{m['restart_crash_seconds']} s; {m['queued_after_restarts']:,} queued, "
            f"RSS {m['memory_after_restart_kib']['rss']:,} KiB; "
            f"due in {moment - time.time():.0f} s")
        if m["queued_after_restarts"] < m["queued"]:
            m["wrong"] = f"{m['queued']} before, {m['queued_after_restarts']} after the restarts"
        m.update(burst(a, s, moment, sink))
    except Failure as e:
        m["wrong"] = f"not measured to the end: {e}"
    finally:
        s.stop()
        m["sink"] = sink.stop()
    return m
