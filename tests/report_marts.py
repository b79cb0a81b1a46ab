"""Made-up marts for the tests of the report: realistic in size, rhythm and words; nothing in them is anybody's."""

from datetime import date, datetime, timedelta

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

UNTIL = date(2026, 11, 18)
CHANNELS = {
    "call": ("Call", 0.52),
    "sms": ("SMS", 0.17),
    "social": ("Social media", 0.12),
    "web_form": ("Web form", 0.09),
    "email": ("Email", 0.05),
    "app": ("App", 0.03),
    "walk_in": ("Walk-in", 0.012),
    "letter": ("Letter", 0.005),
    "regulator": ("Regulator", 0.003),
}
CATEGORIES = {
    "billing_charging": ("Billing and charging", 0.24),
    "data_internet": ("Mobile data and internet", 0.19),
    "recharge_topup": ("Recharge and top-up", 0.14),
    "network_voice": ("Network and calls", 0.12),
    "vas_unsolicited": ("Subscriptions nobody asked for", 0.08),
    "sim_identity": ("SIM and identity", 0.07),
    "customer_care": ("Customer care", 0.05),
    "sms_mms": ("SMS and MMS", 0.03),
    "number_porting": ("Number porting", 0.015),
    "device_terminal": ("Handset, router and other devices", 0.01),
    "fraud_privacy_safety": ("Fraud, privacy and safety", 0.01),
    "roaming_international": ("Roaming and international", 0.008),
    "disconnection_recycling": ("Disconnection and recycled numbers", 0.007),
    "other": ("Other", 0.01),
    "unclassified": ("Unclassified", 0.02),
}
STATES = {
    "NG-LA": ("Lagos", 0.2),
    "NG-FC": ("Federal Capital Territory", 0.11),
    "NG-KN": ("Kano", 0.08),
    "NG-RI": ("Rivers", 0.07),
    "NG-OY": ("Oyo", 0.06),
    "NG-KD": ("Kaduna", 0.05),
    "NG-EN": ("Enugu", 0.04),
    "NG-ED": ("Edo", 0.04),
    "NG-AB": ("Abia", 0.03),
    "NG-BO": ("Borno", 0.03),
    "NG-PL": ("Plateau", 0.02),
    "NG-AK": ("Akwa Ibom", 0.02),
    "NG-CR": ("Cross River", 0.02),
    "unknown": ("Unknown", 0.23),
}
SOURCES = {"call": "calls", "sms": "sms_gateway", "social": "social"}
TITLES = {
    "calls": "Call centre log",
    "sms_gateway": "SMS short code 622",
    "social": "Social media",
    "forms": "Web forms, email, app and letters, exported each night from the care system",
}


