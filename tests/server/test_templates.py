"""URI templates: the RFC's expansions, matching as its inverse, in linear time, and screening of paths."""

from __future__ import annotations

import re
import time
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpcore.errors import UsageError
from mcpcore.server.templates import Template, Value, expand, is_unsafe_path

RFC_VALUES: dict[str, Value] = {
    "count": ["one", "two", "three"],
    "dom": ["example", "com"],
    "dub": "me/too",
    "hello": "Hello World!",
    "half": "50%",
    "var": "value",
    "who": "fred",
    "base": "http://example.com/home/",
    "path": "/foo/bar",
    "list": ["red", "green", "blue"],
    "keys": {"semi": ";", "dot": ".", "comma": ","},
    "v": "6",
    "x": "1024",
    "y": "768",
    "empty": "",
    "empty_keys": {},
}

RFC_EXPANSIONS = """
{count}                 one,two,three
{count*}                one,two,three
{/count}                /one,two,three
{/count*}               /one/two/three
{;count}                ;count=one,two,three
{;count*}               ;count=one;count=two;count=three
{?count}                ?count=one,two,three
{?count*}               ?count=one&count=two&count=three
{&count*}               &count=one&count=two&count=three
{var}                   value
{hello}                 Hello%20World%21
{half}                  50%25
O{empty}X               OX
O{undef}X               OX
{x,y}                   1024,768
{x,hello,y}             1024,Hello%20World%21,768
?{x,empty}              ?1024,
?{x,undef}              ?1024
?{undef,y}              ?768
{var:3}                 val
{var:30}                value
{list}                  red,green,blue
{list*}                 red,green,blue
{keys}                  semi,%3B,dot,.,comma,%2C
{keys*}                 semi=%3B,dot=.,comma=%2C
{+var}                  value
{+hello}                Hello%20World!
{+half}                 50%25
{base}index             http%3A%2F%2Fexample.com%2Fhome%2Findex
{+base}index            http://example.com/home/index
O{+empty}X              OX
O{+undef}X              OX
{+path}/here            /foo/bar/here
here?ref={+path}        here?ref=/foo/bar
up{+path}{var}/here     up/foo/barvalue/here
{+x,hello,y}            1024,Hello%20World!,768
{+path,x}/here          /foo/bar,1024/here
{+path:6}/here          /foo/b/here
{+list}                 red,green,blue
{+list*}                red,green,blue
{+keys}                 semi,;,dot,.,comma,,
{+keys*}                semi=;,dot=.,comma=,
{#var}                  #value
{#hello}                #Hello%20World!
{#half}                 #50%25
foo{#empty}             foo#
foo{#undef}             foo
{#x,hello,y}            #1024,Hello%20World!,768
{#path,x}/here          #/foo/bar,1024/here
{#path:6}/here          #/foo/b/here
{#list}                 #red,green,blue
{#list*}                #red,green,blue
{#keys}                 #semi,;,dot,.,comma,,
{#keys*}                #semi=;,dot=.,comma=,
{.who}                  .fred
{.who,who}              .fred.fred
{.half,who}             .50%25.fred
www{.dom*}              www.example.com
X{.var}                 X.value
X{.empty}               X.
X{.undef}               X
X{.var:3}               X.val
X{.list}                X.red,green,blue
X{.list*}               X.red.green.blue
X{.keys}                X.semi,%3B,dot,.,comma,%2C
X{.keys*}               X.semi=%3B.dot=..comma=%2C
X{.empty_keys}          X
X{.empty_keys*}         X
{/who}                  /fred
{/who,who}              /fred/fred
{/half,who}             /50%25/fred
{/who,dub}              /fred/me%2Ftoo
{/var}                  /value
{/var,empty}            /value/
{/var,undef}            /value
{/var,x}/here           /value/1024/here
{/var:1,var}            /v/value
{/list}                 /red,green,blue
{/list*}                /red/green/blue
{/list*,path:4}         /red/green/blue/%2Ffoo
{/keys}                 /semi,%3B,dot,.,comma,%2C
{/keys*}                /semi=%3B/dot=./comma=%2C
{;who}                  ;who=fred
{;half}                 ;half=50%25
{;empty}                ;empty
{;v,empty,who}          ;v=6;empty;who=fred
{;v,bar,who}            ;v=6;who=fred
{;x,y}                  ;x=1024;y=768
{;x,y,empty}            ;x=1024;y=768;empty
{;x,y,undef}            ;x=1024;y=768
{;hello:5}              ;hello=Hello
{;list}                 ;list=red,green,blue
{;list*}                ;list=red;list=green;list=blue
{;keys}                 ;keys=semi,%3B,dot,.,comma,%2C
{;keys*}                ;semi=%3B;dot=.;comma=%2C
{?who}                  ?who=fred
{?half}                 ?half=50%25
{?x,y}                  ?x=1024&y=768
{?x,y,empty}            ?x=1024&y=768&empty=
{?x,y,undef}            ?x=1024&y=768
{?var:3}                ?var=val
{?list}                 ?list=red,green,blue
{?list*}                ?list=red&list=green&list=blue
{?keys}                 ?keys=semi,%3B,dot,.,comma,%2C
{?keys*}                ?semi=%3B&dot=.&comma=%2C
{&who}                  &who=fred
{&half}                 &half=50%25
?fixed=yes{&x}          ?fixed=yes&x=1024
{&x,y,empty}            &x=1024&y=768&empty=
{&x,y,undef}            &x=1024&y=768
{&var:3}                &var=val
{&list}                 &list=red,green,blue
{&list*}                &list=red&list=green&list=blue
{&keys}                 &keys=semi,%3B,dot,.,comma,%2C
{&keys*}                &semi=%3B&dot=.&comma=%2C
"""
"""RFC 6570, section 3.2: template and expansion. ``undef`` and ``bar`` have no value."""


