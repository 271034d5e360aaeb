"""How compare says what it has measured."""
import statistics

ACCEPT_TIMES = 30
ACCEPT_64K_TIMES = 15
RELAY_TIMES = 20
RELAY_CPU_US = 400
TLS_TIMES = 1.5
WRITTEN_BYTES = 6144
SHARDS_CPU = 1.1
LONE_US = 150
MILLION = {"rss_bytes": 100, "restart_seconds": 2, "taken_seconds": 5, "accept_share": 0.5}


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def say_conditions(c):
    disk = c["overwrite_fdatasync_us"]
    fs = c["filesystem"]
    print(f"{c['cpu']}, {c['cores']} cores, {c['memory_mib']} MiB; {c['system']}, "
          f"Linux {c['kernel']}; {fs['type']} ({fs['options']}) on {fs['source']}")
    print(f"overwrite 4 KiB + fdatasync: p50 {disk['p50']:.0f} us, p99 {disk['p99']:.0f} us; "
          f"load before: {c['load_average'][0]:.1f}")
    changed = len(c["uncommitted_product_files"])
    print(f"Sekimori {c['commit']}{f' with {changed} uncommitted files' if changed else ''}, "
          f"{c['build_type'] or 'build type unknown'}; Postfix {c['postfix']}; {c['openssl']}\n",
          flush=True)


def say_one(case, name, r):
    text = f"{case:15} {name:9} round {r['round']}: "
    if "rate" in r:
        text += f"{number(r['rate']):>7}/s"
    if "dot_to_250" in r:
        text += f", dot to 250 p50 {number(r['dot_to_250']['p50'])} us" \
                f" p99 {number(r['dot_to_250']['p99'])} us"
    if "dot_to_250_us" in r:
        text += f", dot to 250 p50 {number(r['dot_to_250_us'])} us" \
                f" (disk {number(r['disk_us']['p50'])} us)"
    if r.get("cpu_us_per_mail"):
        text += f", {number(r['cpu_us_per_mail'])} us CPU a mail" \
                f", others had {100 * r['others_cpu_share']:.0f} % of the cores"
    if "queued_after_kill_9" in r:
        text += f", {number(r['queued_after_kill_9'])} of {number(r['accepted'])} after kill -9"
    print(text + (f"  WRONG: {r['wrong']}" if "wrong" in r else ""), flush=True)


# --- summary ----------------------------------------------------------------------------------

FIGURES = {  # name: how it is found in one result
    "rate": lambda r: r.get("rate"),
    "cpu_us_per_mail": lambda r: r.get("cpu_us_per_mail"),
    "dot_p50_us": lambda r: r.get("dot_to_250_us") or r.get("dot_to_250", {}).get("p50"),
    "dot_p99_us": lambda r: r.get("dot_to_250", {}).get("p99"),
    "disk_p50_us": lambda r: r.get("disk_us", {}).get("p50"),
    "above_disk_us": lambda r: r.get("above_disk_us"),
    "tls_handshakes_per_cpu_second": lambda r: r.get("tls_handshakes_per_cpu_second"),
    "written_per_mail": lambda r: r.get("written_per_mail"),
    "mails_per_flush": lambda r: 1 / r["flushes_per_mail"] if r.get("flushes_per_mail") else None,
}
COMPARED = [name for name in FIGURES if "disk" not in name]  # a ratio of these says something


def figures(results):
    """Median, extremes and spread of each figure, over the rounds that were measured."""
    found = {}
    for name, find in FIGURES.items():
        values = [v for v in map(find, results) if v is not None]
        if values:
            median = statistics.median(values)
            found[name] = {"median": median, "min": min(values), "max": max(values),
                           "spread": (max(values) - min(values)) / abs(median) if median else None}
    return found


