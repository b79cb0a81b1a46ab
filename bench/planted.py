"""Planted near-duplicates: realistic short texts, a known share of them copies of others, and the truth about it.

The base is every real text that `../shared/data` holds (NUS SMS, AfriSenti, SentiTel, Twitter support), topped up with
generated telecom complaints. The same `n` and `seed` give the same set.
"""

import csv
import json
import os
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape, unescape
from itertools import cycle, islice
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("BEEJAN_SHARED_DATA", HERE.parent.parent / "shared" / "data"))

# ---------------------------------------- generated complaints

OPEN = [
    "",
    "",
    "",
    "Hello",
    "Good morning",
    "Please",
    "Abeg",
    "Dear customer care",
    "Hi",
    "My people",
    "Good day sir",
    "Kai",
    "Oga",
    "To whom it may concern",
    "I am so tired of this",
    "Una no dey try at all",
    "This is the {nth} time",
]
WHAT = [
    "you deducted {amount} from my account without any reason",
    "my {size} data finished in {days} days and I only used WhatsApp",
    "I recharged {amount} and it has not reflected since {hour}",
    "there is no network in {place} since {day}",
    "calls keep dropping after {secs} seconds when I am at {place}",
    "una don chop my {amount} again for {service}",
    "the internet is slower than {speed} kbps around {place}",
    "I was charged {amount} for {service} I never subscribed to",
    "my line {phone} has been barred even though I linked my NIN on {day}",
    "SIM swap at the {place} shop has taken {days} days",
    "I sent {amount} airtime to {phone} and they did not receive it",
    "text messages to {phone} are not delivering",
    "porting my number from {operator} is pending since {day}",
    "the agent at {place} was very rude to me around {hour}",
    "the router I bought for {amount} stopped working after {days} days",
    "somebody called from {phone} asking for my BVN and PIN",
    "I cannot browse with the {size} bundle I bought at {hour}",
    "my bonus of {amount} disappeared on {day}",
    "they billed me {amount} for roaming though I never left {place}",
    "nobody picked my call, I was on hold for {secs} minutes",
    "every morning by {hour} the service goes off in {place}",
    "ETF network don spoil for {place} and light no dey too",
    "caller tune was activated on {phone} and {amount} was removed",
    "my transfer of {amount} to {phone} failed but I was debited",
    "{operator} signal is better than yours in {place}",
    "I no fit make call since {day}, na only emergency dey show",
    "the app logs me out each time I try to buy {size}",
    "the {amount} voucher with serial {ref} says already used",
    "I have been receiving {service} messages at {hour} every night",
    "I moved to {place} and fibre installation is {days} days late",
    "my postpaid bill for {month} is {amount} instead of what we agreed",
    "the USSD code gives error {secs} since {day}",
]
MORE = [
    "",
    "",
    "I have called {secs} times already",
    "ticket number is {ref}",
    "I am a student at {place} and I need it for my exams",
    "my shop in {place} depends on this line",
    "the other number is {phone}",
    "it happened again on {day} by {hour}",
    "a friend on {operator} has no such problem",
    "last {month} it was the same thing",
    "my balance was {amount} before that",
    "I have the screenshot and the receipt {ref}",
    "your office in {place} said I should wait {days} days",
    "even my neighbours are complaining",
    "I restarted the phone {secs} times",
    "una customer care no dey pick at all",
    "wetin I do una?",
    "I bought {size} on {day} and another {size} today",
    "I am an old customer since {year}",
    "we are about {secs} people in the compound with this issue",
]
WANT = [
    "",
    "",
    "Please refund me",
    "I want my {amount} back",
    "Kindly resolve this before {day}",
    "Fix it or I port to {operator}",
    "Please call me on {phone}",
    "I will report to NCC",
    "Abeg help me",
    "Do something about {place}",
    "Return my {size}",
    "Reply to this with a ticket number",
    "I need an answer within {days} days",
    "Make una refund my money o",
    "Someone should check the mast at {place}",
    "Deactivate {service} now",
    "God dey sha",
    "This is not fair at all",
]
PLACES = (
    "Ikeja Surulere Yaba Lekki Ajah Ikorodu Epe Badagry Abeokuta Ijebu-Ode Ibadan Ogbomoso Oyo Ilorin Offa Osogbo "
    "Ife Akure Owo Ondo Benin Auchi Warri Sapele Asaba Onitsha Awka Nnewi Enugu Nsukka Aba Umuahia Owerri Orlu "
    "Calabar Uyo Eket Bonny Yenagoa Kaduna Zaria Kano Wudil Katsina Daura Sokoto Gusau Birnin-Kebbi Minna Bida "
    "Suleja Gwagwalada Kubwa Wuse Garki Jos Bauchi Gombe Yola Mubi Jalingo Maiduguri Damaturu Lafia Keffi Makurdi "
    "Otukpo Lokoja Okene Dutse Hadejia Abakaliki"
).split()
AREAS = [
    "",
    "",
    "",
    "phase {k}",
    "GRA",
    "junction",
    "market",
    "new layout",
    "estate gate {k}",
    "road {k}",
    "university",
    "bus stop",
]
OPERATORS = ["MTN", "Glo", "Airtel", "9mobile", "Smile", "Spectranet"]
SERVICES = [
    "caller tunes",
    "Fun Call",
    "jokes club",
    "football alerts",
    "daily devotion",
    "lucky draw",
    "mobile games",
    "health tips",
]
DAYS = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "yesterday",
    "last week",
    "the {k}th",
    "{k} March",
    "{k} June",
    "{k}/0{m}",
]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def _slot(r: random.Random, name: str) -> str:
    k, m = r.randint(2, 28), r.randint(1, 9)
    match name:
        case "amount":
            return r.choice(["N{}", "#{}", "{} naira", "NGN {}", "{}"]).format(
                r.choice([50, 100, 10 * r.randint(3, 999)])
            )
        case "size":
            return r.choice(["{}GB", "{} GB", "{}gig", "{}00MB"]).format(r.randint(1, 75))
        case "days" | "nth":
            return str(k) + ("th" if name == "nth" else "")
        case "secs":
            return str(r.randint(2, 59))
        case "speed":
            return str(r.randint(12, 512))
        case "hour":
            return r.choice(["{}am", "{}pm", "{}:30", "{} o'clock"]).format(r.randint(1, 12))
        case "day":
            return r.choice(DAYS).format(k=k, m=m)
        case "place":
            return " ".join([r.choice(PLACES), r.choice(AREAS).format(k=k)]).strip()
        case "phone":
            return r.choice(["0803", "0805", "0816", "0902", "+234703"]) + f"{r.randrange(10**7):07d}"
        case "ref":
            return f"{r.choice(['CR', 'TT', 'INC'])}{r.randrange(10**8):08d}"
        case "operator":
            return r.choice(OPERATORS)
        case "service":
            return r.choice(SERVICES)
        case "month":
            return r.choice(MONTHS)
    return str(r.randint(2005, 2023))