@pytest.mark.parametrize(("text", "uri"), [line.split() for line in RFC_EXPANSIONS.strip().splitlines()])
def test_expansion_gives_what_the_rfc_publishes(text: str, uri: str) -> None:
    assert expand(text, RFC_VALUES) == uri


@pytest.mark.parametrize(
    ("text", "values", "uri"),
    [
        ("{+v}", {"v": "a%2Fb%zz%"}, "a%2Fb%25zz%25"),  # an escape passes, a percent sign that is none does not
        ("{v}", {"v": "a%2Fb"}, "a%252Fb"),
        ("{v:1}", {"v": "éa"}, "%C3%A9"),  # a prefix counts characters, not bytes
        ("{?l*}", {"l": ["", "a"]}, "?l=&l=a"),
        ("{;l*}", {"l": ["", "a"]}, ";l;l=a"),
        ("{?l,e*}", {"l": [], "e": []}, ""),
        ("{?d*}", {"d": {"ä b": ""}}, "?%C3%A4%20b="),
        ("{/Stra%C3%9Fe,last.name}", {"Stra%C3%9Fe": "1", "last.name": "2"}, "/1/2"),
        ("mün://{a}", {"a": "ö"}, "m%C3%BCn://%C3%B6"),
        ("plain", {"a": "unused"}, "plain"),
        ("", {}, ""),
    ],
)
def test_expansion_at_the_corners(text: str, values: dict[str, Value], uri: str) -> None:
    assert expand(text, values) == uri


@pytest.mark.parametrize("value", [["a"], {"a": "b"}])
def test_a_prefix_of_a_list_or_dict_is_refused(value: Value) -> None:
    with pytest.raises(UsageError, match="'keys' has a prefix"):
        expand("{keys:1}", {"keys": value})


MALFORMED = r"""
{/id*  /id*}  {  }  {{a}}  {a}}  {}  {+}  {a,}  {,a}  {a.}  {.a..b}  {a..b}
{/?id}  {??hello}  {!hello}  {=path}  {$var}  {|var*}  {*keys?}  {#hello+}  {hello+}  {~thing}  {default-graph-uri}  {ä}
{var:prefix}  {hello:2*}  {hello*:2}  {hello:0}  {hello:10000}
{?empty=default,var}  {?empty|foo=none}  {-prefix|/-/|var}  {example:color?}
a%zz%  100%{a}  a<b  a\b  a^b  a`b  a|b  a"b
"""


