#!/usr/bin/env python3
"""compare_mailboxes PROGRAM [--count N] [--seed N] [--show N]: two other readers of address lists.

Lists are made two ways: by the grammar, with their addresses known, and of pieces thrown
together. Python's email.utils and email.headerregistry read each, and so does PROGRAM
(read_mailboxes.c). Where our reader has no ambiguous doubt, all must find the same addresses;
where it has one, each address that another reader finds, and that is one, must be in our list.
What is known to differ is named by explain(), joined() and enclosed(). Exit status: 0 no
difference is left, 1 some are.
"""
import argparse
import collections
import email._header_value_parser as parser
import email.utils
import random
import re
import subprocess
import sys

ATOMS = ["bob", "a", "x-1", "O'Neil", "sales+jp", "=?utf-8?q?B=C3=B6b?=", "山田"]
DOMAINS = ["x.example", "sub.y.example", "z.example", "[192.0.2.1]"]
PIECES = ATOMS + DOMAINS + list("<>@,;:.()\"\\[] ") + [
    "<a@x.example>", "b@y.example", "c@z.example", ", ", "\r\n ", "(note)", "(b@y.example)",
    '"quoted"', '"q, q"', '"c@z.example"', "group:", ";", "<@r.example:d@x.example>", "=?utf-8?q?",
    "?="]
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
ADDRESS = re.compile(r"%s(\.%s)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*" % (ATOM, ATOM))


def local_part(dice):
    if dice.random() < 0.1:
        return '"%s"' % dice.choice(["bob b", "a\\\"b", "x"])
    return ".".join(dice.choice(ATOMS[:5]) for _ in range(dice.randint(1, 2)))


def comment(dice, depth=0):
    inner = dice.choice(["note", "", "a, b", "x; y", "a <b>", "\\)", '"'])
    if depth < 3 and dice.random() < 0.3:
        inner += comment(dice, depth + 1)
    return "(%s)" % inner


def space(dice):
    return dice.choice(["", " ", "\r\n ", "\t", " " + comment(dice) + " "])


def mailbox(dice):
    """(text, address)"""
    address = local_part(dice) + "@" + dice.choice(DOMAINS)
    if dice.random() < 0.4:
        return space(dice) + address + space(dice), address
    words = [dice.choice(ATOMS + ['"Brown, B."', '"a; b"', '"x:y"', "J."]) for _ in
             range(dice.randint(0, 3))]
    return "%s%s %s<%s>%s" % (space(dice), " ".join(words), space(dice), address,
                              space(dice)), address


def by_grammar(dice):
    """(text, its addresses)"""
    texts, addresses = [], []
    for _ in range(dice.randint(0, 6)):
        kind = dice.random()
        if kind < 0.1:
            texts.append(dice.choice(["", " ", comment(dice)]))
        elif kind < 0.25:
            members = [mailbox(dice) for _ in range(dice.randint(0, 3))]
            texts.append("%s:%s;" % (dice.choice(["friends", '"a, b"', "x y"]),
                                     ",".join(text for text, _ in members)))
            addresses += [address for _, address in members]
        else:
            text, address = mailbox(dice)
            texts.append(text)
            addresses.append(address)
    return ",".join(texts), addresses


def thrown(dice):
    return "".join(dice.choice(PIECES) for _ in range(dice.randint(1, 12)))


def plain(address):
    """As address.c spells it."""
    local, at, domain = address.rpartition("@")
    quoted = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', local, re.S)
    if quoted:
        inner = re.sub(r"\\(.)", r"\1", quoted[1])
        if re.fullmatch(r"%s(\.%s)*" % (ATOM, ATOM), inner):
            local = inner
    return local + at + domain.lower()


def read_utils(text):
    return [address for _, address in email.utils.getaddresses([text]) if address]


def read_registry(text):
    """None: it stumbled."""
    try:
        read, _ = parser.get_address_list(text.replace("\r\n", ""))  # it wants it unfolded
        return [m.addr_spec for m in read.all_mailboxes if m.addr_spec and m.domain]
    except (IndexError, AttributeError, TypeError, ValueError, parser.errors.HeaderParseError):
        return None


def read_ours(program, texts):
    """[(ambiguous, addresses, guesses)]"""
    lines = "".join(text.encode("utf-8", "surrogateescape").hex() + "\n" for text in texts)
    out = subprocess.run([program], input=lines, capture_output=True, text=True, check=True).stdout
    answers = []
    for line in out.split("\n")[:-1]:
        doubts, *words = line.split(" ")
        decode = lambda word: bytes.fromhex(word).decode("utf-8")
        answers.append((int(doubts, 16), [decode(w) for w in words if w[:1] not in "?-"],
                        [decode(w[1:]) for w in words if w[:1] == "?"]))
    return answers


def joined(address, text):
    """Python joins words over a comment, or without anything between them: `a(x)b@c` is ab@c."""
    return address not in text


def enclosed(address, text):
    """Python looks into a group's quoted name, and pairs quotes and brackets of comments otherwise
    where one is left."""
    return re.search(r'"[^"]*%s[^"]*"|\([^)]*%s' % (re.escape(address), re.escape(address)), text)


def explain(reader, text, theirs, ours):
    """Why a reader differs where the grammar leaves no doubt, or None."""
    if theirs is None:
        return "stumbles"
    if reader == "utils" and [a for a in theirs if "@" in a] == ours:
        return "takes words without at sign for addresses"
    if any(ord(c) > 127 for a in theirs for c in a) and len(theirs) == len(ours):
        return "keeps other letters in a domain"
    if reader == "registry" and re.search(r"[][]", text) and set(theirs) <= set(ours):
        return "loses addresses behind brackets in a name"
    return None


def compare(reader, text, theirs, answer, tally):
    ambiguous, ours, guesses = answer
    their = None if theirs is None else [plain(a) for a in theirs]
    if not ambiguous:
        reason = "the same" if their == ours else explain(reader, text, their, ours)
        tally[reader, reason or "DIFFERENT"] += 1
        return None if reason else (reader, text, their, answer)
    strangers = [a for a in their or () if ADDRESS.fullmatch(a) and a not in ours + guesses]
    loose = [a for a in strangers if not joined(a, text) and not enclosed(a, text)
             and "=?" not in text]
    what = "all of theirs are ours" if not strangers \
        else "joins words, unquotes, decodes" if not loose else "MORE"
    tally[reader, "ambiguous: " + what] += 1
    return (reader, text, their, answer) if loose else None


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("program")
    options.add_argument("--count", type=int, default=5000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--show", type=int, default=20)
    given = options.parse_args()
    dice = random.Random(given.seed)
    tally, failures = collections.Counter(), []

    made = [by_grammar(dice) for _ in range(given.count)]
    answers = read_ours(given.program, [text for text, _ in made])
    for (text, truth), answer in zip(made, answers):
        if answer[1] != [plain(a) for a in truth] or answer[2]:
            failures.append(("truth", text, truth, answer))
    texts = [text for text, _ in made] + [thrown(dice) for _ in range(given.count)]
    for text, answer in zip(texts, read_ours(given.program, texts)):
        for reader, read in (("utils", read_utils), ("registry", read_registry)):
            failure = compare(reader, text, read(text), answer, tally)
            if failure:
                failures.append(failure)

    for (reader, what), count in sorted(tally.items()):
        print("%7d %-9s %s" % (count, reader, what))
    for failure in failures[:given.show]:
        print("%s: %r\n    theirs %r\n    ours   %r" % failure)
    print("%d lists, %d differences" % (len(texts), len(failures)))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
