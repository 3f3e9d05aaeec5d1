"""What no client should send: pieces of the grammars in any order, and bytes of any kind."""

import json

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

_PIECES = [
    *("id", "name", "status", "groups", "components", "appliance", "type", "nonsense", "."),
    *("=", "!=", "^=", "<=", ">", "(", ")", ",", "'", '"', "\\", "%", "+", "-", "[", "]", "{", ";"),
    *("and", "OR", "not", "in", "between", "is", "null", "like", "ilike", "contains", "true"),
    *(
        "1",
        "-0",
        "1e999999",
        "9" * 30,
        '"a"',
        "SUCCESS",
        "é",
        "\u2028",
        "\x00",
        "\x7f",
        "\U0001f600",
    ),
]

PIECES = st.lists(st.sampled_from(_PIECES), max_size=12).map(" ".join)
TEXTS = PIECES | st.text(max_size=30)

RANGES = st.sampled_from(
    [
        *("items=0-0", "items=5-1", "items=-3-2", "0-4", "items=a-b", "items=1-2,4-5", "bytes=0-4"),
        *(
            "items=0-99999999999999999999999",
            "items= 1-2",
            "ITEMS=0-1",
            "items=\uff11-\uff12",
            "",
            "items=-",
        ),
    ]
)

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\x00", "\ud800", "a" * 300, "CONFIG", "REQUESTING", "/store", "../.."]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
_NAMES = st.sampled_from(
    [
        *("name", "configuration_id", "description", "host_id", "backup_id", "groups", "status"),
        *("type", "eps_allocation", "fpm_allocation", "reverse_source", "backup_directory_path"),
        *("backup_retention_period", "data_backup_host_configuration", "data_backup_priority"),
        *("configuration_backup_enabled", "data_backup_time_limit", "id", "nonsense"),
    ]
)
_OBJECTS = st.dictionaries(_NAMES, _VALUES, max_size=5).map(json.dumps).map(str.encode)
_BROKEN = st.sampled_from(
    [
        *(b"{", b"[", b"null", b"[]", b'"x"', b"nul", b"{}x", b'{"name": NaN}', b'{"a": Infinity}'),
        *(b"\xff\xfe", b"\xef\xbb\xbf{}", b"{\x00}", b"[" * 60_000, b'{"a":' * 60_000),
        *(b'{"name": "a", "name": 5}', b'{"name": "\\ud800"}', b'{"\\u0000": 1}', b"9" * 5_000),
        *(b'{"name": ' + b"9" * 5_000 + b"}", b'{"status": 1e400}', b'{"name": "a"} {"name": "b"}'),
    ]
)
BODIES = _OBJECTS | _BROKEN | st.binary(max_size=20)

SEGMENTS = st.lists(
    st.sampled_from(
        [
            *(
                "backup_and_restore",
                "backups",
                "config",
                "deployment",
                "hosts",
                "1",
                "0",
                "-1",
                "%00",
            ),
            *(
                "..",
                ".",
                "%2e%2e",
                "%2F",
                "%ff",
                "%C3%A9",
                "a" * 2_000,
                "9" * 40,
                "tunnels",
                "help",
            ),
            *("endpoints", "%F0%9F%98%80", "1;a=b", "scheduled_backup_configurations", "", "%25"),
        ]
    ),
    max_size=6,
).map("/".join)

HEADER_VALUES = st.sampled_from(
    [
        *(
            b"",
            b"\xff\xfe\x80",
            b"\xc3\xa9",
            b"a" * 20_000,
            b",;=",
            b'"',
            b"26.0",
            b"24",
            b"8",
            b"*/*",
        ),
        *(
            b"application/json;q=nan",
            b"text/html",
            b"id,name",
            b"id(name",
            b"CONFIG",
            b"DATA, CONFIG",
        ),
        *(b"items=0-1", b"100-continue ", b"0", b"-1", b"1e9", b"utf-8", b"\t", b"%", b"{}"),
    ]
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("Version", "Accept", "Content-Type", "Range", "fields", "backup_type", "Prefer"),
                *(
                    "X-Request-Id",
                    "Cookie",
                    "Accept-Encoding",
                    "If-Match",
                    "X-HTTP-Method-Override",
                ),
                *("version", "ACCEPT", "Backup_Type", "Origin", "Allow-Hidden", "Content-Encoding"),
            ]
        ),
        HEADER_VALUES,
    ),
    max_size=5,
)


def drawn(strategy: st.SearchStrategy[object], count: int) -> list[object]:
    """Draw the same ``count`` values at every run, for tests that await something for each."""
    values: list[object] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: object) -> None:
        values.append(value)

    collect()
    return values