@pytest.mark.parametrize("text", [*MALFORMED.split(), "{a, b}", "a {b}", "a\nb", "a\0b", "a\x7fb", "a\ud800"])
def test_a_malformed_template_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(text))):
        expand(text, {})
    with pytest.raises(UsageError, match=re.escape(repr(text))):
        Template(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x://{a}{b}", "in front of 'b'"),
        ("x://{a}{+b}", "in front of 'b'"),
        ("x://{+a}{b}", "in front of 'b'"),
        ("x://{a}{b}{+c}/{d*}...{e}", "in front of 'b'"),
        ("x://{a}{?q}{b}", "in front of 'b'"),
        ("x://{a}{?q}{?r}", "continue the query"),
        ("x://{a}{?q}{;r}", "continue the query"),
        ("x://{a}/{a}", "'a' twice"),
        ("x://{a:1}/{a}", "'a' twice"),
        ("x://{a}{?b,a}", "'a' twice"),
    ],
)
def test_a_template_that_cannot_be_matched_is_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Template(text)
    assert repr(text) in str(caught.value)


def test_a_template_knows_its_variables_and_which_may_be_missing() -> None:
    template = Template("db://{table}{/path*}{?limit,fields*}{&sort}{#part}")
    assert template.variables == ("table", "path", "limit", "fields", "sort", "part")
    assert template.optional == {"limit", "fields", "sort"}
    assert Template("x://plain").variables == ()