def complaint(r: random.Random) -> str:
    "One made-up complaint, 30 to 300 characters."
    parts = [r.choice(OPEN), r.choice(WHAT), r.choice(MORE), r.choice(MORE) if r.random() < 0.4 else "", r.choice(WANT)]
    if r.random() < 0.25:
        parts[1] += " and " + r.choice(WHAT)
    text = r.choice([". ", ", ", " ", "... ", ". "]).join(p for p in parts if p)
    text = re.sub(r"\{(\w+)\}", lambda m: _slot(r, m[1]), text)
    shape = r.random()
    return (
        text.lower()
        if shape < 0.3
        else text.upper()
        if shape < 0.33
        else text[0].upper() + text[1:] + ("." if shape > 0.7 else "")
    )


# ---------------------------------------- real texts


def _nus() -> Iterator[str]:
    for path in (SHARED / "nus_sms").glob("*.zip"):
        with zipfile.ZipFile(path) as z:
            for name in z.namelist():
                if not name.endswith(".xml"):
                    continue
                with z.open(name) as f:
                    for _, e in ElementTree.iterparse(f):
                        if e.tag == "text" and e.text:
                            yield e.text
                        if e.tag == "message":
                            e.clear()


def _afrisenti() -> Iterator[str]:
    for path in sorted((SHARED / "afrisenti").glob("*/*.tsv")):
        with path.open(encoding="utf-8", newline="") as f:
            for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
                yield row.get("tweet") or ""


