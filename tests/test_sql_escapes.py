"""Fifty ways out of the SQL room: each is refused, or shows nothing it should not."""

import json

import pytest

from beejan.core.errors import BeejanError, InputError
from beejan.core.lake import Lake, append, commit, writer
from beejan.core.settings import load_settings
from beejan.govern.access import Who
from beejan.operate.workspace import make_workspace
from beejan.serve.sqlroom import ask_sql, sealed

SECRET = "Mama Ngozi of Ikeja"
ANALYST = Who("ada", "analyst")
ESCAPES = """
SELECT * FROM vault.content
SELECT * FROM lake.vault.content
SELECT * FROM "lake"."vault"."content"
SELECT * FROM VAULT.CONTENT
SELECT * FROM raw.record
SELECT * FROM lake.raw.fault
SELECT (SELECT max(text) FROM vault.content)
SELECT * FROM mart.fact_contact WHERE contact_id IN (SELECT text FROM vault.content)
WITH v AS (SELECT * FROM vault.content) SELECT * FROM v
WITH fact_contact AS (FROM vault.content) SELECT * FROM fact_contact
WITH RECURSIVE r AS (SELECT text FROM vault.content UNION ALL SELECT text FROM r WHERE false) SELECT * FROM r
SELECT * FROM mart.fact_contact UNION SELECT text, text FROM vault.content
SELECT * FROM mart.fact_contact, vault.content
SELECT * FROM mart.fact_contact JOIN vault.content ON true
SELECT * FROM mart.fact_contact, LATERAL (SELECT text FROM vault.content)
SELECT EXISTS (SELECT 1 FROM vault.content WHERE text LIKE 'Mama%')
FROM vault.content
FROM vault.content SELECT text
TABLE vault.content
SELECT * FROM (VALUES (1)) t, vault.content
SELECT * FROM '/etc/passwd'
SELECT * FROM 'lake/data/vault/content/*.parquet'
SELECT * FROM read_parquet('lake/data/**/*.parquet')
SELECT * FROM parquet_scan('lake/data/**/*.parquet')
SELECT * FROM read_csv('/etc/passwd')
SELECT * FROM read_csv_auto('/etc/passwd')
SELECT * FROM read_text('/etc/passwd')
SELECT * FROM read_blob('beejan.key')
SELECT * FROM read_json('audit.jsonl')
SELECT * FROM glob('/**')
SELECT * FROM sniff_csv('/etc/passwd')
SELECT * FROM sqlite_scan('lake/catalog.sqlite', 'ducklake_data_file')
SELECT * FROM query('SELECT * FROM lake.vault.content')
SELECT * FROM query_table('lake.vault.content')
SELECT * FROM duckdb_settings()
SELECT * FROM duckdb_secrets()
SELECT * FROM duckdb_tables()
SELECT * FROM information_schema.tables
SELECT * FROM pragma_table_info('lake.vault.content')
SELECT * FROM ducklake_snapshots('lake')
SELECT * FROM __ducklake_metadata_lake.main.ducklake_data_file
SELECT getenv('HOME')
SELECT current_setting('temp_directory')
SELECT 1; SELECT * FROM vault.content
COPY vault.content TO '/tmp/out.csv'
COPY (SELECT 1) TO '/tmp/out.csv'
ATTACH '/tmp/x.db' AS x
INSTALL httpfs
LOAD httpfs
SET lock_configuration = false
PRAGMA database_list
DELETE FROM mart.fact_contact
UPDATE mart.fact_contact SET channel = 'x'
INSERT INTO mart.fact_contact VALUES ('x', 'y')
CREATE TABLE t AS SELECT * FROM vault.content
CREATE VIEW v AS SELECT * FROM vault.content
DROP TABLE mart.fact_contact
EXPLAIN SELECT * FROM vault.content
DESCRIBE vault.content
SUMMARIZE vault.content
EXPORT DATABASE '/tmp/out'
CALL ducklake_snapshots('lake')
SELECT * FROM mart.fact_contact AT (VERSION => 1), vault.content
SELECT * EXCLUDE (x) FROM vault.content
SELECT $1
SELECT getvariable('x')
WITH duckdb_tables AS (SELECT * FROM duckdb_tables) SELECT * FROM duckdb_tables
SELECT * FROM (WITH sqlite_master AS (SELECT 1) SELECT 1), sqlite_master
WITH RECURSIVE duckdb_settings AS (FROM duckdb_settings UNION ALL FROM duckdb_settings) FROM duckdb_settings
SELECT * FROM (WITH content AS (SELECT 1) SELECT 1), content
SELECT * FROM mart.fact_contact f, LATERAL duckdb_tables()
SELECT * FROM mart.fact_contact f, LATERAL seq_scan('lake.vault.content')
SELECT * FROM mart.fact_contact f, LATERAL (FROM vault.content)
SELECT * FROM (SHOW ALL TABLES)
SELECT * FROM (DESCRIBE vault.content)
SELECT * FROM (PIVOT vault.content ON source USING count(*))
SELECT * FROM mart.fact_contact AT (VERSION => 1)
SELECT "current_setting"('temp_directory')
SELECT system.main.current_setting('temp_directory')
SELECT 'temp_directory'.current_setting()
SELECT json_execute_serialized_sql('x')
SELECT json_serialize_plan(json_serialize_sql('SELECT 1'))
SELECT repeat('x', 3000000000)
SELECT error(channel) FROM mart.fact_contact
SELECT * FROM settings
""".strip().splitlines()


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    space = tmp_path_factory.mktemp("sql") / "team"
    make_workspace(space)
    (space / "beejan.toml").write_text(
        (space / "beejan.toml").read_text() + '\n[roles.engineer]\nchannels = ["sms"]\n', encoding="utf-8"
    )
    settings = load_settings(space)
    lake = Lake(settings)
    con = writer(lake)

    def fill(c):
        c.raw_sql("CREATE TABLE lake.mart.fact_contact AS SELECT 'a' AS contact_id, unnest(['sms', 'call']) AS channel")
        row = {"seq": 1, "contact_id": "a", "source": "s", "batch_id": "b", "record_no": 1, "text": SECRET}
        c.create_table("said", c.sql(f"SELECT {', '.join(f'{v!r} AS {k}' for k, v in row.items())}"), temp=True)
        append(c, "vault.content", c.table("said"))

    commit(lake, con, fill)
    con.disconnect()
    return settings