NO = None
MATCHES: list[tuple[str, str, dict[str, str | list[str]] | None]] = [
    # literals
    ("x://plain", "x://plain", {}),
    ("x://plain", "x://plain/", NO),
    ("x://plain", "", NO),
    ("x://{a}", "X://b", NO),
    ("test://template/{id}/data", "test://template/123/data", {"id": "123"}),
    ("test://template/{id}/data", "test://template/123/date", NO),
    ("test://template/{id}/data", "test://template/data", NO),
    ("aba{a}aba", "ababa", NO),
    ("aba{a}aba", "abaaba", NO),
    ("aba{a}aba", "abaxaba", {"a": "x"}),
    ("aba{?a}aba", "ababa", NO),
    ("aba{?a}aba", "abaaba", {}),
    ("mün://{a}", "mün://ö", {"a": "ö"}),
    ("mün://{a}", "m%C3%BCn://%c3%b6", {"a": "ö"}),
    # one value
    ("x://{a}", "x://", NO),
    ("x://{a}/b", "x:///b", NO),
    ("x://{a}", "x://b/c", NO),
    ("x://{a}", "x://b%2Fc", {"a": "b/c"}),
    ("x://{a}", "x://b?c", NO),
    ("x://{a}", "x://b#c", NO),
    ("x://{a}", "x://b,c:d@e;f=g+h i!", {"a": "b,c:d@e;f=g+h i!"}),
    ("x://{a}", "x://%00\n", {"a": "\0\n"}),
    ("x://{a:3}", "x://%C3%A4bc", {"a": "äbc"}),
    ("x://{a:3}", "x://abcd", NO),
    # escapes
    ("x://{a}", "x://%41%5C\\%5cx", {"a": "A\\\\\\x"}),
    ("x://{a}", "x://%", NO),
    ("x://{a}", "x://%4", NO),
    ("x://{a}", "x://%4g", NO),
    ("x://{a}", "x://%u0041", NO),
    ("x://{a}", "x://%ff", NO),
    ("x://{a}", "x://%C3", NO),
    ("x://{a}", "x://%C0%AF", NO),
    ("x://{a}", "x://%ED%A0%80", NO),
    ("x://{a}", "x://\ud800", NO),
    ("x://{a}", "x://%252F", {"a": "%2F"}),
    ("x://{a*}", "x://%C3,%A4", NO),
    ("x://{a*}", "x://%4,1", NO),
    ("x://{a*}", "x://%,41", NO),
    ("x://{a}", "x://%\\41", NO),
    ("x://{a}", "x://%+4%-4% 4", NO),
    # several values
    ("{a}-{b}", "x-y-z", {"a": "x", "b": "y-z"}),
    ("{a}--{b}", "x---y", {"a": "x", "b": "-y"}),
    ("{a,b}", "1,2,3", {"a": "1", "b": "2,3"}),
    ("{a,b}", "1", NO),
    ("{name}{.ext}", "a.tar.gz", {"name": "a", "ext": "tar.gz"}),
    ("{.a,b}", ".x.y", {"a": "x", "b": "y"}),
    ("x:{/a,b}", "x:/1/2", {"a": "1", "b": "2"}),
    ("x:{/a,b}", "x:/1", NO),
    ("x:{/a}", "x:/", NO),
    # everything
    ("file://{+path}", "file:///etc/../x?y#z", {"path": "/etc/../x?y#z"}),
    ("file://{+path}", "file://", NO),
    ("file:///{+dir}/{name}", "file:///a/b/c", {"dir": "a/b", "name": "c"}),
    ("file:///{+dir}/{name}.{ext}", "file:///a.b/c/d.e.f", {"dir": "a.b/c", "name": "d", "ext": "e.f"}),
    ("{+a}/x/{+b}", "1/x/2/x/3", {"a": "1", "b": "2/x/3"}),
    ("{+a}/{b}-{c}/{+d}", "--/-/x-y/z", {"a": "--/-", "b": "x", "c": "y", "d": "z"}),
    ("{+path}/meta", "a/meta/b/meta", {"path": "a/meta/b"}),
    ("{+a,b}", "1/2,3", {"a": "1/2", "b": "3"}),
    ("x:{a}{#part}", "x:1#2/3?4", {"a": "1", "part": "2/3?4"}),
    ("x:{a}{#part}", "x:1", NO),
    # lists
    ("x:{a*}", "x:1,%2C,3", {"a": ["1", ",", "3"]}),
    ("x:{a*}", "x:1", {"a": ["1"]}),
    ("x:{a*}", "x:1,,2", NO),
    ("x:{/a*}", "x:/1/%2F/3", {"a": ["1", "/", "3"]}),
    ("x:{/a*}", "x:/1/", NO),
    ("x:{/a*}", "x://1", NO),
    ("x:{/a*,b}", "x:/1/2/3", {"a": ["1", "2"], "b": "3"}),
    ("x:{/a*}?b", "x:/1?/2?b", NO),
    ("www{.a*}", "www.x.y", {"a": ["x", "y"]}),
    ("{+a*}", "1/2,3", {"a": ["1/2", "3"]}),
    # parameters
    ("x:{?a,b}", "x:", {}),
    ("x:{?a,b}", "x:?a=1&b=2", {"a": "1", "b": "2"}),
    ("x:{?a,b}", "x:?b=2&a=1", {"a": "1", "b": "2"}),
    ("x:{?a,b}", "x:?b=%26/?+", {"b": "&/?+"}),
    ("x:{?a,b}", "x:?a=", {"a": ""}),
    ("x:{?a,b}", "x:?a", {"a": ""}),
    ("x:{?a,b}", "x:?a=b=c", {"a": "b=c"}),
    ("x:{?a,b}", "x:?c=1", NO),
    ("x:{?a,b}", "x:?A=1", NO),
    ("x:{?a,b}", "x:?a=1&a=1", NO),
    ("x:{?a,b}", "x:?", NO),
    ("x:{?a,b}", "x:?a=1&", NO),
    ("x:{?a,b}", "x:&a=1", NO),
    ("x:{?a,b}", "x:?a=%ff", NO),
    ("x:{?a,b}", "x:?a=1#f", NO),
    ("x:{?a:2}", "x:?a=12", {"a": "12"}),
    ("x:{?a:2}", "x:?a=", {"a": ""}),
    ("x:{?a:2}", "x:?a=123", NO),
    ("x:{?a*,b}", "x:?a=1&b=2&a=3", {"a": ["1", "3"], "b": "2"}),
    ("x:{?a}{&b}", "x:?b=1&a=2", {"a": "2", "b": "1"}),
    ("x:{?a}{#f}", "x:?a=1#f", {"a": "1", "f": "f"}),
    ("x:?v=1{&a,b}", "x:?v=1&b=2", {"b": "2"}),
    ("x:?v=1{&a,b}", "x:?v=1", {}),
    ("x:?v=1{&a,b}", "x:?b=2&v=1", NO),
    ("x:{id}{?a}", "x:1?a=2", {"id": "1", "a": "2"}),
    ("x:{+p}{?a}", "x:1/2?a=3", {"p": "1/2", "a": "3"}),
    ("x:{+p}{?a}", "x:1/2", {"p": "1/2"}),
    ("x:{+p}{?a}", "x:1?b=2", NO),
    ("x:{p}{;a,b}/y", "x:1;b=2;a/y", {"p": "1", "a": "", "b": "2"}),
    ("x:{p}{;a,b}/y", "x:1/y", {"p": "1"}),
    ("x:{p}{;a}{;b}{?c}", "x:1;b=2;a=3?c=4", {"p": "1", "a": "3", "b": "2", "c": "4"}),
    ("x:{;a}{?b}", "x:?b=1", {"b": "1"}),
    ("x:{;a*}", "x:;a=1;a=2", {"a": ["1", "2"]}),
]


