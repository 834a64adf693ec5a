"""Templates put prompts and chats into the text that a language model reads, and say what is wrong with them."""

from __future__ import annotations

import pytest

from ftapp.recipe.templates import Exchange, Template, Turn, make_template

_CHAT = [Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("user", "Bye"), Turn("assistant", "Oh")]


def test_a_pair_without_a_template_is_joined_as_it_is() -> None:
    template = make_template(None, is_chat=False)
    assert template.render("2+2=", "4") == (Exchange("2+2=", "4"),)
    assert template.render_prompt("2+2=") == "2+2="


def test_what_follows_the_completion_is_learned() -> None:
    template = Template("Q: {prompt}\nA:{completion}\n", is_chat=False)
    assert template.render("Who?", " I.") == (Exchange("Q: Who?\nA:", " I.\n"),)
    assert template.render_prompt("Who?") == "Q: Who?\nA:"


def test_signs_of_placeholders_in_the_data_stay() -> None:
    template = Template("{prompt}|{completion}", is_chat=False)
    assert template.render("a {completion}", "{prompt}") == (Exchange("a {completion}|", "{prompt}"),)


def test_a_chat_is_learned_at_the_turns_of_the_assistant() -> None:
    template = make_template(None, is_chat=True)
    assert template.render_chat([Turn("system", "Be brief."), *_CHAT, Turn("user", "?")]) == (
        Exchange("system:\nBe brief.\nuser:\nHi\nassistant:\n", "Hello\n"),
        Exchange("user:\nBye\nassistant:\n", "Oh\n"),
    )
    assert template.render_prompt("Hi") == template.render_chat(_CHAT)[0].prompt


def test_a_role_may_stand_on_both_sides_of_the_content() -> None:
    template = Template("<{role}>{content}</{role}>", is_chat=True)
    assert template.render_chat(_CHAT[:2]) == (Exchange("<user>Hi</user><assistant>", "Hello</assistant>"),)


@pytest.mark.parametrize(
    ("text", "is_chat", "said"),
    [
        ("{prompt}", False, "has no {completion}; a template has {prompt}"),
        ("{promt} {completion}", False, "has no {prompt}; did you mean {prompt} by {promt}?"),
        ("{completion}{prompt}", False, "has {prompt} after {completion}"),
        ("{prompt}{completion}{completion}", False, "has {completion} twice"),
        ("{prompt}{completion}", True, "has no {role}; a template has {role}, and after it {content} once"),
    ],
)
def test_a_faulty_template_is_explained(text: str, is_chat: bool, said: str) -> None:
    assert said in str(Template(text, is_chat).find_fault())


@pytest.mark.parametrize("is_chat", [False, True])
def test_the_usual_templates_have_no_fault(is_chat: bool) -> None:
    assert make_template(None, is_chat=is_chat).find_fault() is None
