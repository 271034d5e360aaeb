"""Was mail lost, doubled or invented? promises.md 2, applied to the two ledgers.

    history = History(recipients_of)
    history.read_load(path); history.read_sink(path)      bench/README.md says what is in them
    history.outages.append((down, up))       each crash: just before it, and when the next process
                                             was started (the old one was dead)
    history.queue(list, token_of)            optional: what the gateway itself says at the end
    print(judge(history))                                 raises Violation

A copy is one (token, recipient) at the sink. Verdicts:

    lost        answered 250, but a recipient has no copy, no confirmed discard and no return
    partial     not answered 250, yet one recipient has it and another has not: accepted in half
    unexpected  a copy of what was never sent, refused, or of a recipient that it did not have
    doubled     a second copy without a crash of its own between the two, soon after the first
    altered     two copies of one recipient that differ
    forbidden   a copy for whom a discard was confirmed (H-2)
    early       a copy before its hold was over (H-1)
    mistold     a state in the gateway's list that contradicts the above

Legal, and counted: recovered (no reply came, delivered: RFC 1047) and repeated (in the window of
a crash).
"""
import collections
import datetime

# Between the first copy and the synced "delivered" lie the sink's answer and one commit. A copy
# that was there so long before the crash must have been recorded.
WINDOW_SECONDS = 5.0
# accepted_at is rounded to the millisecond.
ROUNDING_SECONDS = 0.002

Copy = collections.namedtuple("Copy", "at sha bytes answered")


class Violation(AssertionError):
    """A promise was broken. `kinds`: {verdict: [what]}."""

    def __init__(self, kinds, numbers):
        self.kinds, self.numbers = kinds, numbers
        lines = [f"{kind}: {len(found)}, such as {found[:3]}" for kind, found in kinds.items()]
        super().__init__("; ".join(lines) + f" ({numbers})")


class History:
    """recipients_of(token): addresses that a mail of that token was sent to; None: no such mail.
    hold_of(recipient): seconds."""

    def __init__(self, recipients_of, hold_of=None):
        self.recipients_of, self.hold_of = recipients_of, hold_of
        self.acked, self.failed, self.unknown = {}, {}, set()
        self.copies = collections.defaultdict(list)
        self.outages = []
        self.discard_asked, self.discard_done = set(), set()  # (token, recipient)
        self.release_asked = set()
        self.set_aside = set()  # tokens that damage was done to, and that were named
        self.states = None
        self.accepted_at = {}

    def read_load(self, path):
        for row in rows(path):
            if row[0] == "acked":
                self.acked[row[1]] = float(row[2])
            elif row[0] == "failed":
                self.failed[row[1]] = row[2]
            elif row[0] == "unknown":
                self.unknown.add(row[1])

    def read_sink(self, path):
        for row in rows(path):
            # what was refused at the dot is no copy: the sink said that it has not taken it
            if row[0] in ("got", "unanswered"):
                self.copies[row[1], row[2].lower()].append(
                    Copy(float(row[3]), row[4], int(row[5]), row[0] == "got"))

    def queue(self, listed, token_of):
        """listed: rows of `sekictl list --all --json`; token_of(row): None for the gateway's
        own."""
        self.states = {}
        for row in listed:
            token = token_of(row)
            if token is None:
                continue
            self.accepted_at[token] = \
                datetime.datetime.fromisoformat(row["accepted_at"]).timestamp()
            for r in row["recipients"]:
                key = token, r["address"].lower()
                if key in self.states:
                    raise Violation({"doubled": [f"{token} is in the queue twice"]}, "")
                self.states[key] = r["state"]

    def state(self, key):
        return self.states.get(key) if self.states is not None else None


def rows(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return [line.split() for line in f if line.endswith("\n")]
    except FileNotFoundError:
        return []


def judge(h):
    """Numbers of a good history; a Violation of a bad one."""
    found = collections.defaultdict(list)
    answered = {key for key, copies in h.copies.items() if any(c.answered for c in copies)}
    recovered = look_at_sent(h, answered, found)
    repeated = sum(look_at_copies(h, key, sorted(copies), found)
                   for key, copies in h.copies.items())
    look_at_states(h, answered, found)
    numbers = (f"{len(h.acked)} acked, {len(h.failed)} refused, {len(h.unknown)} unknown of which "
               f"{recovered} recovered, {len(answered)} copies, {repeated} repeated, "
               f"{len(h.discard_done)} discarded, {len(h.outages)} outages")
    if found:
        raise Violation(dict(found), numbers)
    return numbers


def settled(h, key, answered):
    """Nothing is owed to this recipient any more."""
    if key in answered or key in h.discard_done or key[0] in h.set_aside:
        return True
    # the answer to a discard may have been lost in a crash; then the queue knows
    return (h.state(key) == "discarded" and key in h.discard_asked) or h.state(key) == "bounced"


def look_at_sent(h, answered, found):
    for token in h.acked:
        for recipient in h.recipients_of(token):
            if not settled(h, (token, recipient), answered):
                found["lost"].append((token, recipient, h.state((token, recipient))))
    recovered = 0
    for token in h.unknown - set(h.acked):
        keys = [(token, r) for r in h.recipients_of(token)]
        if any(key in h.copies for key in keys):
            recovered += 1
            found["partial"] += [key for key in keys if not settled(h, key, answered)]
    if not found["partial"]:
        del found["partial"]
    return recovered


def look_at_copies(h, key, copies, found):
    token, recipient = key
    recipients = h.recipients_of(token)
    if recipients is None or recipient not in recipients or not was_sent(h, token):
        found["unexpected"].append((token, recipient, h.failed.get(token)))
        return 0
    if key in h.discard_done:
        found["forbidden"].append(key)
    if len({(c.sha, c.bytes) for c in copies}) > 1:
        found["altered"].append(key)
    if h.hold_of and key not in h.release_asked and token in h.accepted_at:
        least = h.accepted_at[token] + h.hold_of(recipient) - ROUNDING_SECONDS
        if copies[0].at < least:
            found["early"].append((token, recipient, round(least - copies[0].at, 4)))
    return look_at_repeats(h, key, [c for c in copies if c.answered], found)


def was_sent(h, token):
    """Did the client send the final dot, without being told that the mail was refused?"""
    return token in h.acked or (token in h.unknown and token not in h.failed)


def look_at_repeats(h, key, copies, found):
    """Each further copy needs a crash of its own, soon after the copy before it."""
    free = sorted(h.outages)
    for first, second in zip(copies, copies[1:]):
        mine = [o for o in free if o[0] - WINDOW_SECONDS <= first.at <= o[1] < second.at]
        if not mine:
            found["doubled"].append((*key, first.at, second.at))
            return 0
        free.remove(mine[0])
    return len(copies) - 1 if copies else 0


def look_at_states(h, answered, found):
    if h.states is None:
        return
    for token in h.acked:
        for recipient in h.recipients_of(token):
            key = token, recipient
            state = h.state(key)
            if token in h.set_aside:
                continue
            if state is None or (state == "discarded" and key not in h.discard_asked) or \
                    (state == "delivered" and key not in answered) or \
                    (state != "discarded" and key in h.discard_done) or \
                    (state == "discarded" and key in h.copies):
                found["mistold"].append((token, recipient, state))