@pytest.mark.parametrize(("text", "uri", "values"), MATCHES)
def test_matching_follows_the_documented_rules(text: str, uri: str, values: dict[str, str | list[str]] | None) -> None:
    assert Template(text).match(uri) == values


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="%"), min_size=1)


@given(TEXT, TEXT, st.lists(TEXT, min_size=1), st.lists(TEXT, min_size=1), st.dictionaries(st.sampled_from("qr"), TEXT))
def test_matching_undoes_expansion_where_values_are_escaped(
    one: str, two: str, items: list[str], segments: list[str], query: dict[str, str]
) -> None:
    template = Template("x://{one}:{two},{items*}{/segments*}/end{?q,r}")
    values = {"one": one, "two": two, "items": items, "segments": segments, **query}
    assert template.match(template.expand(values)) == values


@given(ANY_TEXT, st.lists(ANY_TEXT, min_size=1), ANY_TEXT, st.lists(ANY_TEXT, min_size=1))
def test_matching_undoes_expansion_of_parameters_empty_or_not(a: str, b: list[str], c: str, d: list[str]) -> None:
    template = Template("x:/{;a,b*}{?c,d*}")
    values: dict[str, str | list[str]] = {"a": a, "b": b, "c": c, "d": d}
    assert template.match(template.expand(values)) == values


@given(PLAIN, TEXT, PLAIN)
def test_matching_undoes_expansion_around_a_value_that_is_not_escaped(path: str, name: str, part: str) -> None:
    template = Template("file://{+path}/{name}")
    assert template.match(template.expand({"path": path, "name": name})) == {"path": path, "name": name}
    template = Template("file:///{name}{#part}")
    assert template.match(template.expand({"name": name, "part": part})) == {"name": name, "part": part}


@given(ANY_TEXT)
def test_a_value_is_decoded_as_the_standard_library_decodes_it(value: str) -> None:
    escaped = "".join(f"%{octet:02x}" for octet in value.encode())
    assert Template("x:a{a}").match("x:aa" + escaped) == {"a": "a" + unquote(escaped)}


ORACLE = {
    "a": "a",
    "/": "/",
    "-": "-",
    ".": r"\.",
    "{s}": "([^/?#]+?)",
    "{+s}": "(.+?)",
    "{/s}": "/([^/?#]+?)",
    "{.s}": r"\.([^/?#]+?)",
    "{#s}": "#(.+?)",
}
"""What one piece of a template means, as a regular expression that takes as little as possible."""


@given(st.lists(st.sampled_from(list(ORACLE)), max_size=7), st.text("a/-.#?", max_size=10))
def test_matching_finds_what_an_exhaustive_search_finds(pieces: list[str], uri: str) -> None:
    names = [f"v{index}" for index, piece in enumerate(pieces) if "s" in piece]
    text = "".join(piece.replace("s", f"v{index}") for index, piece in enumerate(pieces))
    try:
        template = Template(text)
    except UsageError:
        return
    found = re.fullmatch("".join(ORACLE[piece] for piece in pieces), uri)
    assert template.match(uri) == (None if found is None else dict(zip(names, found.groups(), strict=True)))


