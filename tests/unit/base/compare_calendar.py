#!/usr/bin/env python3
"""compare_calendar PROGRAM [--count N] [--seed N]: zones beside Python's zoneinfo, holidays beside
python3-holidays (where that is installed).

Every zone of tzdata, at random moments from 1900 to 2150 and a second around each change, from the
system's files and, where zic is here, from files without the table that goes on to 2037. Exit
status: 0 the same, 1 not.
"""
import argparse
import datetime
import glob
import os
import random
import shutil
import subprocess
import sys
import tempfile
import zoneinfo

SYSTEM = "/usr/share/zoneinfo"
SOURCE = SYSTEM + "/tzdata.zi"
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def seconds(year):
    return int((datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc) - EPOCH)
               .total_seconds())


def read_ours(program, directory, questions):
    """[(offset, next change)]"""
    lines = "".join("%s %d\n" % question for question in questions)
    out = subprocess.run([program, directory], input=lines, capture_output=True, text=True,
                         check=True).stdout
    return [tuple(map(int, line.split())) for line in out.splitlines()]


def read_theirs(zones, name, at):
    moment = EPOCH + datetime.timedelta(seconds=at)
    return int(moment.astimezone(zones[name]).utcoffset().total_seconds())


def compare_zones(program, directory, count, dice):
    names = sorted(name for name in zoneinfo.available_timezones()
                   if os.path.isfile(os.path.join(directory, name)))
    zones = {}
    for name in names:
        with open(os.path.join(directory, name), "rb") as file:
            zones[name] = zoneinfo.ZoneInfo.from_file(file, key=name)
    questions = []
    for name in names:
        at = seconds(1900)
        questions += [(name, dice.randrange(at, seconds(2150))) for _ in range(count)]
    around = [(name, until + d) for (name, _), (_, until) in
              zip(questions, read_ours(program, directory, questions))
              if until < seconds(2150) for d in (-1, 0)]
    questions += around
    wrong = 0
    for (name, at), (offset, _) in zip(questions, read_ours(program, directory, questions)):
        theirs = read_theirs(zones, name, at)
        if theirs != offset:
            wrong += 1
            if wrong <= 10:
                print("%s %s at %d: %d, Python says %d" % (directory, name, at, offset, theirs))
    print("%d zones of %s, %d moments, %d differ" % (len(names), directory, len(questions), wrong))
    return wrong


def compare_slim(program, count, dice):
    if not shutil.which("zic", path="/usr/sbin:/usr/bin") or not os.path.exists(SOURCE):
        return 0
    with tempfile.TemporaryDirectory() as directory:
        zic = shutil.which("zic", path="/usr/sbin:/usr/bin")
        subprocess.run([zic, "-b", "slim", "-d", directory, SOURCE], check=True)
        return compare_zones(program, directory, count, dice)


def is_known(day, name):
    """What python3-holidays 0.10.1 has not, or has wrongly; the law and the Cabinet Office's lists
    agree with us: Foundation Day before 1967, laws for single days, the moves of 2021, and the
    substitutes that it lists by hand."""
    year = int(day[:4])
    return (day[5:] == "02-11" and year < 1967 and not name) or year == 2021 \
        or day in ("1959-04-10", "1989-02-24", "1990-11-12", "1993-06-09") \
        or (name == "振替休日" and (year > 2050 or day == "1974-05-06" or day[5:] == "02-24"))


def compare_holidays(program):
    try:
        import holidays
    except ImportError:
        return 0
    out = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    ours = dict(line.split(" ") for line in out.splitlines())
    theirs = {str(day) for day in holidays.Japan(years=range(1955, 2100))}
    differ = sorted(set(ours) ^ theirs)
    wrong = [day for day in differ if not is_known(day, ours.get(day))]
    for day in wrong[:10]:
        print("%s: only %s" % (day, "ours" if day in ours else "python3-holidays'"))
    print("%d holidays, %d differ, %d more are explained" % (len(ours), len(wrong),
                                                           len(differ) - len(wrong)))
    return len(wrong)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("program")
    options.add_argument("--count", type=int, default=30)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    dice = random.Random(given.seed)
    wrong = compare_zones(given.program, SYSTEM, given.count, dice)
    wrong += compare_slim(given.program, given.count, dice)
    wrong += compare_holidays(given.program)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