def summarise(results):
    summary = {}
    for case, by_server in results.items():
        entry = {name: figures(rs) for name, rs in by_server.items()}
        ours, theirs = entry.get("sekimori"), entry.get("postfix")
        for name in COMPARED:
            if ours and theirs and name in ours and name in theirs and theirs[name]["median"]:
                pairs = [(FIGURES[name](s), FIGURES[name](p))
                         for s, p in zip(by_server["sekimori"], by_server["postfix"])]
                ratios = [s / p for s, p in pairs if s is not None and p]
                entry.setdefault("ratio", {})[name] = {
                    "of_medians": ours[name]["median"] / theirs[name]["median"],
                    "min": min(ratios, default=None), "max": max(ratios, default=None)}
        summary[case] = entry
    return summary


def targets(summary):
    """(text, met or None when it was not measured)"""
    def of(case, *path):
        at = summary.get(case, {})
        for word in path:
            at = (at or {}).get(word)
        return at

    def row(text, value, unit, met):
        shown = "not measured" if value is None else f"{value:.2f}{unit}"
        return f"{text}: {shown}", None if value is None else met(value)

    accept = of("accept_4k", "ratio", "rate", "of_medians")
    relay = of("relay_4k", "ratio", "rate", "of_medians")
    cpu = of("relay_4k", "sekimori", "cpu_us_per_mail", "median")
    two = of("accept_4k", "sekimori", "cpu_us_per_mail", "median")
    one = of("accept_4k_alone", "sekimori", "cpu_us_per_mail", "median")
    above = of("lone_4k", "sekimori", "above_disk_us", "median")
    return [
        row(f"accept 4 KiB at 64 connections, at least {ACCEPT_TIMES} x Postfix", accept, " x",
            lambda v: v >= ACCEPT_TIMES),
        row(f"relay 4 KiB, at least {RELAY_TIMES} x Postfix", relay, " x",
            lambda v: v >= RELAY_TIMES),
        row(f"CPU of a relayed mail, at most {RELAY_CPU_US} us", cpu, " us",
            lambda v: v <= RELAY_CPU_US),
        row(f"accept 64 KiB, at least {ACCEPT_64K_TIMES} x Postfix",
            of("accept_64k", "ratio", "rate", "of_medians"), " x",
            lambda v: v >= ACCEPT_64K_TIMES),
        row(f"STARTTLS, at least {TLS_TIMES} x Postfix's handshakes a second of CPU",
            of("tls_1k", "ratio", "tls_handshakes_per_cpu_second", "of_medians"), " x",
            lambda v: v >= TLS_TIMES),
        row(f"disk written per 4 KiB mail, at most {WRITTEN_BYTES} bytes",
            of("accept_4k", "sekimori", "written_per_mail", "median"), " bytes",
            lambda v: v <= WRITTEN_BYTES),
        row(f"CPU a mail with all workers, at most {SHARDS_CPU} x that with one",
            two / one if two and one else None, " x", lambda v: v <= SHARDS_CPU),
        row(f"lone connection, at most {LONE_US} us above overwrite + fdatasync", above, " us",
            lambda v: v <= LONE_US),
    ]


def say_targets(rows):
    print()
    for text, met in rows:
        print(f"{'-' if met is None else 'met' if met else 'NOT MET':8} {text}")
    return all(met is not False for _, met in rows)


def say_summary(everything, a):
    summary = everything["summary"]
    print(f"\n{'medians':10} {'figure':30} {'sekimori':>22} {'postfix':>22}   ratio (rounds)")
    for case, entry in summary.items():
        for name in FIGURES:
            cells = []
            for server in ("sekimori", "postfix"):
                f = entry.get(server, {}).get(name)
                cells.append(f"{number(f['median'], 1)} +-{50 * (f['spread'] or 0):.0f}%"
                             if f else "-")
            if cells == ["-", "-"]:
                continue
            ratio = entry.get("ratio", {}).get(name)
            text = f"{ratio['of_medians']:.3f} ({ratio['min']:.3f} to {ratio['max']:.3f})" \
                if ratio else ""
            print(f"{case:15} {name:30} {cells[0]:>22} {cells[1]:>22}   {text}")
    say_rows(everything, a)
    wrong = [f"{case} {server} round {r['round']}: {r['wrong']}"
             for case, by in everything["results"].items() for server, rs in by.items()
             for r in rs if "wrong" in r]
    everything["targets"] = [{"target": t, "met": m} for t, m in targets(summary)]
    good = say_targets(targets(summary))
    for text in wrong:
        print("WRONG   ", text)
    return good and not wrong