@given(st.text("ab/?#&;=,.%2C-é\ud800"))
def test_any_text_matches_or_does_not_and_raises_nothing(uri: str) -> None:
    for text in ("x://{a}-{b}/{+c}/{d*}...{e}", "{+a}{/b*}{?c,d*}{#e}", "{a:2}{;b:1,c*}", "ab/{+a}", ""):
        matched = Template(text).match(uri)
        assert matched is None or set(matched) <= set(Template(text).variables)


HOSTILE = [
    ("x://{a}-{b}/{+c}/{d*}...{e}", "x://", "-", ""),
    ("x://{a}-{b}/{+c}/{d*}...{e}", "x://a-b/", "/", ""),
    ("x://{a}-{b}/{+c}/{d*}...{e}", "x://a-b/c/", ".", "/"),
    ("x://{a}-{b}/{+c}/{d*}...{e}", "x://", "-/,...", "\n"),
    ("x://{a}-{b}/{+c}/{d*}...{e}", "x://a-b/c/", "%41,", "1...e"),
    ("x://{+a}/{b}-{c}/{+d}/{e}-{f}/{+g}=", "x://", "-/-", "="),
    ("x://{+a}aaaa{+b}aaaa{+c}aaaa{+d}b", "x://", "a", "b"),
    ("x://{+a}{/b*}{/c*}{/d*}/{e}/", "x://", "//a", "/"),
    ("x://{a}{?q*,r}", "x://a?", "q=%41&", "r=1"),
    ("x://{a}{;q*}{?r}", "x://a", ";q=1", "?r"),
    ("x://{a}", "x://", "é", "%"),
]


def seconds(template: Template, uri: str) -> float:
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        template.match(uri)
        best = min(best, time.perf_counter() - start)
    return best


@pytest.mark.parametrize(("text", "head", "repeated", "tail"), HOSTILE)
def test_sixteen_times_the_uri_takes_about_sixteen_times_as_long(
    text: str, head: str, repeated: str, tail: str
) -> None:
    template = Template(text)
    short, long = (head + repeated * (size // len(repeated)) + tail for size in (12_500, 200_000))
    assert seconds(template, long) < 64 * seconds(template, short)  # quadratic would be 256 times


@pytest.mark.parametrize(
    "value",
    [
        "..",
        "../x",
        "a/../b",
        "a/..",
        " ../x",
        "/etc/passwd",
        "//host/share",
        "C:\\x",
        "c:x",
        "C:",
        "\\\\host\\share",
        "a\\b",
        "..\\x",
        "a\0b",
        "\0",
        "%2e%2e/x",
        "a/%2E./b",
        "%2e%2e%2fx",
        "%2Fetc",
        "%00",
        "a%5Cb",
        "c%3Ax",
        "%252e%252e/x",
        "%25252e%25252e%25252fx",
        "%2525252525252e",
        "%25252525",
    ],
)
def test_a_value_that_leaves_its_directory_is_unsafe(value: str) -> None:
    assert is_unsafe_path(value)


@pytest.mark.parametrize(
    "value",
    ["", ".", "a", "a/b.txt", "..a/b..", "a/.../b", ".hidden", "100%", "50%25", "ab:c", "ü ö", "~", "a%2Fb", "%252525"],
)
def test_an_ordinary_relative_path_is_not_unsafe(value: str) -> None:
    assert not is_unsafe_path(value)


@pytest.mark.parametrize(
    "uri", ["f:///../x", "f:///%2e%2e/x", "f:///a/%2e%2e%2fx", "f:////etc", "f:///%2Fetc", "f:///%00"]
)
def test_a_match_stays_neutral_and_the_screen_finds_what_it_let_through(uri: str) -> None:
    values = Template("f:///{+path}").match(uri)
    assert values is not None and isinstance(values["path"], str)
    assert is_unsafe_path(values["path"])


def test_screening_a_long_hostile_value_ends() -> None:
    assert is_unsafe_path("%" + "25" * 100_000 + "2e")
    assert not is_unsafe_path("a/" * 100_000)