def rollup_daily(days: int = 60, a_day: float = 420.0, until: date = UNTIL, seed: int = 7) -> pd.DataFrame:
    "One row per day, channel, category and state: weekly rhythm, uneven days, an outage in Lagos, slow growth."
    rng, parts = np.random.default_rng(seed), []
    keys = [
        (c, k, s, pc * pk * ps)
        for c, (_, pc) in CHANNELS.items()
        for k, (_, pk) in CATEGORIES.items()
        for s, (_, ps) in STATES.items()
    ]
    share = np.array([k[3] for k in keys])
    share /= share.sum()
    outage = np.array([12.0 if k[1] in ("data_internet", "network_voice") and k[2] == "NG-LA" else 1.0 for k in keys])
    for i in range(days):
        day = until - timedelta(days=days - 1 - i)
        mean = a_day * (0.68 if day.weekday() >= 5 else 1.08) * (1 + 0.002 * i) * rng.gamma(60, 1 / 60)
        surge = outage if date(2026, 11, 9) <= day <= date(2026, 11, 11) else 1.0
        n = rng.poisson(mean * share * surge)
        some = np.nonzero(n)[0]
        parts.append(
            pd.DataFrame(
                {
                    "local_date": day,
                    "channel": [keys[j][0] for j in some],
                    "category_code": [keys[j][1] for j in some],
                    "state": [keys[j][2] for j in some],
                    "contacts": n[some],
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    undated = pd.DataFrame(
        [(None, "sms", "sms_mms", "unknown", 214), (None, "social", "unclassified", "NG-LA", 31)],
        columns=["local_date", "channel", "category_code", "state", "contacts"],
    )
    frame = pd.concat([frame.astype({"local_date": object}), undated.astype({"local_date": object})], ignore_index=True)
    frame["source"] = [SOURCES.get(c, "forms") for c in frame["channel"]]
    frame["duplicates"] = rng.binomial(frame["contacts"], 0.11)
    frame["unique_contacts"] = frame["contacts"] - frame["duplicates"]
    frame["unclassified"] = frame["contacts"].where(frame["category_code"] == "unclassified", 0)
    return frame


def rollup_hourly(daily: pd.DataFrame, seed: int = 8) -> pd.DataFrame:
    "The same contacts by hour: office hours, a lunch dip, an evening hump."
    rng = np.random.default_rng(seed)
    shape = np.array(
        [2, 1, 1, 1, 1, 2, 4, 8, 14, 20, 22, 19, 14, 13, 16, 17, 15, 13, 14, 16, 15, 10, 6, 3], dtype=float
    )
    rows = []
    for day, n in daily.dropna(subset=["local_date"]).groupby("local_date")["contacts"].sum().items():
        weights = shape * (1.25 if day.weekday() == 0 else 1.0)
        for hour, count in enumerate(rng.multinomial(n, weights / weights.sum())):
            rows.append((datetime(day.year, day.month, day.day, hour), "call", "other", int(count)))
    return pd.DataFrame(rows, columns=["local_hour", "channel", "category_code", "contacts"])


def books() -> pd.DataFrame:
    "Four sources; the forms have landed records that wait."
    rows = [
        ("calls", 13800, 12950, 690, 118, 42, 0),
        ("sms_gateway", 5120, 4610, 402, 61, 47, 0),
        ("social", 4020, 3080, 133, 7, 800, 0),
        ("forms", 4950, 4688, 150, 12, 0, 100),
    ]
    return pd.DataFrame(
        rows, columns=["source", "received", "loaded", "duplicate", "quarantined", "rejected", "waiting"]
    )


def quality() -> pd.DataFrame:
    "Checks in every state."
    rows = [
        ("undated", "sms_gateway", "missed", 0.074, 0.05, 4610, "have no time of receipt"),
        ("undated", "calls", "ok", 0.0, 0.05, 12950, "have no time of receipt"),
        ("place_unmapped", "forms", "missed", 0.23, 0.1, 4688, "have a place that is not known"),
        ("rollup_equals_fact", "mart.rollup_daily", "ok", 0.0, 0.0, 25328, "The days add up to the contacts"),
        ("contract", "curated.contact", "ok", 0.0, 0.0, 25328, "keeps its contract"),
        (
            "points_at_contact",
            "curated.outcome.contact_id",
            "broken",
            7.0,
            0.0,
            25328,
            "7 of curated.outcome.contact_id point at no contact",
        ),
    ]
    return pd.DataFrame(rows, columns=["name", "scope", "status", "value", "bound", "n", "words"])


def quarantine() -> pd.DataFrame:
    "Records set aside, one row each."
    kinds = [
        ("calls", "torn_record", 90),
        ("sms_gateway", "bad_encoding", 61),
        ("calls", "too_many_fields", 28),
        ("forms", "no_text", 12),
        ("social", "bad_json", 7),
    ]
    return pd.DataFrame([(s, r, "open") for s, r, n in kinds for _ in range(n)], columns=["source", "reason", "status"])


def dims() -> dict[str, pd.DataFrame]:
    "The dimensions that carry labels."
    return {
        "dim_channel": pd.DataFrame([(c, v[0]) for c, v in CHANNELS.items()], columns=["channel", "label"]),
        "dim_category": pd.DataFrame([(c, v[0]) for c, v in CATEGORIES.items()], columns=["category_code", "label"]),
        "dim_place": pd.DataFrame([(c, v[0]) for c, v in STATES.items()], columns=["state", "label"]),
        "dim_source": pd.DataFrame(list(TITLES.items()), columns=["source", "title"]),
    }


def marts(
    daily: pd.DataFrame | None = None, hourly: pd.DataFrame | None = None, **other: pd.DataFrame
) -> dict[str, ibis.Table]:
    "All marts as tables; `daily`, `hourly` or any other may be given instead of the usual ones."
    daily = rollup_daily() if daily is None else daily
    frames = {
        "rollup_daily": daily,
        "rollup_hourly": rollup_hourly(daily) if hourly is None else hourly,
        "books": books(),
        "quality": quality(),
        "quarantine": quarantine(),
        **dims(),
        "events": pd.DataFrame(
            [(date(2026, 11, 9), date(2026, 11, 11), "Fibre cut, Lagos mainland")], columns=["start", "end", "label"]
        ),
        **other,
    }
    return {name: _table(frame) for name, frame in frames.items()}


def _table(frame: pd.DataFrame) -> ibis.Table:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if "local_date" in frame:
        table = table.set_column(
            table.schema.get_field_index("local_date"), "local_date", table["local_date"].cast(pa.date32())
        )
    text = [
        pa.field(f.name, pa.string() if pa.types.is_null(f.type) or pa.types.is_large_string(f.type) else f.type)
        for f in table.schema
    ]
    return ibis.memtable(table.cast(pa.schema(text)))