def median_of(results, find):
    values = [v for v in map(find, results) if v is not None]
    return statistics.median(values) if values else None


def say_rows(everything, a):
    """The minimum row that a capacity planner expects."""
    print("\nproduct commit | sync mode | cores | msg size p50/p99 | rcpts/msg | TLS | DKIM bits | "
          "rules | dest model | in msg/s (p99 commit) | out msg/s (p99 delivery) | MB/s | CPU/core "
          "| fsync/s | 4xx % | dup | lost | duration")
    c = everything["conditions"]
    products = {"sekimori": f"Sekimori {c['commit']}", "postfix": f"Postfix {c['postfix']}"}
    modes = {"sekimori": "group commit, fdatasync before 250", "postfix": "fsync before 250"}
    for case, by_server in everything["results"].items():
        size = case.split("_")[1]
        for server, rs in by_server.items():
            rs = [r for r in rs if "rate" in r]
            if not rs:
                continue
            mid = lambda find, rs=rs: median_of(rs, find)
            relayed = "delivered" in rs[0]
            p99 = mid(lambda r: r.get("dot_to_250", {}).get("p99"))
            late = mid(lambda r: (r.get("delivery_seconds") or {}).get("p99"))
            cells = [
                products[server], modes[server], str(c["cores"]), f"{size}/{size}", "1",
                rs[0].get("tls_version") or "no", "none", "hold only",
                "sink at once" if relayed else "none (held)",
                number(mid(lambda r: r.get("accept_rate", r["rate"])))
                + (f" ({p99 / 1000:.1f} ms)" if p99 else ""),
                f"{number(mid(lambda r: r['rate']))} ({number(late, 2)} s)" if relayed else "-",
                number(mid(lambda r: r.get("bytes_per_second", 0)) / 1e6, 1),
                number(mid(lambda r: r["cpu_cores"]) / c["cores"], 2),
                number(mid(lambda r: r["flushes_per_second"])),
                number(mid(lambda r: 100 * r.get("replies_4xx", 0) / max(1, r["accepted"])), 1),
                str(sum(r.get("doubled", 0) for r in rs)) if relayed else "-",
                str(sum(r.get("lost", 0) for r in rs)) if relayed else
                str(sum(max(0, r["accepted"] - r.get("queued", r["accepted"])) for r in rs)),
                f"{a.warmup:g}+{a.seconds:g} s x {len(rs)}",
            ]
            print(" | ".join(cells))
    print("fsync/s: flushes of the whole device. MB/s: message bytes accepted. lost of a held "
          "case: acknowledged, not in the queue.")


# --- the million ------------------------------------------------------------------------------


def say_million(m):
    rows = []
    share = m.get("accept_share_in_burst")
    for text, value, unit, met in (
            ("RSS a held mail, at most 100 bytes", m.get("rss_bytes_per_mail"), " bytes",
             lambda v: v <= MILLION["rss_bytes"]),
            ("first 250 after a clean restart, within 2 s", m.get("restart_clean_seconds"), " s",
             lambda v: v <= MILLION["restart_seconds"]),
            ("first 250 after kill -9, within 2 s", m.get("restart_crash_seconds"), " s",
             lambda v: v <= MILLION["restart_seconds"]),
            ("all due mails taken within 5 s", m.get("taken_seconds"), " s",
             lambda v: v <= MILLION["taken_seconds"]),
            ("accepting meanwhile, at least half of before", share, " of before",
             lambda v: v >= MILLION["accept_share"])):
        shown = "not measured" if value is None else f"{value:.2f}{unit}"
        rows.append((f"{text}: {shown}", None if value is None else met(value)))
    m["targets"] = [{"target": t, "met": met} for t, met in rows]
    good = say_targets(rows)
    if m.get("wrong"):
        print("WRONG   ", m["wrong"])
    return good and not m.get("wrong")
