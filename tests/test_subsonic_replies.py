"""Answers of the protocol: XML that any parser reads, JSON with numbers, JSONP that runs nothing else."""

import json
from xml.etree import ElementTree

import pytest
from werkzeug.datastructures import MultiDict

from web.subsonic.calls import Call
from web.subsonic.failures import Failure
from web.subsonic.replies import element, reply

ODD = "a\x00b\x0bc\x1f <&>\"' \ud800 \ufffe \n\t é 🎵"
SHOWN = "a\ufffdb\ufffdc\ufffd <&>\"' \ufffd \ufffd \n\t é 🎵"


def test_a_text_with_characters_that_xml_forbids_is_still_xml() -> None:
    answer = reply(Call(MultiDict()), {"song": [{"title": ODD, "line": [{"value": ODD}]}]})
    song = ElementTree.fromstring(answer.data)[0]
    assert song.attrib["title"] == song[0].text == SHOWN
    assert answer.content_type == "text/xml; charset=utf-8"


def test_lists_are_elements_and_plain_values_are_attributes() -> None:
    tree = {"a": 1, "b": True, "c": 1.5, "d": [{"e": "x"}, {"e": "y"}], "f": [1, 2], "g": [], "h": {}}
    assert element("z", tree) == ('<z a="1" b="true" c="1.5"><d e="x"></d><d e="y"></d><f>1</f><f>2</f><h></h></z>')


def test_json_has_numbers_and_booleans() -> None:
    answer = reply(Call(MultiDict({"f": "json"})), {"song": {"size": 5, "isDir": False, "title": ODD}})
    song = json.loads(answer.data)["subsonic-response"]["song"]
    assert (song["size"], song["isDir"], song["title"]) == (5, False, ODD.replace("\ud800", "?"))


def test_jsonp_calls_the_function_of_the_player() -> None:
    answer = reply(Call(MultiDict({"f": "jsonp", "callback": "app.$on_1"})), {})
    assert answer.data.startswith(b'app.$on_1({"subsonic-response":') and answer.data.endswith(b");")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("callback", ["", "alert(1)//", "1a", "a b", "a\n", "<b>", "é", "a" * 101])
def test_a_callback_that_is_no_name_is_refused(callback: str) -> None:
    with pytest.raises(Failure, match="callback"):
        reply(Call(MultiDict({"f": "jsonp", "callback": callback})), {})