def _sentitel() -> Iterator[str]:
    for path in sorted((SHARED / "sentitel").glob("*.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        for row in rows if isinstance(rows, list) else rows.values():
            yield str(row.get("text") or row.get("tweet") or "")


def _twcs() -> Iterator[str]:
    for path in (SHARED / "twcs").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as f:
            for row in csv.DictReader(f):
                yield row.get("text") or ""


def real_texts() -> dict[str, list[str]]:
    "Distinct real texts of twenty letters or more, by set; a set that is absent is an empty list."
    seen: set[str] = set()
    out: dict[str, list[str]] = {}
    for name, read in {"nus_sms": _nus, "afrisenti": _afrisenti, "sentitel": _sentitel, "twcs": _twcs}.items():
        out[name] = [t for t in read() if len(re.sub(r"\W+", " ", t).strip()) >= 20 and not (t in seen or seen.add(t))]  # type: ignore[func-returns-value]
    return out


# ---------------------------------------- copies

SIGNATURES = [
    " Sent from my iPhone",
    " Thanks",
    " - Chidi",
    "\n--\nAda",
    " God bless",
    " thank you",
    " Regards, Musa",
    " pls RT",
]
FORWARDS = ["RT @user: ", "Fwd: ", "FW: ", "RT ", "Re: ", "RT @NaijaTweets ", "Fwd: Re: "]
KEYS = "abcdefghijklmnopqrstuvwxyz"


def _typo(r: random.Random, t: str) -> str:
    for _ in range(1 + len(t) // 60):
        i, k = r.randrange(len(t) - 1), r.random()
        if k < 0.3:
            t = t[:i] + t[i + 1 :]
        elif k < 0.6:
            t = t[:i] + r.choice(KEYS) + t[i + 1 :]
        elif k < 0.8:
            t = t[:i] + r.choice(KEYS) + t[i:]
        else:
            t = t[:i] + t[i + 1] + t[i] + t[i + 2 :]
    return t


def _case(r: random.Random, t: str) -> str:
    t = r.choice([str.upper, str.lower, str.title])(t)
    return r.choice([t, t + "!!!", t.replace(".", "!"), t.replace(",", ""), t.rstrip(".") + " ..."])


def _swap(r: random.Random, t: str) -> str:
    words = t.split()
    if len(words) < 6:
        return _typo(r, t)
    i = r.randrange(len(words) - 1)
    words[i], words[i + 1] = words[i + 1], words[i]
    return " ".join(words)


def _space(r: random.Random, t: str) -> str:
    t = re.sub(" ", lambda _: r.choice([" ", " ", "  ", "\n", "\t", "\u00a0"]), unescape(t))
    return escape(t) if r.random() < 0.5 else "  " + t + " "


def _truncate(r: random.Random, t: str) -> str:
    return t[: max(20, int(len(t) * r.uniform(0.80, 0.97)))] + r.choice(["", "...", "…"])


KINDS: dict[str, Callable[[random.Random, str], str]] = {
    "exact": lambda r, t: t,
    "case": _case,
    "typo": _typo,
    "truncated": _truncate,
    "signature": lambda r, t: t + r.choice(SIGNATURES),
    "swap": _swap,
    "forward": lambda r, t: r.choice(FORWARDS) + t,
    "space": _space,
}


@dataclass(frozen=True)
class Planted:
    "A set in landing order: `source[i]` is the position of the text that `texts[i]` copies, -1 where it copies none."

    texts: list[str]
    source: list[int]
    kind: list[str]
    real: dict[str, int]


def planted(n: int = 500_000, share: float = 0.15, seed: int = 7, generated_only: bool = False) -> Planted:
    "Make `n` texts of which `share` are copies of eight kinds, in equal parts, shuffled."
    r = random.Random(seed)
    copies = int(n * share)
    real = {} if generated_only else real_texts()
    base = [t for texts in real.values() for t in texts]
    r.shuffle(base)
    base = base[: n - copies]
    seen = set(base)
    while len(base) < n - copies:
        if (t := complaint(r)) not in seen:
            base.append(t)
            seen.add(t)
    kinds = list(islice(cycle(KINDS), copies))
    of = r.sample(range(len(base)), copies)
    texts = base + [KINDS[k](r, base[i]) for k, i in zip(kinds, of, strict=True)]
    order = list(range(n))
    r.shuffle(order)
    place = [0] * n
    for new, old in enumerate(order):
        place[old] = new
    source, kind = [-1] * n, [""] * n
    for j, (k, i) in enumerate(zip(kinds, of, strict=True)):
        source[place[len(base) + j]], kind[place[len(base) + j]] = place[i], k
    return Planted([texts[old] for old in order], source, kind, {k: len(v) for k, v in real.items()})