def test_there_are_fifty():
    assert len(set(ESCAPES)) >= 50


@pytest.mark.parametrize("query", ESCAPES)
def test_no_way_out(settings, query):
    try:
        answer = ask_sql(settings, query, ANALYST)
    except BeejanError as e:
        assert SECRET not in str(e) and "Traceback" not in str(e)
    else:
        pytest.fail(f"answered: {json.dumps(answer.to_pylist(), default=str)[:300]}")


def test_a_query_that_reads_is_answered(settings):
    query = """WITH t AS (SELECT channel, count(*) AS n FROM lake.mart.fact_contact f GROUP BY 1)
               SELECT a.channel, a.n, b.n AS m FROM t a LEFT JOIN mart.fact_contact x ON x.channel = a.channel
               JOIN t b ON b.channel = a.channel ORDER BY 1"""
    assert ask_sql(settings, query, ANALYST).to_pylist() == [
        {"channel": "call", "n": 1, "m": 1},
        {"channel": "sms", "n": 1, "m": 1},
    ]


def test_a_role_s_rows_are_all_there_is(settings):
    answer = ask_sql(settings, "SELECT DISTINCT channel FROM mart.fact_contact", Who("e", "engineer"))
    assert answer.to_pylist() == [{"channel": "sms"}]
    hidden = ask_sql(settings, "SELECT count(text_redacted) AS n FROM curated.contact", Who("e", "engineer"))
    assert hidden.to_pylist() == [{"n": 0}]


def test_the_vault_s_files_are_no_table_by_any_name(settings):
    files = [*(settings.folder("lake") / "data" / "vault").rglob("*.parquet")]
    assert files
    for path in (str(files[0]), str(files[0].parent / "*.parquet")):
        for query in ('SELECT * FROM "{0}"', 'WITH "{0}" AS (SELECT * FROM "{0}") SELECT * FROM "{0}"',
                      'SELECT * FROM (WITH "{0}" AS (SELECT 1) SELECT 1), "{0}"'):  # fmt: skip
            with pytest.raises(BeejanError) as e:
                ask_sql(settings, query.format(path), ANALYST)
            assert SECRET not in str(e.value)


def test_what_a_reader_may_not_see_cannot_make_his_query_fail(settings):
    query = "SELECT count(*) AS n FROM mart.fact_contact WHERE CAST(replace(channel, 'sms', '1') AS INT) = 1"
    for _ in range(5):
        assert ask_sql(settings, query, Who("e", "engineer")).to_pylist() == [{"n": 1}]
    with pytest.raises(InputError, match="Could not convert"):
        ask_sql(settings, query, ANALYST)


def test_names_of_the_query_s_own_work_as_in_duckdb(settings):
    for query, answer in {
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT sum(r.n) AS s FROM r": 6,
        "WITH a AS (SELECT 1 AS x), b AS (SELECT a.x + 1 AS x FROM a) SELECT b.x + c.x AS s FROM b, b AS c": 4,
        "SELECT count(mart.fact_contact.channel) AS s FROM mart.fact_contact": 2,
        "SELECT count(b) AS s FROM mart.fact_contact AS x(a, b)": 2,
    }.items():
        assert ask_sql(settings, query, ANALYST).to_pylist() == [{"s": answer}]


def test_a_long_query_is_ended(settings):
    wide = " CROSS JOIN ".join(["(SELECT unnest(range(3000)) AS x)"] * 4)
    with pytest.raises(InputError, match=r"longer than"):
        ask_sql(settings, f"SELECT count(*) FROM {wide}", ANALYST, seconds=0.5)


def test_the_sealed_connection_stays_sealed(settings):
    with sealed(settings) as con:
        for command in ("SET allowed_directories = ['/']", "SET enable_external_access = true", "ATTACH '/tmp/x.db'"):
            with pytest.raises(Exception, match=r"lock|disabled|not allowed|configuration|permission"):
                con.raw_sql(command)
