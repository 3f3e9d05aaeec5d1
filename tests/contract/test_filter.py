"""``filter`` on the list of backups (spec §2.8, §14 no. 9)."""

import pytest

from contract.servers import Conversation

EVERY = "abcdE"


async def found(talk: Conversation, expression: str) -> str:
    """Endings of the names in the population that match; P stands for their prefix."""
    prefix = await talk.server.populate()
    text = expression.replace("P.", f"{prefix}.")
    query = {"filter": f'name like "{prefix}.%" and ({text})'}
    reply = (await talk.list(query)).assert_is(200)
    return "".join(name[-1] for name in reply.names)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('name = "P.a"', "a"),
        ("name = 'P.a'", "a"),
        ('name="P.a"', "a"),
        ('name != "P.a"', "bcdE"),
        ('name <> "P.a"', "bcdE"),
        ('name ^= "P.a"', "bcdE"),
        ('name < "P.b"', "aE"),
        ('name <= "P.b"', "abE"),
        ('name > "P.c"', "d"),
        ('name >= "P.c"', "cd"),
        ('name between "P.b" and "P.c"', "bc"),
        ('name not between "P.b" and "P.c"', "adE"),
        ('name in ("P.a", "P.E", "P.x")', "aE"),
        ('name not in ("P.a","P.E")', "bcd"),
        ("name = P", ""),
        ("name = 5", ""),
        ("type = CONFIG", EVERY),
        ('type = "DATA"', ""),
        ("type != DATA", EVERY),
        ("status = SUCCESS", EVERY),
        ('status in ("INITIALIZING","IN_PROGRESS","CANCELLING","DELETING")', ""),
        ("status = IN_PROGRESS", ""),
        ("is_valid = true", EVERY),
        ("is_valid = false", ""),
        ("is_valid = true and is_version_compatible = true", EVERY),
        ("id > 0", EVERY),
        ('id > "0"', EVERY),
        ("id > -5", EVERY),
        ("id < 1e15", EVERY),
        ("id >= .5", EVERY),
        ("id between 0 and 0", ""),
        ("time_initiated >= 1763856000000", EVERY),
        ("size_on_disk > 0", EVERY),
        ('intiated_by = "nobody"', ""),
        ("initiated_by is not null", EVERY),
    ],
)
async def test_comparisons(talk: Conversation, expression: str, expected: str) -> None:
    assert await found(talk, expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("description is null", "a"),
        ("description is not null", "bcdE"),
        ('description = "50% off"', "b"),
        ('description != "50% off"', "acdE"),
        ('description <> "x"', EVERY),
        ('description < "zzz"', "bcdE"),
        ('description >= ""', "bcdE"),
        ('description in ("50% off", "x")', "b"),
        ('description not in ("50% off", "x")', "acdE"),
        ('description between "" and "zzz"', "bcdE"),
        ('description not between "" and "zzz"', "a"),
        ('description like "%"', "bcdE"),
        ('not (description like "%")', "a"),
        ('not description = "50% off"', "acdE"),
    ],
)
async def test_null_operands(talk: Conversation, expression: str, expected: str) -> None:
    assert await found(talk, expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('name like "%.a"', "a"),
        ('name like "%.A"', ""),
        ('name ilike "%.e"', "E"),
        ('name like "%_a"', "a"),
        ('description like "50%"', "b"),
        (r'description like "50\%%"', "b"),
        (r'description like "50\%"', ""),
        ('description like "under_score"', "c"),
        (r'description like "under\_score"', "c"),
        ('description like "under%"', "c"),
        ('description like "underscore"', ""),
        ('description like "__ off"', ""),
        ('description like "50_ off"', "b"),
        ('description ilike "upper case"', "E"),
        ('description ilike "UNDER\\_SCORE"', "c"),
        ('description like "%\'%"', ""),
        ("description like '%\"%'", "d"),
        ('description like ""', ""),
    ],
)
async def test_patterns(talk: Conversation, expression: str, expected: str) -> None:
    assert await found(talk, expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('name = "P.a" or name = "P.b" and name = "P.c"', "a"),
        ('(name = "P.a" or name = "P.b") and name = "P.b"', "b"),
        ('not name = "P.a" and not name = "P.b"', "cdE"),
        ('not (name = "P.a" or name = "P.b")', "cdE"),
        ('not name = "P.a" or name = "P.a"', EVERY),
        ('NOT name = "P.a" AND name IN ("P.a","P.b")', "b"),
        ('name BETWEEN "P.a" AND "P.b" AND description IS NULL', "a"),
        ('((((name = "P.a"))))', "a"),
        ('  name   =   "P.a"  ', "a"),
        ('name\t=\n"P.a"', "a"),
    ],
)
async def test_precedence_brackets_and_case(
    talk: Conversation, expression: str, expected: str
) -> None:
    assert await found(talk, expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (r'description = "quote \" and back\\slash"', "d"),
        (r"description = 'quote " + '" and back' + r"\\slash'", "d"),
        ('description = "it\'s"', ""),
        (r'name = "\P.a"', "a"),
    ],
)
async def test_a_backslash_escapes_the_next_character(
    talk: Conversation, expression: str, expected: str
) -> None:
    assert await found(talk, expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "nonsense = 1",
        "ID = 1",
        "id",
        "id =",
        "= 1",
        "id == 1",
        "id = abc",
        'id = "5 "',
        "id = true",
        "is_valid = maybe",
        "is_valid = 1",
        "status = RUNNING",
        "status = success",
        'status in ("SUCCESS", "RUNNING")',
        "type = config",
        "id in ()",
        "id in (1",
        "id in 1",
        "id in (1,)",
        "id between 1",
        "id between 1 or 2",
        "name like abc",
        'name not like "a"',
        "name is",
        "name is empty",
        "name is null null",
        "(id = 1",
        "id = 1)",
        "()",
        "id = 1 and",
        "and id = 1",
        "id = 1 or or id = 2",
        "not not id = 1",
        'name = "open',
        "name = 'open\"",
        "name = two words",
        "name = a-b",
        "name = a.b",
        "id = 1; id = 2",
        "id = 1 # comment",
        "id(x) = 1",
        'name contains "a"',
        ". = 1",
    ],
)
async def test_wrong_expressions_are_422_11(talk: Conversation, expression: str) -> None:
    reply = await talk.list({"filter": expression})

    reply.assert_refused(422, 11, 'Failed to transform user query parameter "filter"')


async def test_fifty_brackets_nest_and_fifty_one_do_not(talk: Conversation) -> None:
    (await talk.list({"filter": "(" * 50 + "id = 1" + ")" * 50})).assert_is(200)
    (await talk.list({"filter": "(" * 51 + "id = 1" + ")" * 51})).assert_refused(422, 11)


async def test_a_long_chain_is_no_nesting(talk: Conversation) -> None:
    chain = " or ".join(f"id = {number}" for number in range(1_000_000, 1_000_200))

    (await talk.list({"filter": chain})).assert_is(200)


async def test_hostile_texts_are_data(talk: Conversation) -> None:
    for text in ("'; drop table backups; --", "%' or '1'='1", "\x00", "\u202e", "name"):
        reply = await talk.list({"filter": f'name = "{text}"'})
        assert reply.status == 200 or reply.json["code"] == 11
        assert reply.status == 422 or reply.json == []
